package daemon

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/internal/ledger"
)

// checkpointer makes the stream's progress durable and only then confirms it to the server: the slot never
// passes what the ledger doesn't know to be resolved. A position that only idle WAL has moved needs no checkpoint,
// so an idle host sees no write.
type checkpointer struct {
	*pipeline
	source *cdc.Source
	slot   string
	every  time.Duration
	owner  atomic.Pointer[ownership]
	saved  cdc.LSN
	state  trouble
}

// ownership is what we became when we got the slot.
type ownership struct {
	identity cdc.Identity
	epoch    int64
}

// resume gives the stream the durable position to start from.
func (c *checkpointer) resume(ctx context.Context) (*cdc.Resume, error) {
	saved, err := c.ledger.Checkpoint(ctx, c.slot)
	if err != nil || saved == nil {
		return nil, err
	}
	c.counters.base.CompareAndSwap(nil, &saved.Counters)
	return &cdc.Resume{LSN: cdc.LSN(saved.LSN), SystemID: saved.SystemID, Timeline: saved.Timeline}, nil
}

// acquired takes the slot's next epoch, which fences the checkpoints of whoever had the slot before.
func (c *checkpointer) acquired(ctx context.Context, id cdc.Identity) error {
	epoch, err := c.ledger.Acquire(ctx, c.slot, id.SystemID, id.Timeline)
	if err != nil {
		return err
	}
	c.owner.Store(&ownership{identity: id, epoch: epoch})
	c.log.Info().Str(keySlot, c.slot).Stringer(keyLSN, id.Start).Int64(keyEpoch, epoch).Msg("slot acquired")
	return nil
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

// save writes a checkpoint if a resolved transaction asks for one, then confirms.
func (c *checkpointer) save(ctx context.Context) error {
	position, ok := c.source.Progress()
	owner := c.owner.Load()
	if !ok || owner == nil {
		return nil
	}
	if position.Commit() > c.saved {
		err := c.ledger.SaveCheckpoint(ctx, ledger.Checkpoint{
			Slot: c.slot, LSN: uint64(position.LSN()),
			SystemID: owner.identity.SystemID, Timeline: owner.identity.Timeline,
			Epoch: owner.epoch, Counters: c.counters.total(),
		})
		if errors.Is(err, ledger.ErrFenced) {
			return nil // another daemon has the slot: what we know of its position no longer counts
		}
		if err != nil {
			return err
		}
		c.saved = position.Commit()
	}
	c.source.Confirm(position)
	return nil
}
