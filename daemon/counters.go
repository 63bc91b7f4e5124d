package daemon

import (
	"sync/atomic"

	"github.com/walpost/walpost/internal/ledger"
)

// counters count since the slot's first checkpoint. What the checkpoint has is carried over when a term begins, and the
// sum goes back into the next one, so that nothing is silent and no extra write is needed. A crash forgets what the last
// second counted. What a daemon counts while it stands by comes into the checkpoint when it leads.
type counters struct {
	events, delivered, retried, failed, parked, quarantined, unrouted, duplicates, cancelled, pruned atomic.Uint64
	// carried is what others have counted, modulo 2^64; kept is what of our own is in a checkpoint. The checkpointer alone
	// sets them; nil is none.
	carried, kept atomic.Pointer[ledger.Counters]
}

// own is what this daemon has counted itself.
func (c *counters) own() ledger.Counters {
	return ledger.Counters{
		Events: c.events.Load(), Delivered: c.delivered.Load(), Retried: c.retried.Load(), Failed: c.failed.Load(),
		Parked: c.parked.Load(), Quarantined: c.quarantined.Load(), Unrouted: c.unrouted.Load(), Duplicates: c.duplicates.Load(),
		Cancelled: c.cancelled.Load(), Pruned: c.pruned.Load(),
	}
}

// read gives what this daemon has counted, and the sum since the first checkpoint.
func (c *counters) read() (own, total ledger.Counters) {
	own = c.own()
	carried := c.carried.Load()
	if carried == nil {
		return own, own
	}
	return own, combine(own, *carried, func(a, b uint64) uint64 { return a + b })
}

func (c *counters) total() ledger.Counters {
	_, total := c.read()
	return total
}

// continueFrom goes on from a checkpoint that may have counts of others, and has those of our own that were kept.
func (c *counters) continueFrom(saved ledger.Counters) {
	if kept := c.kept.Load(); kept != nil {
		saved = combine(saved, *kept, func(a, b uint64) uint64 { return a - b })
	}
	c.carried.Store(&saved)
}

// keep notes that a checkpoint has what this daemon had counted then.
func (c *counters) keep(own ledger.Counters) { c.kept.Store(&own) }

func combine(a, b ledger.Counters, f func(a, b uint64) uint64) ledger.Counters {
	return ledger.Counters{
		Events: f(a.Events, b.Events), Delivered: f(a.Delivered, b.Delivered), Retried: f(a.Retried, b.Retried),
		Failed: f(a.Failed, b.Failed), Parked: f(a.Parked, b.Parked), Quarantined: f(a.Quarantined, b.Quarantined),
		Unrouted: f(a.Unrouted, b.Unrouted), Duplicates: f(a.Duplicates, b.Duplicates),
		Cancelled: f(a.Cancelled, b.Cancelled), Pruned: f(a.Pruned, b.Pruned),
	}
}
