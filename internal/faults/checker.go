//go:build unix

package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/internal/ledger"
)

// checker compares what was committed, what arrived, and what the ledger has.
type checker struct {
	*ground
	recorded map[delivery]record
	// failures are the attempts that failed as walpost saw it: delivery id and number.
	failures map[failure]string
	// refusals are the deliveries whose 410 a process has brought to the ledger.
	refusals    map[refusal]bool
	quarantined map[delivery]int  // topic and webhook are "" for an event as a whole
	replayed    map[delivery]bool // out of quarantine
	incidents   []ledger.Incident
	tableGaps   []gap // of the incidents; nil: not yet asked for
	counters    ledger.Counters

	figures figures
}

// record is a delivery as the ledger has it.
type record struct {
	id, state string
	attempts  int
}

type refusal struct {
	id  string
	pid int
}

type failure struct {
	id     string
	number int
}

// figures are what a run comes to.
type figures struct {
	rows, ghosts, transactions, rollbacks int
	requests, deliveries                  int
	accounted                             tally // deliveries that don't arrive, by what becomes of them
	quarantined, unrouted                 int   // rows
	unrecoverable                         int   // rows that were deleted at once, and whose slot was lost
	lost, owed, invented                  int
	repeats                               tally // by cause
	unexplained                           int
	ends                                  tally // of processes
	points                                tally // failpoints that ended one
	recovery                              []time.Duration
	counters                              ledger.Counters
	incidents                             tally
}

// invariants are what must hold, each asked of the three records. They note what is violated with problem.
var invariants = []func(*checker){
	(*checker).checkCommitted,
	(*checker).checkArrived,
	(*checker).checkLedger,
	(*checker).checkSchedule,
	(*checker).checkOrder,
	(*checker).checkGone,
	(*checker).checkCancelled,
	(*checker).checkCounters,
	(*checker).checkIncidents,
}

