//go:build unix

package faults

import (
	"fmt"
	"time"

	"github.com/walpost/walpost/internal/failpoint"
)

// details tell what a run came to.
func (f *figures) details(g *ground) []string {
	disk := "of its own, in memory"
	if g.disk == nil {
		disk = "shared: a full one is a trigger's word"
	}
	faults := g.journal.counts()
	unhit := []string{}
	for _, p := range failpoint.All() {
		if f.points[p.String()] == 0 {
			unhit = append(unhit, p.String())
		}
	}
	return []string{
		fmt.Sprintf("%d transactions committed (%d rows), %d rolled back (%d rows that must not arrive): %v", f.transactions, f.rows, f.rollbacks, f.ghosts, g.workload.shapes),
		fmt.Sprintf("%d faults: %v", faults.total(), faults),
		fmt.Sprintf("%d walposts: %v; failpoints: %v; not hit: %v", len(g.runner.runs), f.ends, f.points, unhit),
		fmt.Sprintf("%d deliveries in %d requests, of which as they should %v; %d rows quarantined, %d unrouted, %d deleted before their slot was lost", f.deliveries,
			f.requests, f.accounted, f.quarantined, f.unrouted, f.unrecoverable),
		fmt.Sprintf("counted by walpost: %+v; incidents: %v; the ledger's disk: %s", f.counters, f.incidents, disk),
	}
}

// summary is the whole in one line.
func (f *figures) summary(g *ground) string {
	return fmt.Sprintf("%d events, %d transactions, %d rollbacks, %d kills (at %d of %d failpoints), %d faults; "+
		"lost %d, owed %d, ghosts %d, repeats %d (%v), without a reason %d; recovered in %s at the median, %s at most",
		f.rows, f.transactions, f.rollbacks, f.ends["killed"]+f.ends["killed at a failpoint"], len(f.points), len(failpoint.All()),
		g.journal.counts().total(), f.lost, f.owed, f.invented, f.repeats.total()+f.unexplained, f.repeats, f.unexplained,
		middle(f.recovery), most(f.recovery))
}

// middle is the median of sorted times.
func middle(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	return times[len(times)/2].Round(time.Millisecond)
}

// most is the longest of sorted times.
func most(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	return times[len(times)-1].Round(time.Millisecond)
}
