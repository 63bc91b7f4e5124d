package ledger

import (
	"context"
	_ "embed" // statements
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

var (
	//go:embed sql/status_webhooks.sql
	statusWebhooksSQL string
	//go:embed sql/status_slot.sql
	statusSlotSQL string
	//go:embed sql/status_totals.sql
	statusTotalsSQL string
)

// Status is all that the ledger and the server know of one slot's walpost.
type Status struct {
	Now           time.Time // by the ledger's clock
	SchemaVersion int
	Checkpoint    *Checkpoint    // nil: never started
	Slot          *SlotStatus    // nil: there is no such slot
	Peers         []Peer         // the daemons, the leader first
	Webhooks      []WebhookCount // those with deliveries in the ledger, by name
	Disabled      []WebhookState // by name
	Breakers      []OpenBreaker  // of the daemons that run, by webhook
	OldestDue     time.Time      // zero: nothing is owed
	Quarantined   int64
	Incidents     []Incident // open ones, newest first
	Recovered     []Incident // those that ended within the last day, newest first, ten at most
}

// Status shows the latest incidents that have ended, for a while.
const (
	recoveredFor   = 24 * time.Hour
	recoveredShown = 10
)

// SlotStatus is a row of pg_replication_slots.
type SlotStatus struct {
	Active         bool   // a daemon is connected
	WALStatus      string // reserved, extended, unreserved, lost
	ConfirmedFlush uint64
	Restart        uint64
	RetainedBytes  int64 // of WAL, kept for the slot
	LagBytes       int64 // of WAL, after the confirmed position
}

// CountLimit is up to where the deliveries of a webhook are counted: in each state, but pending and retrying together.
const CountLimit = 10_000

// WebhookCount is how many deliveries of a webhook the ledger has in each state.
type WebhookCount struct {
	Webhook   string
	States    map[State]int64
	Uncounted map[State]bool // there may be more than States says, as counting ended at CountLimit
	OldestDue time.Time      // zero: nothing is owed
}

// Status reads the state of everything for one slot.
func (l *Ledger) Status(ctx context.Context, slot string) (Status, error) {
	var s Status
	err := l.pool.QueryRow(ctx, statusTotalsSQL).Scan(&s.Now, &s.SchemaVersion, &s.Quarantined)
	if err != nil {
		return s, fmt.Errorf("read status: %w", err)
	}
	if s.Checkpoint, err = l.Checkpoint(ctx, slot); err != nil {
		return s, err
	}
	if s.Slot, err = l.slotStatus(ctx, slot); err != nil {
		return s, err
	}
	if s.Peers, err = l.Peers(ctx, slot); err != nil {
		return s, err
	}
	if s.Breakers, err = l.breakers(ctx, s.Peers); err != nil {
		return s, err
	}
	if s.Webhooks, err = l.webhookCounts(ctx); err != nil {
		return s, err
	}
	for i := range s.Webhooks {
		due := s.Webhooks[i].OldestDue
		if !due.IsZero() && (s.OldestDue.IsZero() || due.Before(s.OldestDue)) {
			s.OldestDue = due
		}
	}
	states, err := l.Webhooks(ctx)
	if err != nil {
		return s, err
	}
	for _, w := range states {
		if !w.Enabled() {
			s.Disabled = append(s.Disabled, w)
		}
	}
	slices.SortFunc(s.Disabled, func(a, b WebhookState) int { return strings.Compare(a.Name, b.Name) })
	if s.Incidents, err = l.Incidents(ctx, true, 0); err != nil {
		return s, err
	}
	s.Recovered, err = l.Incidents(ctx, false, recoveredShown+len(s.Incidents))
	s.Recovered = slices.DeleteFunc(s.Recovered, func(i Incident) bool {
		return i.ResolvedAt.IsZero() || s.Now.Sub(i.ResolvedAt) > recoveredFor
	})
	s.Recovered = s.Recovered[:min(len(s.Recovered), recoveredShown)]
	return s, err
}

func (l *Ledger) slotStatus(ctx context.Context, slot string) (*SlotStatus, error) {
	var s SlotStatus
	var confirmed, restart lsn
	err := l.pool.QueryRow(ctx, statusSlotSQL, slot).Scan(&s.Active, &s.WALStatus, &confirmed, &restart,
		&s.RetainedBytes, &s.LagBytes)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read slot %q: %w", slot, err)
	}
	s.ConfirmedFlush, s.Restart = uint64(confirmed), uint64(restart)
	return &s, nil
}

func (l *Ledger) webhookCounts(ctx context.Context) ([]WebhookCount, error) {
	var counts []WebhookCount
	var webhook string
	var state State
	var n int64
	var due *time.Time
	var limited bool
	rows, _ := l.pool.Query(ctx, statusWebhooksSQL, CountLimit)
	_, err := pgx.ForEachRow(rows, []any{&webhook, &state, &n, &due, &limited}, func() error {
		if len(counts) == 0 || counts[len(counts)-1].Webhook != webhook {
			counts = append(counts, WebhookCount{Webhook: webhook, States: make(map[State]int64), Uncounted: make(map[State]bool)})
		}
		c := &counts[len(counts)-1]
		c.States[state] = n
		if limited {
			c.Uncounted[state] = true
		}
		if d := timeOf(due); !d.IsZero() && (c.OldestDue.IsZero() || d.Before(c.OldestDue)) {
			c.OldestDue = d
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count deliveries: %w", err)
	}
	return counts, nil
}
