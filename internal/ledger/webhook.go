package ledger

import (
	"context"
	_ "embed" // statements
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

var (
	//go:embed sql/webhooks.sql
	webhooksSQL string
	//go:embed sql/webhook_enable.sql
	webhookEnableSQL string
	//go:embed sql/park_waiting.sql
	parkWaitingSQL string
	//go:embed sql/release.sql
	releaseSQL string
)

// WebhookState is what the ledger knows of a webhook. The zero value, of a webhook that was never disabled, is enabled.
type WebhookState struct {
	Name       string    `json:"name"`
	DisabledAt time.Time `json:"disabled_at,omitzero"` // zero: enabled
	Reason     Reason    `json:"reason,omitzero"`      // of being disabled
	UpdatedAt  time.Time `json:"updated_at"`
}

// Enabled reports whether the webhook's deliveries are attempted.
func (w WebhookState) Enabled() bool { return w.DisabledAt.IsZero() }

// Webhooks gives the state of each webhook that was ever disabled, by name.
func (l *Ledger) Webhooks(ctx context.Context) (map[string]WebhookState, error) {
	rows, _ := l.pool.Query(ctx, webhooksSQL)
	states := make(map[string]WebhookState)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (WebhookState, error) {
		var w WebhookState
		var disabled *time.Time
		var by, why *string
		err := row.Scan(&w.Name, &disabled, &by, &why, &w.UpdatedAt)
		w.DisabledAt, w.Reason = timeOf(disabled), Reason{By: textOf(by), Why: textOf(why)}
		return w, err
	})
	if err != nil {
		return nil, fmt.Errorf("read webhooks: %w", err)
	}
	for _, w := range list {
		states[w.Name] = w
	}
	return states, nil
}

// textOf is "" for NULL.
func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// Disable stops a webhook's deliveries until Enable: they are no longer claimed, and the daemon parks them. A webhook that
// is disabled already keeps its first reason.
func (l *Ledger) Disable(ctx context.Context, name string, reason Reason) error {
	var rows webhookRows
	rows.add(name, reason)
	var batch pgx.Batch
	batch.Queue(webhookDisableSQL, rows.args()...)
	batch.Queue(notifySQL)
	if err := l.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("disable webhook %q: %w", name, err)
	}
	return nil
}

// chunk is how many deliveries one statement of a command changes: locks are held briefly, whatever the whole.
const chunk = 2000

// Enable lets a webhook's deliveries be attempted again. With replay its parked deliveries become due, oldest first and with
// a new schedule, and released is their number; else they stay parked. An enabled webhook may have parked deliveries
// too, from an Enable that was cut off or did not ask for replay.
func (l *Ledger) Enable(ctx context.Context, name string, replay bool) (released int64, err error) {
	if _, err := l.pool.Exec(ctx, webhookEnableSQL, name); err != nil {
		return 0, fmt.Errorf("enable webhook %q: %w", name, err)
	}
	if replay {
		if released, err = l.release(ctx, name); err != nil {
			return released, fmt.Errorf("release deliveries of webhook %q: %w", name, err)
		}
	}
	if err := l.notify(ctx); err != nil {
		return released, fmt.Errorf("enable webhook %q: %w", name, err)
	}
	return released, nil
}

func (l *Ledger) release(ctx context.Context, name string) (released int64, err error) {
	last := pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true}
	for {
		var n int64
		if err := l.pool.QueryRow(ctx, releaseSQL, name, last, chunk).Scan(&n, &last); err != nil {
			return released, err
		}
		if n == 0 {
			return released, nil
		}
		released += n
	}
}

// ParkWaiting parks up to limit owed deliveries of a disabled webhook and gives their number. It does nothing for an
// enabled one.
func (l *Ledger) ParkWaiting(ctx context.Context, webhook string, limit int) (int, error) {
	tag, err := l.pool.Exec(ctx, parkWaitingSQL, webhook, limit)
	if err != nil {
		return 0, fmt.Errorf("park deliveries of webhook %q: %w", webhook, err)
	}
	return int(tag.RowsAffected()), nil
}

func (l *Ledger) notify(ctx context.Context) error {
	_, err := l.pool.Exec(ctx, notifySQL)
	return err
}
