package ledger

import (
	"context"
	_ "embed" // statements
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/walpost/walpost/outbox"
)

var (
	//go:embed sql/quarantine.sql
	quarantineSQL string
	//go:embed sql/quarantine_request.sql
	quarantineRequestSQL string
	//go:embed sql/quarantine_claim.sql
	quarantineClaimSQL string
	//go:embed sql/quarantine_resolve.sql
	quarantineResolveSQL string
)

// QuarantineView is an event in quarantine, with the reason. Rule, Webhook and Topic are "" where they don't apply.
type QuarantineView struct {
	ID                int64     `json:"id"`
	EventID           string    `json:"event_id"`
	Rule              string    `json:"rule,omitempty"`
	Webhook           string    `json:"webhook,omitempty"`
	Topic             string    `json:"topic,omitempty"`
	Diagnostic        string    `json:"diagnostic"`
	At                time.Time `json:"at"`
	ReplayRequestedAt time.Time `json:"replay_requested_at,omitzero"`
}

// Quarantine lists what is in quarantine, newest first. Of the filter EventID, Webhook, Topic, Since, Limit and Before (an
// entry's number) count.
func (l *Ledger) Quarantine(ctx context.Context, f Filter) ([]QuarantineView, error) {
	var before pgtype.Int8
	if f.Before != "" {
		id, err := strconv.ParseInt(f.Before, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("list quarantine: %q is no number of an entry", f.Before)
		}
		before = pgtype.Int8{Int64: id, Valid: true}
	}
	rows, _ := l.pool.Query(ctx, quarantineSQL, planned, filterText(f.EventID), filterText(f.Webhook),
		filterText(f.Topic), nullTime(f.Since), before, f.limit())
	views, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (QuarantineView, error) {
		var v QuarantineView
		var requested *time.Time
		err := row.Scan(&v.ID, &v.EventID, &v.Rule, &v.Webhook, &v.Topic, &v.Diagnostic, &v.At, &requested)
		v.At, v.ReplayRequestedAt = v.At.UTC(), timeOf(requested)
		return v, err
	})
	if err != nil {
		return nil, fmt.Errorf("list quarantine: %w", err)
	}
	return views, nil
}

// ReplayQuarantined asks the daemon to route the matching events again: those of EventID, Webhook, Topic and Since. n is
// their number, 0 with ErrNoMatch.
func (l *Ledger) ReplayQuarantined(ctx context.Context, f Filter) (n int64, err error) {
	tag, err := l.pool.Exec(ctx, quarantineRequestSQL, planned, filterText(f.EventID), filterText(f.Webhook),
		filterText(f.Topic), nullTime(f.Since))
	if err != nil {
		return 0, fmt.Errorf("replay quarantine: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return 0, fmt.Errorf("replay quarantine: %w", ErrNoMatch)
	}
	if err := l.notify(ctx); err != nil {
		return tag.RowsAffected(), fmt.Errorf("replay quarantine: %w", err)
	}
	return tag.RowsAffected(), nil
}

// QuarantineClaim is a quarantined event that is ours to route again.
type QuarantineClaim struct {
	ID                   int64
	Fence                int64 // to be given back to ResolveQuarantined
	Rule, Webhook, Topic string
	Event                *outbox.Row
}

// quarantineLease is how long a daemon has to route a claimed event.
const quarantineLease = time.Minute

// ClaimQuarantined takes up to limit quarantined events that are to be routed again, for a minute. Each ends by
// ResolveQuarantined, once what came of it is recorded, or by a Quarantined entry of the same event, rule, webhook and
// topic, which takes the request back.
func (l *Ledger) ClaimQuarantined(ctx context.Context, limit int) ([]QuarantineClaim, error) {
	rows, _ := l.pool.Query(ctx, quarantineClaimSQL, limit, quarantineLease)
	claims, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (QuarantineClaim, error) {
		var c QuarantineClaim
		var event eventScan
		err := row.Scan(append([]any{&c.ID, &c.Fence, &c.Rule, &c.Webhook, &c.Topic}, event.targets()...)...)
		c.Event = event.row()
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("claim quarantined events: %w", err)
	}
	return claims, nil
}

// ResolveQuarantined ends a claimed entry. ErrFenced: somebody else has claimed or renewed it since.
func (l *Ledger) ResolveQuarantined(ctx context.Context, id, fence int64) error {
	tag, err := l.pool.Exec(ctx, quarantineResolveSQL, id, fence)
	if err != nil {
		return fmt.Errorf("resolve quarantine entry %d: %w", id, err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("resolve quarantine entry %d: %w", id, ErrFenced)
	}
	return nil
}
