//go:build unix

package faults

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// checker compares what was committed, what arrived, and what the ledger has.
type checker struct {
	*ground
	recorded map[delivery]record
	// failures are the attempts that failed as walpost saw it: delivery id and number.
	failures    map[failure]string
	quarantined map[string]int

	figures figures
}

// record is a delivery as the ledger has it.
type record struct {
	id, state string
	attempts  int
}

type failure struct {
	id     string
	number int
}

// figures are what a run comes to.
type figures struct {
	rows, ghosts, transactions, rollbacks int
	requests, deliveries                  int
	failed, quarantined, unrouted         int
	lost, owed, invented                  int
	repeats                               tally // by cause
	unexplained                           int
	ends                                  tally // of processes
}

// check asks for every invariant and notes what is violated. walpost must have come to rest.
func (g *ground) check(ctx context.Context) (*figures, error) {
	c := &checker{
		ground: g, recorded: map[delivery]record{}, failures: map[failure]string{}, quarantined: map[string]int{},
		figures: figures{repeats: tally{}, ends: tally{}},
	}
	if err := g.with(ctx, func(conn *pgx.Conn) error { return c.read(ctx, conn) }); err != nil {
		return nil, err
	}
	g.receiver.mu.Lock()
	defer g.receiver.mu.Unlock()
	for _, p := range g.receiver.problems {
		g.problem("not a delivery: %s", p)
	}
	f := &c.figures
	f.rows, f.ghosts, f.transactions, f.rollbacks = g.workload.summary()
	c.checkCommitted()
	c.checkArrived()
	c.checkLedger()
	c.countEnds()
	return f, nil
}

// read takes the ledger.
func (c *checker) read(ctx context.Context, conn *pgx.Conn) error {
	var d delivery
	var r record
	rows, _ := conn.Query(ctx, "select event_id, topic, webhook, id::text, state, attempts from walpost.delivery")
	_, err := pgx.ForEachRow(rows, []any{&d.event, &d.topic, &d.webhook, &r.id, &r.state, &r.attempts}, func() error {
		if before, ok := c.recorded[d]; ok {
			c.problem("identity: %v is in the ledger as %s and as %s", d, before.id, r.id)
		}
		c.recorded[d] = r
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the ledger's deliveries: %w", err)
	}
	var f failure
	var class string
	rows, _ = conn.Query(ctx, "select delivery_id::text, n, class from walpost.attempt where verdict = 'retry'")
	if _, err := pgx.ForEachRow(rows, []any{&f.id, &f.number, &class}, func() error { c.failures[f] = class; return nil }); err != nil {
		return fmt.Errorf("read the ledger's attempts: %w", err)
	}
	var event string
	rows, _ = conn.Query(ctx, "select event_id from walpost.quarantine")
	if _, err := pgx.ForEachRow(rows, []any{&event}, func() error { c.quarantined[event]++; return nil }); err != nil {
		return fmt.Errorf("read the quarantine: %w", err)
	}
	var kind, detail string
	rows, _ = conn.Query(ctx, "select kind, detail from walpost.incident")
	_, err = pgx.ForEachRow(rows, []any{&kind, &detail}, func() error { c.problem("incident %s: %s", kind, detail); return nil })
	return err
}

// checkCommitted: nothing that was committed is lost.
func (c *checker) checkCommitted() {
	for event := range c.workload.rows {
		r, ok := c.workload.committed(event)
		if !ok {
			continue
		}
		switch {
		case r.kind.quarantined:
			c.figures.quarantined++
			if n := c.quarantined[event]; n != 1 {
				c.figures.lost++
				c.problem("lost: bad row %s of transaction %d is %d times in quarantine", event, r.transaction, n)
			}
		case len(r.kind.topics) == 0:
			c.figures.unrouted++
		}
		for _, d := range r.kind.deliveries(event) {
			c.figures.deliveries++
			c.checkDelivery(d, &r)
		}
	}
}

func (c *checker) checkDelivery(d delivery, r *row) {
	all := c.receiver.book[d]
	arrived := false
	for i := range all {
		arrived = arrived || all[i].succeeded()
	}
	state := c.recorded[d].state
	switch hopeless := webhookNamed(d.webhook).hopeless; {
	case state == "pending" || state == "retrying" || state == "parked":
		c.figures.owed++
		c.problem("owed: %v of transaction %d is %q:\n%s", d, r.transaction, state, c.history(d, all))
	case hopeless && state == "failed":
		c.figures.failed++
	case hopeless:
		c.figures.lost++
		c.problem("lost: %v of transaction %d should have failed and is %q:\n%s", d, r.transaction, state, c.history(d, all))
	case !arrived:
		c.figures.lost++
		c.problem("lost: %v of transaction %d, in the ledger %q:\n%s", d, r.transaction, state, c.history(d, all))
	case state != "" && state != "delivered":
		c.problem("failed: %v of transaction %d has arrived and is %q:\n%s", d, r.transaction, state, c.history(d, all))
	}
}

// checkArrived: nothing arrived that wasn't committed, everything under one id and with one body, and nothing twice
// without a reason.
func (c *checker) checkArrived() {
	ids := map[string]delivery{}
	for d, all := range c.receiver.book {
		c.figures.requests += len(all)
		if !c.expected(d) {
			c.figures.invented++
			c.problem("ghost: %v arrived:\n%s", d, c.history(d, all))
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
				c.problem("identity: %v arrived with different ids or bodies:\n%s", d, c.history(d, all))
				break
			}
		}
		c.checkRepeats(d, all)
	}
}

