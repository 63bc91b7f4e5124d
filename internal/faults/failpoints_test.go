//go:build unix

package faults

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/internal/failpoint"
	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/pgembed"
	"github.com/walpost/walpost/internal/pgtest"
)

// ordeal leads a walpost to a failpoint, where it kills itself.
type ordeal struct {
	point failpoint.Point
	// before is done while no walpost runs, during once the one that is to die streams. Transactions follow; then after is
	// done, of which the death may come.
	before, during, after func(*trial, context.Context) error
}

// trials are ordeals of a walpost that streams, in a row, each on what the one before has left: every start but the first is a
// recovery from a kill.
var trials = map[string][]ordeal{
	"stream": {
		{point: failpoint.Decoded},
		{point: failpoint.HandedOver},
		{point: failpoint.Received},
		{point: failpoint.Routed},
		{point: failpoint.Queued},
		{point: failpoint.BeforeRequest},
		{point: failpoint.AfterResponse},
		{point: failpoint.SlotAcquired},
	},
	"ledger": {
		{point: failpoint.BeforeLedgerWrite},
		{point: failpoint.AfterLedgerCommit},
		{point: failpoint.AfterLedgerDone},
		{point: failpoint.ClaimTaken},
		{point: failpoint.WebhookDisabled, during: (*trial).answerGone},
		{point: failpoint.QuarantineClaimed, before: (*trial).heal, during: (*trial).replay},
		{point: failpoint.QuarantineRouted, before: (*trial).mend, during: (*trial).replay},
	},
	"checkpoint": {
		{point: failpoint.BeforeCheckpoint},
		{point: failpoint.AfterCheckpoint},
		{point: failpoint.BeforeConfirm},
		{point: failpoint.AfterConfirm},
		{point: failpoint.AfterStatus},
		{point: failpoint.ReloadChecked, during: (*trial).reload},
		{point: failpoint.ReloadAdopted, during: (*trial).reload},
	},
	"drain": {
		{point: failpoint.DrainBegun, after: (*trial).terminate},
		{point: failpoint.DrainIntakeEnded, after: (*trial).terminate},
		{point: failpoint.DrainQueuesEmpty, after: (*trial).terminate},
		{point: failpoint.DrainFlushed, after: (*trial).terminate},
		{point: failpoint.DrainCheckpointed, after: (*trial).terminate},
		{point: failpoint.DrainConfirmed, after: (*trial).terminate},
	},
	"recovery": {
		{point: failpoint.LossRecorded, before: (*trial).dropSlot},
		{point: failpoint.SlotDropped, before: (*trial).dropSlot},
		{point: failpoint.SlotMade}, // the one before has made none
		{point: failpoint.WalkBegun},
		{point: failpoint.GapReading},
		{point: failpoint.WalkSaved, before: (*trial).dropSlot},
		{point: failpoint.GapRead, before: (*trial).dropSlot},
		{point: failpoint.GapBounded, before: (*trial).dropSlot},
		{point: failpoint.GapPassed, before: (*trial).dropSlot},
	},
}

// pollTrials are those of one that polls: the points that are on its own way.
var pollTrials = map[string][]ordeal{
	"poll": {
		{point: failpoint.Marked},
		{point: failpoint.Decoded},
		{point: failpoint.HandedOver},
		{point: failpoint.Received},
		{point: failpoint.Settled},
		{point: failpoint.SlotAcquired},
		{point: failpoint.OlderRead, before: (*trial).remakeColumn},
	},
	"poll: checkpoint": {
		{point: failpoint.BeforeCheckpoint},
		{point: failpoint.AfterCheckpoint},
		{point: failpoint.BeforeConfirm},
		{point: failpoint.AfterConfirm},
		{point: failpoint.DrainCheckpointed, after: (*trial).terminate},
	},
}

// pruneTrials are those of one that deletes outbox rows.
var pruneTrials = map[string][]ordeal{
	"prune": {
		{point: failpoint.HorizonNoted},
		{point: failpoint.RowsPruned, before: (*trial).passRetention},
	},
}

// pruning is streaming with a retention.
var pruning = func() source {
	s := streaming
	s.outbox += "\nretention = \"1m\""
	s.table = append(slices.Clone(s.table), "grant delete on public.outbox to {role}")
	return s
}()

// TestEveryFailpointIsTried: a point that nobody is killed at proves nothing.
func TestEveryFailpointIsTried(t *testing.T) {
	t.Parallel()
	tried := map[failpoint.Point]int{}
	for _, of := range []map[string][]ordeal{trials, pollTrials, pruneTrials} {
		for _, list := range of {
			for i := range list {
				tried[list[i].point]++
			}
		}
	}
	for _, p := range failpoint.All() {
		if tried[p] == 0 {
			t.Errorf("failpoint %s is in no trial", p)
		}
	}
}

// trial is a ground on which walposts die one after the other.
type trial struct {
	*ground
	worker *worker
	t      *testing.T
}

// TestFailpoints kills a walpost at every point by name, and shows that whoever comes next loses nothing.
func TestFailpoints(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, settings)
	seed := environment(t).seed
	t.Logf("seed %d", seed)
	for by, of := range map[*source]map[string][]ordeal{&streaming: trials, &polling: pollTrials, &pruning: pruneTrials} {
		for name, list := range of {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				try(t, by, server, list, seed)
			})
		}
	}
}

func try(t *testing.T, by *source, server *pgembed.Server, list []ordeal, seed uint64) {
	t.Helper()
	db := pgtest.NewOn(t, server)
	g, err := prepare(t.Context(), by, db.URL, db.Name, logFolder(t))
	t.Cleanup(g.close)
	if err != nil {
		t.Fatal(err)
	}
	one := &trial{ground: g, t: t, worker: &worker{workload: g.workload, random: rand.New(rand.NewPCG(seed, 4))}}
	t.Cleanup(one.worker.disconnect)
	if err := one.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range list {
		one.undergo(&list[i])
		if t.Failed() {
			break
		}
	}
	one.end()
}

