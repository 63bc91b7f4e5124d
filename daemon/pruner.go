package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/failpoint"
	"github.com/walpost/walpost/internal/retention"
)

const (
	// turnsPerRetention is how often within a retention the horizon is noted and the table swept: a row stays for up to a
	// sixteenth longer than the retention says.
	turnsPerRetention = 16
	// minPruneEvery and maxPruneEvery bound the time between two turns.
	minPruneEvery, maxPruneEvery = 250 * time.Millisecond, 15 * time.Minute
	// sweepAgain is when an idle outbox is swept again: a partition may have come of age.
	sweepAgain = time.Hour
)

// pruner deletes outbox rows that have been resolved for outbox.retention. Only who owns the stream deletes, and only what
// the ledger says to be resolved: what was committed above its horizon is never looked at.
type pruner struct {
	*pipeline
	slot string
	// leads reports whether the stream is ours now.
	leads   func() bool
	sweeper *retention.Sweeper
	state   trouble
	denied  string // what was said of missing rights
	// swept is the horizon of the latest sweep that came to its end, and when that was.
	swept   int64
	sweptAt time.Time
}

func newPruner(p *pipeline, cfg *config.Config, leads func() bool) *pruner {
	return &pruner{
		pipeline: p, slot: cfg.Outbox.Slot, leads: leads,
		sweeper: retention.New(retention.Options{ConnString: cfg.Database.URL.Reveal(), Table: cfg.Outbox.Table}),
		state:   trouble{log: p.log, what: "prune the outbox"},
	}
}

// run takes a turn now and then, until ctx ends. The retention of the configuration in force counts.
func (p *pruner) run(ctx context.Context) error {
	for {
		keep := p.plan.Load().config.Outbox.Retention
		if keep > 0 && p.leads() {
			err := p.turn(ctx, keep)
			if ctx.Err() != nil {
				return nil
			}
			p.state.note(err)
		}
		timer := time.NewTimer(between(keep))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// between is the time between two turns; a retention that comes with a reload is noticed within a minute.
func between(keep time.Duration) time.Duration {
	if keep == 0 {
		return time.Minute
	}
	return min(max(keep/turnsPerRetention, minPruneEvery), maxPruneEvery)
}

// turn notes how far the stream is, and deletes what was resolved a retention ago.
func (p *pruner) turn(ctx context.Context, keep time.Duration) error {
	if err := p.ledger.NoteHorizon(ctx, p.slot, keep); err != nil {
		return err
	}
	failpoint.Hit(failpoint.HorizonNoted)
	horizon, err := p.ledger.Horizon(ctx, p.slot, keep)
	if err != nil || horizon == 0 || horizon == p.swept && time.Since(p.sweptAt) < sweepAgain {
		return err
	}
	swept, err := p.sweeper.Sweep(ctx, retention.Sweep{Horizon: horizon, Retention: keep, Go: p.leads})
	p.counters.pruned.Add(uint64(swept.Rows + swept.Dropped))
	if swept.Rows > 0 || swept.Partitions > 0 {
		p.log.Info().Int64(keyCount, swept.Rows).Int("partitions", swept.Partitions).Int("busy", swept.Busy).Msg("outbox pruned")
	}
	if p.refused(err) {
		return nil // and asked again: the right may be granted
	}
	if err == nil && swept.Busy == 0 && p.leads() {
		p.swept, p.sweptAt = horizon, time.Now()
	}
	return err
}

// refused takes what no repetition cures, and says it once.
func (p *pruner) refused(err error) bool {
	var denied *retention.DeniedError
	var said, fix string
	switch {
	case errors.As(err, &denied):
		said, fix = denied.Error(), denied.Fix()
	case errors.Is(err, retention.ErrOldServer):
		said, fix = err.Error(), `outbox { retention = "never" }`
	default:
		return false
	}
	if p.denied != said {
		p.denied = said
		p.log.Warn().Str(keyProblem, said).Str(keyTry, fix).Msg("outbox rows are not pruned")
	}
	return true
}
