package ledger

import (
	"context"
	_ "embed" // statements
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var (
	//go:embed sql/checkpoint.sql
	checkpointSQL string
	//go:embed sql/checkpoint_acquire.sql
	checkpointAcquireSQL string
	//go:embed sql/checkpoint_save.sql
	checkpointSaveSQL string
	//go:embed sql/walk_save.sql
	walkSaveSQL string
	//go:embed sql/recovery_close.sql
	recoveryCloseSQL string
)

// Checkpoint is how far a slot's WAL is resolved.
type Checkpoint struct {
	Slot        string
	LSN         uint64 // everything committed at or below it is delivered or recorded
	SystemID    string // of the cluster that the LSN belongs to
	Timeline    int32
	Epoch       int64  // of the slot's owner
	Snapshot    string // pg_snapshot in text form: all that it sees is resolved; "" none
	SnapshotLSN uint64 // at or below LSN, or the end of a recovery, whose reading Snapshot is then
	Coverage    string // of the publication, by Snapshot's time; see Watermark
	Walk        string // JSON of how far the table was read for the gap above Snapshot, a cdc.Walk; "" none
	Counters    Counters
	Drained     bool      // its owner ended in order: nothing above LSN is recorded
	UpdatedAt   time.Time // set by the database
	EpochAt     time.Time // when Epoch began; set by the database
}

// Counters are totals since the slot's first start. They are saved with the checkpoint, so they cost no write of their own,
// and may be behind by what happened after the last one.
type Counters struct {
	Events      uint64 `json:"events"`
	Delivered   uint64 `json:"delivered"`
	Retried     uint64 `json:"retried"`
	Failed      uint64 `json:"failed"`
	Parked      uint64 `json:"parked"`
	Quarantined uint64 `json:"quarantined"`
	Unrouted    uint64 `json:"unrouted"`
	Duplicates  uint64 `json:"duplicates"`
	Cancelled   uint64 `json:"cancelled"` // parked for longer than ledger.hold
	Pruned      uint64 `json:"pruned"`    // outbox rows that were deleted; those of partitions that were dropped by estimate
}

// Checkpoint gives the slot's checkpoint, or nil if it has none.
func (l *Ledger) Checkpoint(ctx context.Context, slot string) (*Checkpoint, error) {
	var c Checkpoint
	var position, snapshot lsn
	err := l.pool.QueryRow(ctx, checkpointSQL, slot).Scan(&c.Slot, &position, &c.SystemID, &c.Timeline, &c.Epoch,
		&c.Snapshot, &snapshot, &c.Coverage, &c.Counters, &c.Drained, &c.UpdatedAt, &c.EpochAt, &c.Walk)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read checkpoint of slot %q: %w", slot, err)
	}
	c.LSN, c.SnapshotLSN = uint64(position), uint64(snapshot)
	return &c, nil
}

// Acquire makes the caller, who holds the slot, its owner in the ledger, and gives the epoch: whoever owned it before can't
// save a checkpoint any more, nor record what the slot sent. It waits for what is just being recorded, which is in the
// ledger afterwards. An owner whose epoch, mine, is still the newest keeps it. A slot without a checkpoint gets one at 0/0.
func (l *Ledger) Acquire(ctx context.Context, slot, systemID string, timeline int32, mine int64) (epoch int64, err error) {
	err = l.pool.QueryRow(ctx, checkpointAcquireSQL, slot, systemID, timeline, mine).Scan(&epoch)
	if err != nil {
		return 0, fmt.Errorf("acquire checkpoint of slot %q: %w", slot, err)
	}
	return epoch, nil
}

// SaveCheckpoint moves the slot's checkpoint to LSN, never back, and saves the counters. Snapshot and walk are kept if c has
// none, the walk as long as the snapshot stays; the system is Acquire's. ErrFenced: c.Epoch is not the newest, or the server isn't on c.Timeline any more: a failover came
// between, and what the position stands for may never have been there.
func (l *Ledger) SaveCheckpoint(ctx context.Context, c Checkpoint) error {
	tag, err := l.pool.Exec(ctx, checkpointSaveSQL, c.Slot, c.Epoch, lsn(c.LSN).String(),
		c.Snapshot, lsn(c.SnapshotLSN).String(), c.Counters, c.Drained, c.Coverage, c.Timeline, c.Walk)
	return c.saved("checkpoint", tag, err)
}

// saved is the error of having saved a part of the checkpoint, if there is one.
func (c *Checkpoint) saved(part string, tag pgconn.CommandTag, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("save %s of slot %q: %w", part, c.Slot, err)
	case tag.RowsAffected() == 0:
		return fmt.Errorf("save %s of slot %q in epoch %d on timeline %d: %w", part, c.Slot, c.Epoch, c.Timeline, ErrFenced)
	}
	return nil
}

// SaveWalk saves the checkpoint's walk, unless c has none, and counters, while there is no position yet. Its error is as SaveCheckpoint's.
func (l *Ledger) SaveWalk(ctx context.Context, c Checkpoint) error {
	tag, err := l.pool.Exec(ctx, walkSaveSQL, c.Slot, c.Epoch, c.Walk, c.Timeline, c.Counters)
	return c.saved("the walk", tag, err)
}

// CloseRecovery resolves the incidents of these kinds at a slot that end at or below mark.LSN, the end of a walk, and makes mark the
// checkpoint's, in one statement; mark.Snapshot is the one in which the walk has read. closed is false if the checkpoint stays as
// it is: it has another walk by now, or one of the incidents isn't over.
func (l *Ledger) CloseRecovery(ctx context.Context, slot string, kinds []string, walk string, mark Watermark) (closed bool, err error) {
	tag, err := l.pool.Exec(ctx, recoveryCloseSQL, slot, kinds, lsn(mark.LSN).String(), walk, mark.Snapshot, mark.Coverage)
	if err != nil {
		return false, fmt.Errorf("close the recovery of slot %q: %w", slot, err)
	}
	return tag.RowsAffected() == 1, nil
}