// expected reports whether a delivery is of a row that was committed.
func (c *checker) expected(d delivery) bool {
	r, ok := c.workload.committed(d.event)
	if !ok || r.kind.quarantined {
		return false
	}
	for _, topic := range r.kind.topics {
		if topic == d.topic {
			return webhookNamed(d.webhook).takes(topic)
		}
	}
	return false
}

// checkLedger: the ledger has nothing that wasn't committed, and claims nothing that didn't happen.
func (c *checker) checkLedger() {
	for d, r := range c.recorded {
		if !c.expected(d) {
			c.figures.invented++
			c.problem("ghost: %v is in the ledger", d)
		}
		if r.state != "delivered" {
			continue
		}
		if all := c.receiver.book[d]; !anySucceeded(all) {
			c.problem("lost: %v is recorded as delivered and never was:\n%s", d, c.history(d, all))
		}
	}
	for event := range c.quarantined {
		if r, ok := c.workload.committed(event); !ok || !r.kind.quarantined {
			c.figures.invented++
			c.problem("ghost: %s is in quarantine", event)
		}
	}
}

func anySucceeded(all []request) bool {
	for i := range all {
		if all[i].succeeded() {
			return true
		}
	}
	return false
}

// countEnds counts how the processes ended.
func (c *checker) countEnds() {
	c.runner.mu.Lock()
	defer c.runner.mu.Unlock()
	for _, n := range c.runner.runs {
		switch {
		case n.killed:
			c.figures.ends["killed"]++
		case !n.drain.IsZero():
			c.figures.ends["drained"]++
		}
	}
	if c.runner.stillAt > 0 {
		c.figures.ends["ended before they streamed"] = c.runner.stillAt
	}
}

// history tells all requests of a delivery, and what was going on.
func (g *ground) history(d delivery, all []request) string {
	if len(g.problems) > enoughProblems {
		return ""
	}
	var s strings.Builder
	for i := range all {
		q := &all[i]
		fmt.Fprintf(&s, "  %s – %s walpost %d attempt %d: status %d, id %s, body %x\n",
			q.received.Format("15:04:05.000"), q.at.Format("05.000"), q.run, q.attempt, q.status, q.id, q.body[:4])
	}
	if len(all) > 0 && len(g.problems) < 2 {
		fmt.Fprintf(&s, "  walpost %d said:\n%s", all[0].run, g.runner.runs[all[0].run].log)
	}
	r := g.workload.rows[d.event]
	fmt.Fprintf(&s, "  row: transaction %d, kind %v, undone %v, fate %d\n", r.transaction, r.kind, r.undone, g.workload.fates[r.transaction])
	if len(all) > 0 {
		from := all[0].received.Add(-time.Second)
		to := all[len(all)-1].at.Add(time.Second)
		for _, sp := range g.journal.during(from, to) {
			fmt.Fprintf(&s, "  %s – %s %s\n", sp.from.Format("15:04:05.000"), sp.to.Format("05.000"), sp.fault)
		}
	}
	return s.String()
}
