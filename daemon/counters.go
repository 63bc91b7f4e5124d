package daemon

import (
	"sync/atomic"

	"github.com/walpost/walpost/internal/ledger"
)

// counters count since the slot's first checkpoint: the base comes from the checkpoint, and the sum goes back
// into the next one, so that nothing is silent and no extra write is needed. A crash forgets what the last second
// counted.
type counters struct {
	events, delivered, retried, failed, parked, quarantined, unrouted, duplicates atomic.Uint64
	base                                                                          atomic.Pointer[ledger.Counters]
}

func (c *counters) total() ledger.Counters {
	t := ledger.Counters{}
	if base := c.base.Load(); base != nil {
		t = *base
	}
	t.Events += c.events.Load()
	t.Delivered += c.delivered.Load()
	t.Retried += c.retried.Load()
	t.Failed += c.failed.Load()
	t.Parked += c.parked.Load()
	t.Quarantined += c.quarantined.Load()
	t.Unrouted += c.unrouted.Load()
	t.Duplicates += c.duplicates.Load()
	return t
}
