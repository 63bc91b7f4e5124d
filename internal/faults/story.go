//go:build unix

package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// enoughStories is how many violations are told with their story, which takes time to write.
const enoughStories = 15

// story is the journal of an event: its row, what the ledger has of it, its requests, the processes that sent them, and the
// faults of that time.
func (g *ground) story(event string) string {
	if len(g.problems) > enoughStories {
		return ""
	}
	var s strings.Builder
	r, known := g.workload.rows[event]
	if !known {
		fmt.Fprintf(&s, "  nobody has inserted %s\n", event)
	}
	from, to := time.Now(), time.Time{}
	if t := g.workload.transactions[r.transaction]; t != nil {
		fmt.Fprintf(&s, "  row: event type %s, topics %v, undone %v, deleted %v, in transaction %d (%s), fate %d at %s\n",
			r.kind.event, r.kind.topics, r.undone, r.deleted, r.transaction, t.shape, t.fate, clock(t.ended))
		if !t.ended.IsZero() {
			from, to = t.ended.Add(-time.Second), t.ended.Add(2*time.Second)
		}
	}
	if err := g.tellLedger(&s, event); err != nil {
		fmt.Fprintf(&s, "  the ledger can't be read: %v\n", err)
	}
	runs := map[int]bool{}
	for _, q := range g.requestsOf(event) {
		fmt.Fprintf(&s, "  request %d to %s as %s: %s – %s by walpost %d, attempt %d: status %d, id %s, body %x\n", q.number, q.webhook, q.topic,
			clock(q.received), clock(q.at), q.run, q.attempt, q.status, q.id, q.body[:4])
		runs[q.run] = true
		if q.received.Before(from) {
			from = q.received.Add(-time.Second)
		}
		if q.at.After(to) {
			to = q.at.Add(time.Second)
		}
	}
	for _, n := range g.runner.runs {
		if runs[n.number] || n.started.Before(to) && n.started.After(from) {
			fmt.Fprintf(&s, "  walpost %d: %s – %s, exit status %d, killed %v, point %q reached %v, log %s\n", n.number, clock(n.started),
				clock(n.ended), n.code, n.killed, n.point, n.reached, n.whole.Name())
		}
	}
	for _, sp := range g.journal.during(from, to) {
		fmt.Fprintf(&s, "  %s – %s %s\n", clock(sp.from), clock(sp.to), sp.fault)
	}
	return s.String()
}

// clock shows a time of day, as the logs have it.
func clock(t time.Time) string {
	if t.IsZero() {
		return "…"
	}
	return t.Format("15:04:05.000")
}

// told is a request with its delivery.
type told struct {
	delivery
	request
}

func (g *ground) requestsOf(event string) (list []told) {
	for d, all := range g.receiver.book {
		if d.event != event {
			continue
		}
		for i := range all {
			list = append(list, told{d, all[i]})
		}
	}
	slices.SortFunc(list, func(a, b told) int { return a.number - b.number })
	return list
}

// tellLedger writes what the ledger has of an event.
func (g *ground) tellLedger(s *strings.Builder, event string) error {
	const recorded = `select format('delivery %s to %s as %s: %s after %s attempts, fence %s, created %s, updated %s, finished %s',
			id, webhook, topic, state, attempts, fence, created_at, updated_at, finished_at)
		from walpost.delivery where event_id = $1
		union all select format('attempt %s of %s: %s %s, status %s, at %s', n, delivery_id, verdict, class, status, at)
		from walpost.attempt where event_id = $1
		union all select format('quarantined for webhook "%s" topic "%s" at %s, resolved %s: %s', webhook, topic, at, resolved_at, left(diagnostic, 200))
		from walpost.quarantine where event_id = $1
		union all select format('recorded at %s, commit record at %s', recorded_at, lsn) from walpost.event where id = $1`
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return g.with(ctx, func(conn *pgx.Conn) error {
		rows, _ := conn.Query(ctx, recorded, event)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		for _, line := range lines {
			fmt.Fprintf(s, "  ledger: %s\n", line)
		}
		return err
	})
}
