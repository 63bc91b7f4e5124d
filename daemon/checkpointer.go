package daemon

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/internal/failpoint"
	"github.com/walpost/walpost/internal/ledger"
)

// checkpointer makes the stream's progress durable and only then confirms it to the server: the slot never
// passes what the ledger doesn't know to be resolved. A position that only idle WAL has moved needs no checkpoint,
// so an idle host sees no write.
type checkpointer struct {
	*pipeline
	source source
	slot   string
	outbox ledger.Outbox
	every  time.Duration
	owner  atomic.Pointer[ownership]
	// resumed is the checkpoint as it was found at the latest connect.
	resumed    atomic.Pointer[ledger.Checkpoint]
	saved      cdc.LSN
	state      trouble
	watermarks watermarks
	recovery   recovery
	// parkAfter is Options.ParkAfter.
	parkAfter time.Duration
}

// ownership is what we became when we got the slot.
type ownership struct {
	identity cdc.Identity
	epoch    int64
}

// resume gives the stream the durable position to start from.
func (c *checkpointer) resume(ctx context.Context) (*cdc.Resume, error) {
	saved, err := c.ledger.Checkpoint(ctx, c.slot)
	if err != nil {
		return nil, err
	}
	if saved == nil {
		return nil, c.sample(ctx, "") // before there is a slot, so that the first checkpoint has it
	}
	recovering, err := c.recovering(ctx, saved.LSN)
	if err != nil {
		return nil, err
	}
	c.counters.base.CompareAndSwap(nil, &saved.Counters)
	c.resumed.Store(saved)
	return &cdc.Resume{
		LSN: cdc.LSN(saved.LSN), SystemID: saved.SystemID, Timeline: saved.Timeline,
		Snapshot: saved.Snapshot, Coverage: saved.Coverage, Recovering: recovering,
	}, nil
}

// acquired takes the slot's next epoch, which fences the checkpoints of whoever had the slot before.
func (c *checkpointer) acquired(ctx context.Context, id cdc.Identity) error {
	epoch, err := c.ledger.Acquire(ctx, c.slot, id.SystemID, id.Timeline)
	if err != nil {
		return err
	}
	if c.owner.Load() != nil {
		// Samples may be of transactions that a crash or a failover has undone since, whose ids others have now.
		c.watermarks.clear()
	}
	if err := c.sample(ctx, id.Coverage); err != nil {
		return err
	}
	if err := c.recovered(ctx, id.Recovery); err != nil {
		return err
	}
	failpoint.Hit(failpoint.SlotAcquired)
	if err := c.pass(ctx, id, epoch); err != nil {
		return err
	}
	c.owner.Store(&ownership{identity: id, epoch: epoch})
	c.log.Info().Str(keySlot, c.slot).Stringer(keyLSN, id.Start).Int64(keyEpoch, epoch).Msg("slot acquired")
	return nil
}

// pass raises the checkpoint to where the slot was found, if that is ahead: only idle WAL is between them. From then on
// a slot that is ahead of it was moved.
func (c *checkpointer) pass(ctx context.Context, id cdc.Identity, epoch int64) error {
	at := id.Passed
	if saved := c.resumed.Load(); at == 0 || saved != nil && at <= cdc.LSN(saved.LSN) {
		return nil
	}
	mark := c.watermarks.newest(at)
	return c.ledger.SaveCheckpoint(ctx, ledger.Checkpoint{
		Slot: c.slot, LSN: uint64(at), Epoch: epoch, Counters: c.counters.total(),
		Snapshot: mark.Snapshot, SnapshotLSN: mark.LSN, Coverage: id.Coverage,
	})
}

func (c *checkpointer) run(ctx context.Context) error {
	saved := true
	for {
		if saved {
			select {
			case <-ctx.Done():
				return nil
			case <-c.source.Advanced():
			}
		}
		err := c.save(ctx)
		if ctx.Err() != nil {
			return nil
		}
		c.state.note(err)
		saved = err == nil
		timer := time.NewTimer(c.every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// recordedUntil bounds when a transaction was committed of which the ledger may know something although it is above
// the checkpoint: a daemon that was killed had recorded deliveries behind one that was unresolved, for parkAfter
// at most. Zero: the last owner ended in order, so there are none.
func (c *checkpointer) recordedUntil() time.Time {
	saved := c.resumed.Load()
	if saved == nil || saved.Drained {
		return time.Time{}
	}
	return saved.UpdatedAt.Add(c.parkAfter + recordedMargin)
}

// recordedMargin is for the way to the ledger, and for a checkpoint that was due when the daemon was killed.
const recordedMargin = 20 * time.Second

// save writes a checkpoint if a resolved transaction asks for one, then confirms.
func (c *checkpointer) save(ctx context.Context) error { return c.write(ctx, false) }

// commitGrace is how long awaitCommit waits at most.
const commitGrace = time.Second

// awaitCommit waits until the transaction of the latest row that was taken is resolved as a whole. Rows are taken before
// their commit has arrived, which follows at once, unless the rest of the transaction was left in the stream.
func (c *checkpointer) awaitCommit(ctx context.Context, taken cdc.LSN) {
	if taken == 0 {
		return
	}
	grace := time.NewTimer(commitGrace)
	defer grace.Stop()
	for {
		if position, _ := c.source.Progress(); position.Commit() > taken {
			return
		}
		select {
		case <-c.source.Advanced():
		case <-grace.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// drained writes the last checkpoint, which tells the next owner that nothing above it is recorded, if so. It tries
// again until ctx ends.
func (c *checkpointer) drained(ctx context.Context) error {
	for {
		err := c.write(ctx, true)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(drainedAgain):
		}
	}
}

// orderly reports whether nothing above the checkpoint is recorded: we have left no transaction in the middle, and have
// met all that a daemon which was killed before us may have recorded.
func (c *checkpointer) orderly() bool {
	until := c.recordedUntil()
	return !c.source.Unresolved() && (until.IsZero() || c.source.Stats().LastCommit.After(until))
}

const drainedAgain = 200 * time.Millisecond

func (c *checkpointer) write(ctx context.Context, last bool) error {
	position, ok := c.source.Progress()
	owner := c.owner.Load()
	if !ok || owner == nil {
		return nil
	}
	mark := c.watermarks.newest(position.LSN())
	pass := c.source.Idle
	if position.Commit() > c.saved || last || c.watermarks.late(mark, c.saved) {
		failpoint.Hit(failpoint.BeforeCheckpoint)
		err := c.ledger.SaveCheckpoint(ctx, ledger.Checkpoint{
			Slot: c.slot, LSN: uint64(position.LSN()),
			SystemID: owner.identity.SystemID, Timeline: owner.identity.Timeline,
			Epoch: owner.epoch, Counters: c.counters.total(),
			Drained:  last && c.orderly(),
			Snapshot: mark.Snapshot, SnapshotLSN: mark.LSN, Coverage: owner.identity.Coverage,
		})
		if errors.Is(err, ledger.ErrFenced) {
			return nil // another daemon has the slot: what we know of its position no longer counts
		}
		if err != nil {
			return err
		}
		failpoint.Hit(failpoint.AfterCheckpoint)
		c.saved = position.Commit()
		c.watermarks.use(mark)
		pass = c.source.Confirm
	}
	if err := c.settle(ctx, position.LSN()); err != nil {
		return err
	}
	failpoint.Hit(failpoint.BeforeConfirm)
	pass(position)
	failpoint.Hit(failpoint.AfterConfirm)
	return nil
}