// check asks for every invariant and notes what is violated. walpost must have come to rest.
func (g *ground) check(ctx context.Context) (*figures, error) {
	c := &checker{
		ground: g, recorded: map[delivery]record{}, failures: map[failure]string{}, refusals: map[refusal]bool{}, quarantined: map[delivery]int{},
		replayed: map[delivery]bool{},
		figures:  figures{repeats: tally{}, ends: tally{}, accounted: tally{}, points: tally{}, incidents: tally{}},
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
	for _, invariant := range invariants {
		invariant(c)
	}
	c.countEnds()
	f.recovery = c.recoveryTimes()
	f.counters = c.counters
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
	var r410 refusal
	rows, _ = conn.Query(ctx, "select delivery_id::text, substring(replica from ':(\\d+)$')::int from walpost.attempt where verdict = 'gone'")
	if _, err := pgx.ForEachRow(rows, []any{&r410.id, &r410.pid}, func() error { c.refusals[r410] = true; return nil }); err != nil {
		return fmt.Errorf("read the ledger's refusals: %w", err)
	}
	var q delivery
	var resolved bool
	rows, _ = conn.Query(ctx, "select event_id, topic, webhook, resolved_at is not null from walpost.quarantine")
	_, err = pgx.ForEachRow(rows, []any{&q.event, &q.topic, &q.webhook, &resolved}, func() error {
		if resolved {
			c.replayed[q] = true
		} else {
			c.quarantined[q]++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the quarantine: %w", err)
	}
	if c.incidents, err = c.ledger.Incidents(ctx, false, 100_000); err != nil {
		return err
	}
	var counters []byte
	if err := conn.QueryRow(ctx, "select counters from walpost.checkpoint where slot = $1", c.slot).Scan(&counters); err != nil {
		return fmt.Errorf("read the counters: %w", err)
	}
	return json.Unmarshal(counters, &c.counters)
}

// checkCommitted: nothing that was committed is lost, and everything has become what its endpoint's script demands.
func (c *checker) checkCommitted() {
	for event := range c.workload.rows {
		r, t, ok := c.workload.committed(event)
		if !ok {
			continue
		}
		switch {
		case r.kind.quarantined:
			c.figures.quarantined++
			n := c.quarantined[delivery{event: event}]
			switch {
			case n == 0 && c.unrecoverable(&r, t):
				c.figures.unrecoverable++
			case n != 1:
				c.figures.lost++
				c.problem("lost: bad row %s is %d times in quarantine:\n%s", event, n, c.story(event))
			}
		case len(r.kind.topics) == 0 && c.unrecoverable(&r, t): // nobody can tell
			c.figures.unrecoverable++
		case len(r.kind.topics) == 0:
			c.figures.unrouted++
		}
		c.checkDeliveries(event, &r, t)
	}
}

// checkDeliveries checks what must have become of a row.
func (c *checker) checkDeliveries(event string, r *row, t *transaction) {
	gone := false
	for _, d := range r.kind.deliveries(event) {
		if !anySucceeded(c.receiver.book[d]) && c.recorded[d].id == "" && c.quarantined[d] == 0 && c.unrecoverable(r, t) {
			gone = true
			continue
		}
		c.figures.deliveries++
		c.checkDelivery(d)
	}
	if gone {
		c.figures.unrecoverable++
	}
}

// unrecoverable reports whether a row was deleted at once and was in a part of the WAL that no slot has sent: what lies between a
// checkpoint and the slot that was lost after it or made in its place. Neither WAL nor table have it. Some of its deliveries may
// have been made before.
func (c *checker) unrecoverable(r *row, t *transaction) bool {
	if !r.deleted {
		return false
	}
	for i := range c.incidents {
		gap := &c.incidents[i]
		if (t.before == 0 || t.before > gap.LSNFrom) && t.after <= goesOn(gap) {
			return true
		}
	}
	// A publication hides what is committed meanwhile, and the checkpoint goes on.
	return slices.ContainsFunc(c.journal.during(t.ended.Add(-time.Second), t.ended.Add(time.Second)), func(s *spell) bool { return s.loses })
}

var goesOnFrom = regexp.MustCompile(`the stream goes on from ([0-9A-F]+/[0-9A-F]+)`)

// goesOn is where the newest slot of an incident begins. What is committed behind it comes by that slot, whoever is killed
// while the table is read.
func goesOn(gap *ledger.Incident) uint64 {
	var at cdc.LSN
	for _, found := range goesOnFrom.FindAllStringSubmatch(gap.Detail, -1) {
		var lsn cdc.LSN
		if err := lsn.Scan(found[1]); err == nil {
			at = max(at, lsn)
		}
	}
	if at == 0 { // it didn't come to that
		return gap.LSNTo
	}
	return uint64(at)
}

// gaps tells the incidents, beside where a transaction was committed.
func (c *checker) gaps(t *transaction) string {
	var s strings.Builder
	fmt.Fprintf(&s, "  committed between %X and %X\n", t.after, t.before)
	for i := range c.incidents {
		gap := &c.incidents[i]
		fmt.Fprintf(&s, "  incident %s from %X to %X, %s – %s: %s\n", gap.Kind, gap.LSNFrom, gap.LSNTo, clock(gap.At), clock(gap.ResolvedAt), gap.Detail)
	}
	return s.String()
}

// checkDelivery compares a delivery's end with what its endpoint's script demands.
func (c *checker) checkDelivery(d delivery) {
	arrived := anySucceeded(c.receiver.book[d])
	state := c.recorded[d].state
	quarantined := c.quarantined[d]
	if quarantined > 0 {
		state = string(isMistaken)
	}
	want := webhookNamed(d.webhook).outcome
	if want == isMistaken && c.rules.mended {
		want = arrives
	}
	switch {
	case want == arrives && arrived && (state == "" || state == string(arrives)):
	case want == arrives && arrived && quarantined == 1 && c.rules.mended:
		// A walpost died while it routed it anew, and the slot has brought it since: when that claim ends it is sent once more.
	case want != arrives && (state == string(want) || want == isParked && state == string(ledger.Cancelled)) && !arrived && quarantined <= 1:
		c.figures.accounted[state]++
	case state == "pending" || state == "retrying" || state == "parked":
		c.figures.owed++
		c.problem("owed: %v is %q and should be %s:\n%s", d, state, want, c.story(d.event))
	case want == arrives && arrived:
		c.problem("recorded: %v has arrived and is %q:\n%s", d, state, c.story(d.event))
	default:
		_, t, _ := c.workload.committed(d.event)
		c.figures.lost++
		c.problem("lost: %v should be %s; in the ledger %q, arrived %v:\n%s%s", d, want, state, arrived, c.story(d.event), c.gaps(t))
	}
}

// checkLedger: the ledger has nothing that wasn't committed, and claims nothing that didn't happen.
func (c *checker) checkLedger() {
	for d, r := range c.recorded {
		if !c.expected(d) {
			c.figures.invented++
			c.problem("ghost: %v is in the ledger:\n%s", d, c.story(d.event))
		}
		if r.state == string(arrives) && !anySucceeded(c.receiver.book[d]) {
			c.problem("lost: %v is recorded as delivered and never was:\n%s", d, c.story(d.event))
		}
	}
	for q := range c.quarantined {
		r, _, ok := c.workload.committed(q.event)
		if q.webhook == "" && (!ok || !r.kind.quarantined) || q.webhook != "" && (!c.expected(q) || webhookNamed(q.webhook).outcome != isMistaken) {
			c.figures.invented++
			c.problem("ghost: %v is in quarantine:\n%s", q, c.story(q.event))
		}
	}
}

// expected reports whether a delivery is of a row that was committed.
func (c *checker) expected(d delivery) bool {
	r, _, ok := c.workload.committed(d.event)
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

func anySucceeded(all []request) bool {
	for i := range all {
		if all[i].succeeded() {
			return true
		}
	}
	return false
}

// checkCounters: what a checkpoint has passed is counted with it, once at least. Others of its counters may be behind after
// a kill, by what was recorded since the last one.
func (c *checker) checkCounters() {
	f := &c.figures
	for _, of := range []struct {
		name    string
		counted uint64
		there   int
	}{
		{"events", c.counters.Events, f.rows - f.unrecoverable},
		{"unrouted", c.counters.Unrouted, f.unrouted},
		{"quarantined", c.counters.Quarantined, f.quarantined + f.accounted[string(isMistaken)]},
	} {
		if of.counted < uint64(max(0, of.there)) { //nolint:gosec // not negative
			c.problem("counters: %d %s are counted, and there were %d", of.counted, of.name, of.there)
		}
	}
}

// checkIncidents: each is of a fault that was injected, and over.
func (c *checker) checkIncidents() {
	for i := range c.incidents {
		incident := &c.incidents[i]
		c.figures.incidents[incident.Kind]++
		if !slices.Contains(c.source.incidents, incident.Kind) || c.losses.Load() == 0 || incident.ResolvedAt.IsZero() {
			c.problem("incident %s at %s, resolved %s: %s", incident.Kind, incident.At, incident.ResolvedAt, incident.Detail)
		}
	}
}

// countEnds counts how the processes ended.
func (c *checker) countEnds() {
	c.runner.mu.Lock()
	defer c.runner.mu.Unlock()
	for _, n := range c.runner.runs {
		switch {
		case n.reached:
			c.figures.ends["killed at a failpoint"]++
			c.figures.points[n.point.String()]++
		case n.killed:
			c.figures.ends["killed"]++
		case !n.drain.IsZero():
			c.figures.ends["drained"]++
		}
	}
	if c.runner.refusals > 0 {
		c.figures.ends["ended with an explanation"] = c.runner.refusals
	}
}
