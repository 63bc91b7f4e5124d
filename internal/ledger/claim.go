package ledger

import (
	"context"
	_ "embed" // statements
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/walpost/walpost/outbox"
)

var (
	//go:embed sql/claim.sql
	claimSQL string
	//go:embed sql/known.sql
	knownSQL string
)

// claimMaxBytes bounds the payloads that Claim brings into memory, but for one.
const claimMaxBytes = 16 << 20

// Capacity says how many deliveries a webhook can take, and for how long.
type Capacity struct {
	Webhook string
	Limit   int           // of those that can be attempted at once
	Lease   time.Duration // the delivery may be claimed again after it, unless its outcome is recorded
	// Run is how many deliveries of one key may come at a time: the first, and those that wait for it. Default: 1.
	Run int
	// Most bounds the deliveries, those that wait for others included. Default: Limit.
	Most int
}

// Claimed is a delivery that is ours to attempt until its lease ends.
type Claimed struct {
	ID             string
	Topic, Webhook string
	State          State // Pending or Retrying
	Attempt        int   // number of the next attempt, from 1
	Fence          int64 // to be given back with the outcome; never 0
	Order          Order // to be given back, too
	More           bool  // the ledger owes others of the key, beyond those of this claim
	Event          *outbox.Row
	due            time.Time // of the first in the key
}

// Claim takes due deliveries, the longest due first for each webhook, skipping disabled webhooks and what others are
// claiming or attempt under a lease. One whose lease has ended may be left for up to 10 s (floors.go). The result is in commit
// order, and may be shorter than the capacities allow although more is due: payloads are bounded to 16 MiB, but for one.
// Several daemons may claim at once; each delivery goes to one of them.
//
// Of an ordered key only the earliest that is owed counts as due. Those that wait for it may come behind it: they are to be
// attempted in the order of the result, each once the one before is final; else they are to be dropped, without a word.
func (l *Ledger) Claim(ctx context.Context, capacities []Capacity) ([]Claimed, error) {
	return l.ClaimWithin(ctx, claimMaxBytes, capacities)
}

// ClaimWithin is Claim with another bound on the payloads, in bytes. Where more is due than it allows, the result reaches it.
func (l *Ledger) ClaimWithin(ctx context.Context, payloads int64, capacities []Capacity) ([]Claimed, error) {
	if len(capacities) == 0 {
		return nil, nil
	}
	webhooks := make([]string, len(capacities))
	limits := make([]int32, len(capacities))
	leases := make([]time.Duration, len(capacities))
	runs, most := make([]int32, len(capacities)), make([]int32, len(capacities))
	for i, c := range capacities {
		webhooks[i], limits[i], leases[i] = c.Webhook, int4(max(0, c.Limit)), c.Lease
		runs[i], most[i] = int4(min(max(1, c.Run), MaxRun)), int4(max(c.Limit, c.Most))
	}
	if err := l.look(ctx, capacities); err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", err)
	}
	from := l.floors.from(capacities)
	rows, _ := l.pool.Query(ctx, claimSQL, webhooks, limits, leases, payloads, from, runs, most)
	claimed, err := pgx.CollectRows(rows, scanClaimed)
	if err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", err)
	}
	l.raiseFloors(capacities, claimed, payloads)
	return claimed, nil
}

// raiseFloors moves the floors to where the next claims begin.
func (l *Ledger) raiseFloors(capacities []Capacity, claimed []Claimed, payloads int64) {
	var bytes int64
	type found struct {
		n    int
		last time.Time
	}
	of := make(map[string]found, len(capacities))
	for i := range claimed {
		c := &claimed[i]
		bytes += int64(len(c.Event.Payload))
		f := of[c.Webhook]
		f.n++
		if c.due.After(f.last) {
			f.last = c.due
		}
		of[c.Webhook] = f
	}
	now := time.Now()
	for _, c := range capacities {
		f := of[c.Webhook]
		if c.Limit <= 0 || f.n == 0 && bytes >= payloads { // the others left it no room
			continue
		}
		more := f.n > 0 && (f.n >= c.Limit || bytes >= payloads)
		l.floors.claimed(c.Webhook, f.last, more, now)
	}
}

func scanClaimed(row pgx.CollectableRow) (Claimed, error) {
	var c Claimed
	var id pgtype.UUID
	var event eventScan
	err := row.Scan(append([]any{
		&id, &c.Topic, &c.Webhook, &c.State, &c.Attempt, &c.Fence, &c.due,
		&c.Order.Key, &c.Order.N, &c.More,
	}, event.targets()...)...)
	c.ID, c.Event = id.String(), event.row()
	c.Attempt++
	return c, err
}

// eventScan reads the columns id, aggregate_type, aggregate_id, type, payload, headers, created_at, committed_at, lsn.
type eventScan struct {
	event              outbox.Row
	created, committed *time.Time
	lsn                lsn
}

func (s *eventScan) targets() []any {
	e := &s.event
	return []any{
		&e.ID, &e.AggregateType, &e.AggregateID, &e.Type, &e.Payload, &e.Headers, &s.created, &s.committed, &s.lsn,
	}
}

func (s *eventScan) row() *outbox.Row {
	s.event.LSN = uint64(s.lsn)
	s.event.CreatedAt, s.event.CommittedAt = timeOf(s.created), timeOf(s.committed)
	return &s.event
}

// timeOf is the zero time for NULL.
func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// Known says which of the given deliveries the ledger has, first-attempt successes (RecordAll) included, and their states.
// After a restart the WAL brings again what was committed after the checkpoint; what is known need not be attempted again.
func (l *Ledger) Known(ctx context.Context, ids []string) (map[string]State, error) {
	parsed := make([]pgtype.UUID, len(ids))
	for i, id := range ids {
		var err error
		if parsed[i], err = parseID(id); err != nil {
			return nil, fmt.Errorf("look up deliveries: %w", err)
		}
	}
	known := make(map[string]State)
	rows, _ := l.pool.Query(ctx, knownSQL, parsed)
	var id pgtype.UUID
	var state State
	_, err := pgx.ForEachRow(rows, []any{&id, &state}, func() error {
		known[id.String()] = state
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up deliveries: %w", err)
	}
	return known, nil
}
