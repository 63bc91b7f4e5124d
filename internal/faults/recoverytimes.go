//go:build unix

package faults

import (
	"slices"
	"strings"
	"time"
)

// recoveryTimes are how long it took after each fault of the process, the host, the network or the slot until something
// that was committed afterwards had arrived: other faults that came in between are part of it.
func (c *checker) recoveryTimes() (times []time.Duration) {
	type landing struct{ committed, arrived time.Time }
	var landings []landing
	for d, all := range c.receiver.book {
		if d.webhook != "good" {
			continue
		}
		_, t, ok := c.workload.committed(d.event)
		for i := range all {
			if ok && all[i].succeeded() {
				landings = append(landings, landing{t.ended, all[i].received})
				break
			}
		}
	}
	// From the last committed on: the earliest arrival of what was committed at that time or later.
	slices.SortFunc(landings, func(a, b landing) int { return a.committed.Compare(b.committed) })
	for i := len(landings) - 2; i >= 0; i-- {
		if landings[i+1].arrived.Before(landings[i].arrived) {
			landings[i].arrived = landings[i+1].arrived
		}
	}
	for _, s := range c.journal.all() {
		if strings.HasPrefix(s.fault, "endpoint") {
			continue
		}
		at, _ := slices.BinarySearchFunc(landings, s.to, func(l landing, t time.Time) int { return l.committed.Compare(t) })
		if at < len(landings) {
			times = append(times, max(0, landings[at].arrived.Sub(s.to)))
		}
	}
	slices.Sort(times)
	return times
}
