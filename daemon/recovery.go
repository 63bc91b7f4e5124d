package daemon

import (
	"context"
	"errors"
	"fmt"
	"math"
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

const recoveryComplete = "recovery is complete"

// recovery is what a walk ends that comes to a position; 0 is none. The stream's goroutine stores it. As long as there is one, the
// checkpoint keeps its snapshot, for which the table is read: with a newer sample the walk would be of no use to who comes next.
type recovery struct{ until atomic.Uint64 }

// unbounded is a recovery whose end isn't known.
const unbounded = math.MaxUint64

// recovering gives the loss, if the ledger has one whose recovery no checkpoint has passed, and resolves those that one
// has passed.
func (c *checkpointer) recovering(ctx context.Context, checkpoint, passed uint64) (*ledger.Incident, error) {
	if err := c.ledger.SettleIncidents(ctx, c.slot, losses, checkpoint); err != nil {
		return nil, err
	}
	if err := c.ledger.SettleIncidents(ctx, c.slot, failovers, passed); err != nil {
		return nil, err
	}
	return c.ledger.OpenIncident(ctx, c.slot, losses, checkpoint)
}

// takeOver closes a recovery that is over by what the ledger says: the daemon was killed before it did. saved is then as
// the ledger has it, and its walk nil.
func (c *checkpointer) takeOver(ctx context.Context, saved *ledger.Checkpoint, walk *cdc.Walk) (*cdc.Walk, error) {
	mark := markOf(walk)
	closed, err := c.ledger.CloseRecovery(ctx, c.slot, losses, saved.Walk, mark)
	if err != nil || !closed {
		return walk, err
	}
	saved.Snapshot, saved.SnapshotLSN, saved.Coverage, saved.Walk = mark.Snapshot, mark.LSN, mark.Coverage, ""
	c.log.Info().Str(keySlot, c.slot).Stringer(keyLSN, walk.End).Msg(recoveryComplete)
	return nil, nil
}

// markOf is the watermark that a walk's end is: all that it sees is resolved with the walk.
func markOf(w *cdc.Walk) ledger.Watermark {
	return ledger.Watermark{Snapshot: w.First, LSN: uint64(w.End), Coverage: w.Coverage}
}

// lost records a loss before anything is done about it. One that is recorded and whose end isn't known covers it.
func (c *checkpointer) lost(ctx context.Context, loss cdc.Loss) error {
	c.recovery.until.Store(unbounded)
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

// settle closes a recovery once all that was read is resolved, and the ledger knows it. From then on the checkpoint has the
// snapshot in which the table was read, and the coverage of the stream.
func (c *checkpointer) settle(ctx context.Context, walk *cdc.Walk) error {
	until := c.recovery.until.Load()
	if until == 0 || walk == nil || uint64(walk.End) < until {
		return nil
	}
	failpoint.Hit(failpoint.GapPassed)
	text, err := encodeWalk(walk)
	if err != nil {
		return err
	}
	mark := markOf(walk)
	if _, err := c.ledger.CloseRecovery(ctx, c.slot, losses, text, mark); err != nil {
		return err
	}
	c.watermarks.use(mark)
	if c.recovery.until.CompareAndSwap(until, 0) {
		c.log.Info().Str(keySlot, c.slot).Stringer(keyLSN, walk.End).Msg(recoveryComplete)
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
