//go:build unix

package faults

import (
	"time"
)

// leaseMargin is what a claim's lease lasts beyond the attempt's timeout.
const leaseMargin = 15 * time.Second

// checkRepeats: a delivery that has succeeded succeeds again only where a fault explains it.
func (c *checker) checkRepeats(d delivery, all []request) {
	var before *request
	for i := range all {
		if !all[i].succeeded() {
			continue
		}
		if before != nil {
			if cause := c.cause(d, before, &all[i]); cause != "" {
				c.figures.repeats[cause]++
			} else {
				c.figures.unexplained++
				c.problem("repeat: %v succeeded twice without a reason:\n%s", d, c.history(d, all))
			}
		}
		before = &all[i]
	}
}

// cause is why a delivery was sent again after it had succeeded, "" if there is no reason. The process that had the
// success and didn't bring it to the ledger is the one to look at.
func (c *checker) cause(d delivery, before, after *request) string {
	sender := c.runner.runs[before.run]
	if after.run != before.run {
		if sender.killed {
			return "killed"
		}
		if during := c.journal.during(sender.drain, sender.ended); !sender.drain.IsZero() && unclean(during) {
			return "drained in the midst of a fault"
		}
	}
	if class, ok := c.failures[failure{before.id, before.attempt}]; ok && after.attempt != before.attempt {
		return "the answer didn't reach walpost (" + class + ")"
	}
	// What the process met since it began may have set a due time.
	for _, s := range c.journal.during(sender.started, after.received) {
		if s.skews {
			return "clock"
		}
	}
	lease := webhookNamed(d.webhook).timeout + leaseMargin
	if during := c.journal.during(before.at, after.received); after.received.Sub(before.at) >= lease && unclean(during) {
		return "the lease ran out"
	}
	return ""
}

// unclean reports whether a fault of the host was in force: then outcomes don't reach the ledger.
func unclean(spells []*spell) bool {
	for _, s := range spells {
		for i := range hostFaults {
			if hostFaults[i].name == s.fault {
				return true
			}
		}
	}
	return false
}
