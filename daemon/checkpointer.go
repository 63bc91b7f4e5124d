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
	// messages is the prefix of the logical messages that are events, too; empty: none are.
	messages string
	outbox   ledger.Outbox
	every    time.Duration
	owner    atomic.Pointer[ownership] // of the latest term
	// resumed is the checkpoint as it was found at the latest connect.
	resumed atomic.Pointer[ledger.Checkpoint]
	// saved is the commit that the latest checkpoint was written for, savedSnapshot its snapshot where the table is polled.
	saved         cdc.LSN
	savedSnapshot string
	savedWalk     *cdc.Walk
	savedBy       *ownership
	streamed      bool // a stream has begun before; the stream's goroutine alone uses it
	state         trouble
	watermarks    watermarks
	recovery      recovery
	// parkAfter is Options.ParkAfter.
	parkAfter time.Duration
}

// ownership is what we became when we got the slot.
type ownership struct {
	*term
	identity cdc.Identity
}

// owned gives what we are now, nil if another daemon leads or may.
func (c *checkpointer) owned() *ownership {
	if owner := c.owner.Load(); owner != nil && !owner.over.Load() {
		return owner
	}
	return nil
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
	walk, err := decodeWalk(saved.Walk)
	if err != nil {
		return nil, err
	}
	if walk.Over(saved.Snapshot) {
		if walk, err = c.takeOver(ctx, saved, walk); err != nil {
			return nil, err
		}
	}
	loss, err := c.recovering(ctx, saved.LSN, reached(saved))
	if err != nil {
		return nil, err
	}
	var until uint64
	if loss != nil {
		until = unbounded // its end is told anew once the slot is ours
	}
	c.recovery.until.Store(until)
	c.resumed.Store(saved)
	owner := c.owned()
	return &cdc.Resume{
		LSN: cdc.LSN(saved.LSN), SystemID: saved.SystemID, Timeline: saved.Timeline,
		Superseded: owner == nil || owner.epoch != saved.Epoch,
		Snapshot:   saved.Snapshot, Coverage: saved.Coverage, Walk: walk,
		Recovering: loss != nil, Unpublished: loss != nil && loss.Kind == publicationLost && loss.LSNTo == 0,
	}, nil
}

// errOvertaken says that another daemon has led since the checkpoint was read.
var errOvertaken = errors.New("another daemon has led meanwhile")

// acquired takes the slot's next epoch, which fences whoever had the slot before: its checkpoints, and what it records of
// the stream. A term that goes on keeps its epoch.
func (c *checkpointer) acquired(ctx context.Context, id cdc.Identity) error {
	before := c.owned()
	var mine int64
	if before != nil {
		mine = before.epoch
	}
	if err := c.failedOver(ctx, id); err != nil {
		return err
	}
	epoch, err := c.ledger.Acquire(ctx, c.slot, id.SystemID, id.Timeline, mine)
	switch {
	case err != nil:
		return err
	case before == nil:
		if err := c.beginTerm(ctx, id, epoch); err != nil {
			return err
		}
	case before.epoch != epoch:
		c.endTerm()
		return errOvertaken
	default:
		c.owner.Store(&ownership{term: before.term, identity: id})
	}
	if id.Reading {
		return nil
	}
	return c.connected(ctx, id, epoch)
}

// beginTerm begins to lead with the slot's epoch. What is received from now on is ours.
func (c *checkpointer) beginTerm(ctx context.Context, id cdc.Identity, epoch int64) error {
	if saved := c.resumed.Load(); saved != nil {
		c.counters.continueFrom(saved.Counters)
	}
	t := &term{epoch: epoch}
	c.owner.Store(&ownership{term: t, identity: id})
	c.term.Store(t)
	if err := ctx.Err(); err != nil { // the lead was lost just now, or we end
		c.endTerm()
		return err
	}
	c.log.Info().Str(keySlot, c.slot).Stringer(keyLSN, id.Start).Int64(keyEpoch, epoch).Msg("leading")
	return nil
}

