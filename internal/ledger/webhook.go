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
	//go:embed sql/park_held.sql
	parkHeldSQL string
	//go:embed sql/webhook_enabling.sql
	webhookEnablingSQL string
	//go:embed sql/release.sql
	releaseSQL string
	//go:embed sql/release_order.sql
	releaseOrderSQL string
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
	rows.add(name, reason, pgtype.UUID{}, 0)
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
// too, from an Enable that did not ask for replay. Where they have an order, the webhook is enabled only once all of them
// are owed again, so that nothing newer overtakes them; an Enable that is cut off before leaves it disabled.
func (l *Ledger) Enable(ctx context.Context, name string, replay bool) (released int64, err error) {
	if replay {
		released, err = l.enableInOrder(ctx, name)
	} else {
		_, err = l.pool.Exec(ctx, webhookEnableSQL, name)
	}
	if err != nil {
		return released, fmt.Errorf("enable webhook %q: %w", name, err)
	}
	if replay {
		n, err := l.release(ctx, name)
		if released += n; err != nil {
			return released, fmt.Errorf("release deliveries of webhook %q: %w", name, err)
		}
	}
	if err := l.notify(ctx); err != nil {
		return released, fmt.Errorf("enable webhook %q: %w", name, err)
	}
	return released, nil
}

// enableInOrder releases what has an order, and enables the webhook in the transaction that leaves nothing parked.
func (l *Ledger) enableInOrder(ctx context.Context, name string) (released int64, err error) {
	if _, err := l.pool.Exec(ctx, webhookEnablingSQL, name); err != nil {
		return 0, err
	}
	for {
		n := 0
		err := pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
			n, err = releaseOrdered(ctx, tx, name)
			if err == nil && n < chunk {
				_, err = tx.Exec(ctx, webhookEnableSQL, name)
			}
			return err
		})
		if err != nil {
			return released, err
		}
		if released += int64(n); n < chunk {
			return released, nil
		}
	}
}

func releaseOrdered(ctx context.Context, tx pgx.Tx, name string) (n int, err error) {
	if _, err := tx.Exec(ctx, orderLockSQL, []string{name}); err != nil {
		return 0, err
	}
	rows, _ := tx.Query(ctx, releaseOrderSQL, name, chunk)
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(keys) == 0 {
		return 0, err
	}
	var touched orderRows
	for _, key := range keys {
		touched.touch(name, Order{Key: key})
	}
	_, err = tx.Exec(ctx, orderSettleSQL, touched.webhook, touched.key)
	return len(keys), err
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

// ParkWaiting parks the owed deliveries of a disabled webhook, chunk by chunk, and gives their number. It does nothing for
// an enabled one. What somebody is changing just then is passed over.
func (l *Ledger) ParkWaiting(ctx context.Context, webhook string) (parked int64, err error) {
	return l.parkWaiting(ctx, webhook, chunk)
}

func (l *Ledger) parkWaiting(ctx context.Context, webhook string, chunk int) (parked int64, err error) {
	// Those that are held first, so that none is left waiting for nothing.
	key := ""
	for more := true; more && err == nil; {
		var n int64
		err = l.pool.QueryRow(ctx, parkHeldSQL, webhook, chunk, key).Scan(&n, &key)
		parked, more = parked+n, n == int64(chunk)
	}
	due := pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true}
	for more := true; more && err == nil; {
		var n int64
		err = l.pool.QueryRow(ctx, parkWaitingSQL, webhook, chunk, due).Scan(&n, &due)
		parked, more = parked+n, n == int64(chunk)
	}
	if err != nil {
		return parked, fmt.Errorf("park deliveries of webhook %q: %w", webhook, err)
	}
	return parked, nil
}

func (l *Ledger) notify(ctx context.Context) error {
	_, err := l.pool.Exec(ctx, notifySQL)
	return err
}
