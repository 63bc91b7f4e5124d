package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/internal/failpoint"
	"github.com/walpost/walpost/internal/ledger"
)

// losses are the kinds of the incidents that stand for a recovery: as long as one of the slot is open, what the
// checkpoint's snapshot doesn't see has to be read from the table.
var losses = []string{slotLost, publicationLost, ledger.Adopted}

const (
	slotLost        = "slot_lost"
	publicationLost = "publication_lost"
	failover        = "failover"
)

// recovery is what a checkpoint at or above a position ends; 0 is none.
type recovery struct{ until atomic.Uint64 }

// recovering gives the loss, if the ledger has one whose recovery no checkpoint has passed, and resolves those that one
// has passed, or whose walk is over: the daemon was killed in between.
func (c *checkpointer) recovering(ctx context.Context, checkpoint, passed uint64, walk *cdc.Walk) (*ledger.Incident, error) {
	if err := c.ledger.SettleIncidents(ctx, c.slot, losses, checkpoint); err != nil {
		return nil, err
	}
	if err := c.ledger.SettleIncidents(ctx, c.slot, failovers, passed); err != nil {
		return nil, err
	}
	incident, err := c.ledger.OpenIncident(ctx, c.slot, losses, checkpoint)
	if incident == nil || err != nil {
		return nil, err
	}
	if end := incident.LSNTo; end == 0 || walk == nil || uint64(walk.End) < end {
		return incident, nil
	}
	return nil, c.ledger.SettleIncidents(ctx, c.slot, losses, incident.LSNTo)
}

// lost records a loss before anything is done about it. One that is recorded and whose end isn't known covers it.
func (c *checkpointer) lost(ctx context.Context, loss cdc.Loss) error {
	c.recovery.until.Store(0)
	open, err := c.ledger.OpenIncident(ctx, c.slot, losses, 0)
	if err != nil || open != nil {
		return err
	}
	kind := slotLost
	if errors.Is(loss.Err, cdc.ErrPublicationLost) {
		kind = publicationLost
	}
	_, err = c.ledger.RecordIncident(ctx, ledger.Incident{
		Slot: c.slot, Kind: kind, LSNFrom: uint64(loss.From), Detail: loss.Reason,
	})
	return err
}

// recovered says in the ledger how far the recovery reaches.
func (c *checkpointer) recovered(ctx context.Context, r *cdc.Recovery) error {
	if r == nil || r.Backlog {
		return nil
	}
	err := c.ledger.BoundIncidents(ctx, c.slot, losses, uint64(r.End), fmt.Sprintf("%d rows were read from the table, and the stream goes on from %s", r.Rows, r.Position))
	if err == nil {
		failpoint.Hit(failpoint.GapBounded)
		c.recovery.until.Store(uint64(r.End))
	}
	return errors.Join(err, c.messagesLost(ctx, r))
}

// failovers are the kinds of incidents that are settled once we lead on the new primary.
var failovers = []string{failover}

// reached is the place in the WAL that a checkpoint has reached, 0 if none: of a snapshot that polling has reached, where it was taken.
func reached(saved *ledger.Checkpoint) uint64 {
	if saved.Coverage == CoveragePolled {
		return saved.SnapshotLSN
	}
	return saved.LSN
}

// failedOver takes note of a failover, which loses nothing of what the new primary has. It is no open question, but tells
// from where on deliveries may be of rows that only the old primary had. It comes before the checkpoint is taken over, which
// says afterwards that it is of the new timeline, and may come again for the same failover.
func (c *checkpointer) failedOver(ctx context.Context, id cdc.Identity) error {
	saved := c.resumed.Load()
	if saved == nil || saved.Timeline == id.Timeline || saved.SystemID != id.SystemID {
		return nil
	}
	at := reached(saved)
	if at == 0 {
		return nil
	}
	open, err := c.ledger.OpenIncident(ctx, c.slot, failovers, at-1)
	if err != nil || open != nil {
		return err
	}
	_, err = c.ledger.RecordIncident(ctx, ledger.Incident{
		Slot: c.slot, Kind: failover, LSNFrom: at, LSNTo: at,
		Detail: fmt.Sprintf("the primary is on timeline %d, before it was on %d; what was delivered after this position may be of "+
			"rows that only the old primary had", id.Timeline, saved.Timeline),
	})
	return err
}

// settle resolves the incident when a checkpoint has passed the recovery.
func (c *checkpointer) settle(ctx context.Context, checkpoint cdc.LSN) error {
	until := c.recovery.until.Load()
	if until == 0 || uint64(checkpoint) < until {
		return nil
	}
	failpoint.Hit(failpoint.GapPassed)
	if err := c.ledger.SettleIncidents(ctx, c.slot, losses, until); err != nil {
		return err
	}
	if c.recovery.until.CompareAndSwap(until, 0) {
		c.log.Info().Str(keySlot, c.slot).Stringer(keyLSN, checkpoint).Msg("recovery is complete")
	}
	return nil
}

// record keeps what ended the stream for good, unless it is recorded.
func (c *checkpointer) record(ctx context.Context, kind string, cause error) error {
	open, err := c.ledger.OpenIncident(ctx, c.slot, []string{kind}, 0)
	if err != nil || open != nil {
		return err
	}
	incident := ledger.Incident{Slot: c.slot, Kind: kind, Detail: cause.Error()}
	if saved := c.resumed.Load(); saved != nil {
		incident.LSNFrom = saved.LSN
	}
	_, err = c.ledger.RecordIncident(ctx, incident)
	return err
}