// connected takes note of a stream that is about to begin.
func (c *checkpointer) connected(ctx context.Context, id cdc.Identity, epoch int64) error {
	if c.streamed {
		// Samples may be of transactions that a crash or a failover has undone since, whose ids others have now.
		c.watermarks.clear()
	}
	c.streamed = true
	if err := c.sample(ctx, id.Coverage); err != nil {
		return err
	}
	if saved := c.resumed.Load(); saved != nil && saved.Timeline != id.Timeline {
		if err := c.ledger.SettleIncidents(ctx, c.slot, failovers, reached(saved)); err != nil {
			return err
		}
	}
	if err := c.recovered(ctx, id.Recovery); err != nil {
		return err
	}
	failpoint.Hit(failpoint.SlotAcquired)
	return errors.Join(c.pass(ctx, id, epoch), c.begin(ctx, id, epoch))
}

// pass raises the checkpoint to where the slot was found, if that is ahead: only idle WAL is between them. From then on
// a slot that is ahead of it was moved.
func (c *checkpointer) pass(ctx context.Context, id cdc.Identity, epoch int64) error {
	at := id.Passed
	if saved := c.resumed.Load(); at == 0 || saved != nil && at <= cdc.LSN(saved.LSN) {
		return nil
	}
	mark := c.watermarks.newest(at)
	own, counters := c.counters.read()
	err := c.ledger.SaveCheckpoint(ctx, ledger.Checkpoint{
		Slot: c.slot, LSN: uint64(at), Timeline: id.Timeline, Epoch: epoch, Counters: counters,
		Snapshot: mark.Snapshot, SnapshotLSN: mark.LSN, Coverage: id.Coverage,
	})
	if err == nil {
		c.counters.keep(own)
	}
	return err
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
func (c *checkpointer) awaitCommit(ctx context.Context, taken cdc.Transaction) {
	grace := time.NewTimer(commitGrace)
	defer grace.Stop()
	for {
		if taken.Resolved() {
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

// orderly reports whether nothing above the checkpoint is recorded: we have left no transaction in the middle and no table, and
// have met all that a daemon which was killed before us may have recorded.
func (c *checkpointer) orderly() bool {
	until := c.recordedUntil()
	if p, _ := c.source.Progress(); p.Walk() != nil && p.Walk().End == 0 {
		return false
	}
	return !c.source.Unresolved() && (until.IsZero() || c.source.Stats().LastCommit.After(until))
}

const drainedAgain = 200 * time.Millisecond

func (c *checkpointer) write(ctx context.Context, last bool) error {
	position, ok := c.source.Progress()
	owner := c.owned()
	if owner == nil {
		return nil
	}
	if owner != c.savedBy { // of another connection, and maybe of another timeline
		c.saved, c.savedBy = 0, owner
	}
	if !ok {
		return c.walked(ctx, position.Walk(), owner)
	}
	next, err := c.checkpoint(position, owner)
	if err != nil {
		return err
	}
	pass := c.source.Idle
	if last || c.due(position, next) {
		failpoint.Hit(failpoint.BeforeCheckpoint)
		own, counters := c.counters.read()
		next.Counters, next.Drained = counters, last && c.orderly()
		err := c.ledger.SaveCheckpoint(ctx, next)
		if errors.Is(err, ledger.ErrFenced) {
			c.overtaken(owner.term)
			return nil // another daemon has the slot, or the server is another: what we know of its position no longer counts
		}
		if err != nil {
			return err
		}
		failpoint.Hit(failpoint.AfterCheckpoint)
		c.counters.keep(own)
		c.saved, c.savedSnapshot = position.Commit(), position.Snapshot()
		c.keptWalk(position.Walk())
		c.watermarks.use(ledger.Watermark{Snapshot: next.Snapshot, LSN: next.SnapshotLSN})
		pass = c.source.Confirm
	}
	if err := c.settle(ctx, position.Walk()); err != nil {
		return err
	}
	failpoint.Hit(failpoint.BeforeConfirm)
	pass(position)
	failpoint.Hit(failpoint.AfterConfirm)
	return nil
}