// end lets a last walpost bring all to its end, and has the checker speak.
func (tr *trial) end() {
	t := tr.t
	t.Helper()
	tr.worker.disconnect()
	if err := tr.runner.start(); err != nil {
		t.Fatal(err)
	}
	if err := tr.settle(t.Context(), 3*time.Minute); err != nil {
		t.Error(err)
	}
	report(t, tr.ground, false)
	if t.Failed() {
		keep(t, tr.ground)
	}
}

// begin lets a first walpost make slot and ledger, and have a checkpoint with a watermark.
func (tr *trial) begin(ctx context.Context) error { return tr.beginWith(ctx, (*trial).transact) }

func (tr *trial) beginWith(ctx context.Context, transact func(*trial, context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := tr.runner.start(); err != nil {
		return err
	}
	if err := tr.runner.awaitReady(ctx); err != nil {
		return err
	}
	if err := transact(tr, ctx); err != nil {
		return err
	}
	return tr.awaitWatermark(ctx)
}

// awaitWatermark waits until a lost slot can be recovered from.
func (tr *trial) awaitWatermark(ctx context.Context) error {
	return tr.with(ctx, func(conn *pgx.Conn) error {
		for {
			var there bool
			const marked = "select exists (select from walpost.checkpoint where slot = $1 and snapshot is not null) from pg_sleep(0.02)"
			if err := conn.QueryRow(ctx, marked, tr.slot).Scan(&there); err != nil || there {
				return err
			}
		}
	})
}

// undergo leads a walpost through one ordeal.
func (tr *trial) undergo(o *ordeal) {
	ctx, cancel := context.WithTimeout(tr.t.Context(), 2*time.Minute)
	defer cancel()
	tr.runner.kill()
	step := func(f func(*trial, context.Context) error) {
		if f == nil || tr.t.Failed() {
			return
		}
		if err := f(tr, ctx); err != nil {
			tr.t.Errorf("lead a walpost to %s: %v", o.point, err)
		}
	}
	step((*trial).transact) // for the one that comes next to find
	step(o.before)
	spell := tr.journal.begin(fault{name: "killed at " + o.point.String()})
	defer tr.journal.end(spell)
	tr.runner.arm(ambush{o.point, 1})
	if err := tr.runner.start(); err != nil {
		tr.t.Error(err)
		return
	}
	n := tr.runner.current(true)
	if n == nil { // it was quick
		tr.runner.mu.Lock()
		n = tr.runner.runs[len(tr.runner.runs)-1]
		tr.runner.mu.Unlock()
	}
	select {
	case <-n.done:
	case <-n.ready:
		step(o.during)
		step((*trial).transact)
		step(o.after)
	case <-ctx.Done():
	}
	select {
	case <-n.done:
	case <-ctx.Done():
		tr.t.Errorf("walpost doesn't come to %s:\n%s", o.point, n.log)
		return
	}
	if !n.reached {
		tr.t.Errorf("walpost ended with status %d before it came to %s:\n%s", n.code, o.point, n.log)
	}
}

// transact commits and rolls back transactions of several shapes.
func (tr *trial) transact(ctx context.Context) error {
	return tr.perform(ctx, "plain", "savepoints", "rolled back", "prepared", "large", "insert and update")
}

func (tr *trial) perform(ctx context.Context, names ...string) error {
	if err := tr.worker.connect(ctx); err != nil {
		return err
	}
	for _, name := range names {
		i := slices.IndexFunc(shapes, func(s shape) bool { return s.name == name })
		if err := tr.worker.perform(ctx, &shapes[i]); err != nil {
			return err
		}
	}
	return nil
}

// answerGone makes an endpoint answer 410.
func (tr *trial) answerGone(context.Context) error {
	tr.receiver.behave("good", gone)
	return nil
}

// heal makes it answer as usual, and enables its webhook.
func (tr *trial) heal(ctx context.Context) error {
	tr.receiver.behave("good", healthy)
	return tr.enable(ctx, "good")
}

// mend corrects the rules of the webhook that can't make its requests.
func (tr *trial) mend(context.Context) error { return tr.rules.mend() }

// replay asks for everything in quarantine to be routed again.
func (tr *trial) replay(ctx context.Context) error {
	_, err := tr.ledger.ReplayQuarantined(ctx, ledger.Filter{})
	return err
}

func (tr *trial) reload(context.Context) error {
	if err := tr.rules.change(); err != nil {
		return err
	}
	tr.runner.hangUp()
	return nil
}

// terminate sends SIGTERM; the point is on the way to the end.
func (tr *trial) terminate(ctx context.Context) error {
	_, err := tr.runner.drain(ctx)
	return err
}

// remakeColumn has polling begin with rows that are older than its column.
func (tr *trial) remakeColumn(ctx context.Context) error {
	spell := tr.journal.begin(fault{name: "column made anew", rereads: true})
	defer tr.journal.end(spell)
	return tr.exec(ctx, remakeColumnSQL)
}

// passRetention puts the ledger's clock forward, so that what was resolved before is old enough to be deleted.
func (tr *trial) passRetention(ctx context.Context) error {
	spell := tr.journal.begin(fault{name: "clock put forward", skews: true})
	defer tr.journal.end(spell)
	return tr.setClock(ctx, 2*time.Minute)
}

// dropSlot takes the slot away, with what was committed since.
func (tr *trial) dropSlot(ctx context.Context) error {
	_, err := losing("select pg_drop_replication_slot('{slot}')")(ctx, tr.ground, nil)
	return err
}
