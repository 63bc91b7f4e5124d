//go:build unix

package faults

import (
	"slices"
	"strings"
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
	if after.run != before.run && sender.killed {
		return "killed"
	}
	class, failed := c.failures[failure{before.id, before.attempt}]
	if failed && class != "status" && after.attempt != before.attempt {
		return "the answer didn't reach walpost (" + class + ")"
	}
	drained := before.run
	if after.run == before.run {
		drained-- // what this one was given twice may be what the one before it left
	}
	if !c.strict && c.split(drained, c.workload.rows[d.event].transaction) {
		return "drained in the midst of a transaction"
	}
	if !c.strict && after.run == before.run && c.hasty(drained) {
		return "drained before it had caught up after a kill"
	}
	if after.run != before.run && !sender.drain.IsZero() {
		if during := hostFaultsOf(c.journal.during(sender.drain, sender.ended)); during != "" {
			return "drained during " + during
		}
	}
	// It says so itself, and ends well all the same: it tries once, perhaps on a connection that has just been lost.
	if !c.strict && !sender.drain.IsZero() && strings.Contains(sender.log.String(), "last checkpoint not saved") {
		return "drained without the last checkpoint"
	}
	// The server goes on with what a killed process was writing: it may be committed after the next one has looked.
	if before.run > 0 && after.run == before.run {
		last := c.runner.runs[before.run-1]
		if during := hostFaultsOf(c.journal.during(last.ended.Add(-time.Second), before.received)); last.killed && during != "" {
			return "a killed walpost's record came late"
		}
	}
	// What the process met since it began may have set a due time.
	for _, s := range c.journal.during(sender.started, after.received) {
		if s.skews {
			return "clock"
		}
	}
	lease := webhookNamed(d.webhook).timeout + leaseMargin
	during := hostFaultsOf(c.journal.during(before.at, after.received))
	if after.received.Sub(before.at) >= lease && during != "" {
		return "the lease ran out during " + during
	}
	return ""
}

// split reports whether a transaction may be the one that a drained process had taken a part of. There is one at most.
// Such a process neither delivers nor records the rest, so the transaction comes again, and with it, today, what was
// delivered or recorded of it: the next process doesn't ask the ledger after a drain in order.
func (c *checker) split(number int, transaction int64) bool {
	if number < 0 || c.runner.runs[number].drain.IsZero() {
		return false
	}
	if _, known := c.halves[number]; !known {
		c.halves[number] = transaction
	}
	return c.halves[number] == transaction
}

// hasty reports whether a process was drained after others were killed. What those had recorded it may not have met yet,
// and today the next process takes the drain for the assurance that there is no such record.
func (c *checker) hasty(number int) bool {
	for n := number; n >= 0 && !c.runner.runs[n].killed; n-- {
		if n == 0 {
			return false
		}
	}
	return number >= 0 && !c.runner.runs[number].drain.IsZero()
}

// hostFaultsOf names those spells that may keep outcomes from the ledger.
func hostFaultsOf(spells []*spell) string {
	var found []string
	for _, s := range spells {
		for i := range hostFaults {
			if hostFaults[i].name == s.fault {
				found = append(found, s.fault)
			}
		}
	}
	slices.Sort(found)
	return strings.Join(slices.Compact(found), " and ")
}
