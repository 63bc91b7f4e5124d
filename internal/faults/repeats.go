//go:build unix

package faults

import (
	"slices"
	"time"

	"github.com/walpost/walpost/internal/ledger"
)

// leaseMargin is what a claim's lease lasts beyond the attempt's timeout.
const leaseMargin = 15 * time.Second

// aftermath is how long walpost may be busy with what a fault has left: connecting again, asking the ledger again.
const aftermath = 2 * time.Second

// checkRepeats: a delivery that has succeeded is attempted again only where a fault explains it.
func (c *checker) checkRepeats(d delivery, all []request) {
	var before *request
	for i := range all {
		if before != nil {
			if cause := c.cause(d, before, &all[i]); cause != "" {
				c.figures.repeats[cause]++
			} else {
				c.figures.unexplained++
				c.problem("repeat: %v was attempted after it had succeeded, without a reason:\n%s", d, c.story(d.event))
			}
		}
		if all[i].succeeded() {
			before = &all[i]
		}
	}
}

// cause is why a delivery was sent again after it had succeeded, "" if there is no reason. The process that had the
// success and didn't bring it to the ledger is the one to look at.
func (c *checker) cause(d delivery, before, after *request) string {
	sender := c.runner.runs[before.run]
	if after.run != before.run && sender.died() {
		return "killed"
	}
	if after.run != before.run && sender.code == exitSetup && !c.source.remembers { // its session was lost before it was refused another
		return "the table was refused"
	}
	class, failed := c.failures[failure{before.id, before.attempt}]
	if failed && class != "status" && after.attempt != before.attempt {
		return "the answer didn't reach walpost (" + class + ")"
	}
	if after.run != before.run && !sender.drain.IsZero() {
		if during := c.source.hostFaultsOf(c.journal.during(sender.drain.Add(-aftermath), sender.ended)); during != "" {
			return "drained during " + during
		}
	}
	// The server goes on with what a killed process was writing: it may be committed after the next one has looked.
	if before.run > 0 && after.run == before.run {
		last := c.runner.runs[before.run-1]
		if during := c.source.hostFaultsOf(c.journal.during(last.ended.Add(-time.Second), before.received)); last.died() && during != "" {
			return "a killed walpost's record came late"
		}
	}
	// What the process met since it began may have set a due time.
	for _, s := range c.journal.during(sender.started, after.received) {
		if s.skews {
			return "clock"
		}
	}
	// The row of a killed process is sent again by the slot, and makes its way under corrected rules beside its replay.
	if c.replayed[d] {
		return "replayed from quarantine"
	}
	if c.wasCancelled(before.id) {
		return "replayed after it was cancelled"
	}
	if c.recovering(before.at, after.received) {
		return "the table was read"
	}
	lease := webhookNamed(d.webhook).timeout + leaseMargin
	during := c.source.hostFaultsOf(c.journal.during(before.at, after.received))
	if after.received.Sub(before.at) >= lease && during != "" {
		return "the lease ran out during " + during
	}
	if !c.source.remembers && during != "" {
		return "read again after " + during
	}
	return ""
}

// recovering reports whether the table was read by blocks at some time between two moments: in place of a lost slot, or since
// polling's column was made anew.
func (c *checker) recovering(from, to time.Time) bool {
	if slices.ContainsFunc(c.journal.during(from, to), func(s *spell) bool { return s.rereads }) {
		return true
	}
	return slices.ContainsFunc(c.incidents, func(i ledger.Incident) bool {
		begun, over := c.real(i.At), c.real(i.ResolvedAt)
		return begun.Before(to) && (over.IsZero() || over.After(from))
	})
}

// real is a time of the ledger's on the suite's clock: the ledger's is put forward at the end.
func (c *checker) real(t time.Time) time.Time {
	if !c.rested.IsZero() && t.After(c.rested.Add(forward/2)) {
		return t.Add(-forward)
	}
	return t
}
