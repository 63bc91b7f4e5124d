//go:build unix

package faults

import (
	"slices"
	"time"
)

// checkArrived: nothing arrived that wasn't committed, everything under one id and with one body, and nothing twice
// without a reason.
func (c *checker) checkArrived() {
	ids := map[string]delivery{}
	for d, all := range c.receiver.book {
		c.figures.requests += len(all)
		slices.SortFunc(all, func(a, b request) int { return a.number - b.number })
		if !c.expected(d) {
			c.figures.invented++
			c.problem("ghost: %v arrived:\n%s", d, c.story(d.event))
		}
		if other, taken := ids[all[0].id]; taken {
			c.problem("identity: %v and %v have the same id %s", d, other, all[0].id)
		}
		ids[all[0].id] = d
		if r, ok := c.recorded[d]; ok && r.id != all[0].id {
			c.problem("identity: %v arrived as %s and is recorded as %s", d, all[0].id, r.id)
		}
		for i := range all {
			if all[i].id != all[0].id || all[i].body != all[0].body {
				c.problem("identity: %v arrived with different ids or bodies:\n%s", d, c.story(d.event))
				break
			}
		}
		c.checkRepeats(d, all)
	}
}

// checkSchedule: a failed attempt is followed by the next one not before the schedule says so. Both times are this
// machine's, and the failure's is the earliest moment at which the sender can have known of it.
func (c *checker) checkSchedule() {
	for d, all := range c.receiver.book {
		for i := range all[1:] {
			before, after := &all[i], &all[i+1]
			if before.status == 0 || before.succeeded() || after.attempt != before.attempt+1 {
				continue
			}
			if early := step - after.received.Sub(before.answered); early > 0 && !c.skewed(before, after) {
				c.problem("schedule: %v was attempted again %s before its time:\n%s", d, early, c.story(d.event))
			}
		}
	}
}

// skewed reports whether the ledger's clock was shifted at some time between two attempts.
func (c *checker) skewed(before, after *request) bool {
	if !c.rested.IsZero() && after.received.After(c.rested) {
		return true
	}
	for _, s := range c.journal.during(before.received.Add(-time.Second), after.received) {
		if s.skews {
			return true
		}
	}
	return false
}

// goneGrace is how long after a 410 a process may still send what it had begun to.
const goneGrace = 5 * time.Second

// checkGone: after a 410 nothing more is sent to the webhook until it is enabled, but for what was on its way. Nor does the
// next process, unless the one that heard it was ended before it could say so.
func (c *checker) checkGone() {
	type answer struct {
		at  time.Time
		run int
		id  string
	}
	answers := map[string][]answer{}
	for d, all := range c.receiver.book {
		for i := range all {
			if all[i].status == 410 {
				answers[d.webhook] = append(answers[d.webhook], answer{all[i].at, all[i].run, all[i].id})
			}
		}
	}
	c.checkClosed()
	for d, all := range c.receiver.book {
		for i := range all {
			q := &all[i]
			for _, gone := range answers[d.webhook] {
				if q.received.After(gone.at.Add(goneGrace)) && !c.enabledBetween(d.webhook, gone.at, q.received) &&
					(gone.run == q.run || c.heard(gone.run, gone.id)) && c.source.hostFaultsOf(c.journal.during(gone.at.Add(-time.Second), q.received)) == "" {
					c.problem("gone: %v was sent %s after its webhook had answered 410:\n%s", d, q.received.Sub(gone.at), c.story(d.event))
					return
				}
			}
		}
	}
}

// checkClosed: nobody enables some webhooks again, so once a process that had heard 410 has ended in order, no later one may
// send anything to them.
func (c *checker) checkClosed() {
	known := map[string]int{} // the first process that left it in the ledger
	for d, all := range c.receiver.book {
		for i := range all {
			n := c.runner.runs[all[i].run]
			if before, ok := known[d.webhook]; all[i].status == 410 && !n.died() && !n.drain.IsZero() && n.code == 0 && (!ok || n.number < before) {
				known[d.webhook] = n.number
			}
		}
	}
	for d, all := range c.receiver.book {
		for i := range all {
			if first, ok := known[d.webhook]; ok && webhookNamed(d.webhook).outcome == isParked && all[i].run > first {
				c.problem("gone: walpost %d had heard a 410 and ended in order, and %v was sent later:\n%s", first, d, c.story(d.event))
				return
			}
		}
	}
}

// heard reports whether a process has recorded that a delivery was refused for good: those that are killed may not have.
func (c *checker) heard(run int, id string) bool {
	n := c.runner.runs[run]
	return !n.died() || c.refusals[refusal{id, n.cmd.Process.Pid}]
}

// enabledBetween reports whether the suite has enabled the webhook. What it did just before counts too: the 410 may have
// been recorded before that.
func (c *checker) enabledBetween(webhook string, from, to time.Time) bool {
	c.enabled.mu.Lock()
	defer c.enabled.mu.Unlock()
	return slices.ContainsFunc(c.enabled.at[webhook], func(at time.Time) bool {
		return at.After(from.Add(-goneGrace)) && at.Before(to)
	})
}
