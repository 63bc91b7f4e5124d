package daemon

import (
	"context"

	"github.com/walpost/walpost/cdc"
)

// source brings the committed rows of the outbox, and is told how far they are resolved. A cdc.Source reads them from the
// WAL, a cdc.Poller from the table.
type source interface {
	// Run works until ctx ends, or until what it needs is gone for good. It closes Batches.
	Run(ctx context.Context) error
	// Batches gives rows, each of which has to be resolved.
	Batches() <-chan cdc.Batch
	// Progress is the position up to which everything that was received is resolved.
	Progress() (cdc.Position, bool)
	// Unresolved reports whether rows were received above Progress.
	Unresolved() bool
	// Advanced is signalled when Progress may have changed.
	Advanced() <-chan struct{}
	// Confirm says that a checkpoint at the position is durable in the ledger.
	Confirm(cdc.Position)
	// Idle says that one at or above its last commit is.
	Idle(cdc.Position)
	Stats() cdc.Stats
	// Recheck has it ask whether its connection is still there.
	Recheck()
}

var (
	_ source = (*cdc.Source)(nil)
	_ source = (*cdc.Poller)(nil)
)
