package daemon

import (
	"context"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/internal/ledger"
)

// CoveragePolled is the coverage of a checkpoint whose snapshot polling has reached. No publication has it, so a stream that comes after it
// reads from the table what the snapshot doesn't see, whatever its slot has.
const CoveragePolled = "polled"

// begin makes durable what polling begins after, where there was no checkpoint: rows that are committed from now on are
// found by whoever starts next.
func (c *checkpointer) begin(ctx context.Context, id cdc.Identity, epoch int64) error {
	if id.Snapshot == "" {
		return nil
	}
	own, counters := c.counters.read()
	err := c.ledger.SaveCheckpoint(ctx, ledger.Checkpoint{
		Slot: c.slot, Timeline: id.Timeline, Epoch: epoch, Counters: counters,
		Snapshot: id.Snapshot, SnapshotLSN: uint64(id.Start), Coverage: CoveragePolled,
	})
	if err == nil {
		c.counters.keep(own)
	}
	return err
}

// checkpoint is what is saved of a position, without the counters: with a stream its place in the WAL and the newest sample below it, with
// polling the snapshot that it is. Then the place in the WAL stays where a stream has left it: transactions that were
// committed below it may not be seen yet.
func (c *checkpointer) checkpoint(p cdc.Position, owner *ownership) (saved ledger.Checkpoint, err error) {
	saved = ledger.Checkpoint{
		Slot: c.slot, SystemID: owner.identity.SystemID, Timeline: owner.identity.Timeline,
		Epoch: owner.epoch,
	}
	if p.Snapshot() != "" {
		saved.Snapshot, saved.SnapshotLSN, saved.Coverage = p.Snapshot(), uint64(p.Commit()), CoveragePolled
		return saved, nil
	}
	saved.LSN = uint64(p.LSN())
	if c.recovery.until.Load() == 0 {
		mark := c.watermarks.newest(p.LSN())
		saved.Snapshot, saved.SnapshotLSN, saved.Coverage = mark.Snapshot, mark.LSN, owner.identity.Coverage
	}
	if p.Walk() != c.savedWalk { // one that is saved may be over since
		saved.Walk, err = encodeWalk(p.Walk())
	}
	return saved, err
}

// due reports whether the position has passed rows since the latest checkpoint, or whether a newer sample is worth one.
func (c *checkpointer) due(p cdc.Position, next ledger.Checkpoint) bool {
	if p.Snapshot() != "" {
		return p.Snapshot() != c.savedSnapshot
	}
	return p.Commit() > c.saved || p.Walk() != c.savedWalk || c.watermarks.late(ledger.Watermark{Snapshot: next.Snapshot, LSN: next.SnapshotLSN}, c.saved)
}
