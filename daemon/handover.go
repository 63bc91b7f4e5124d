package daemon

import (
	"context"
	"time"

	"github.com/walpost/walpost/cdc"
)

// handOverGrace is what running attempts get to end by themselves: most do, and leave no trace in the ledger then.
const handOverGrace = time.Second

// handOver makes room for another leader while attempts of ours may still run: these are recorded as owed under a lease,
// as those are that take long, so that the last checkpoint passes their events and nobody sends them again unless we don't
// come back with their outcome. It reports false where the ledger doesn't take that, or what is left of a transaction
// isn't resolved: then the slot stays ours until the attempts have ended.
func (d *Daemon) handOver(taken cdc.Transaction) bool {
	if d.term.Load() == nil {
		return true // there is nothing that is ours
	}
	ctx, cancel := context.WithTimeout(d.working, handOverGrace+flushTimeout)
	defer cancel()
	if !d.budget.empties(ctx, handOverGrace) {
		for _, q := range d.plan.Load().queues {
			d.recordLate(q, time.Now(), everyAge)
		}
		if !d.budget.empties(ctx, flushTimeout) {
			return false
		}
	}
	return d.checkpoint(ctx, taken) == nil
}

// everyAge makes recordLate take what has just begun.
const everyAge = -time.Minute
