package ledger

import (
	"context"
	_ "embed" // statements
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/outbox"
)

var (
	//go:embed sql/order_rows.sql
	orderRowsSQL string
	//go:embed sql/order_lock.sql
	orderLockSQL string
	//go:embed sql/order_settle.sql
	orderSettleSQL string
	//go:embed sql/order_unlease.sql
	orderUnleaseSQL string
	//go:embed sql/order_keys.sql
	orderKeysSQL string
	//go:embed sql/order_open.sql
	orderOpenSQL string
)

// Order is a delivery's place in the order of its webhook. Of the deliveries with the same webhook and key, the ledger gives
// out one at a time, by the LSN of the event's commit and then N; what comes after it in the key may be claimed with it.
// The next one comes due when the one before is final. The zero value is no order.
type Order struct {
	Key string // "": none
	N   int64  // place among the deliveries of the event's transaction
}

// MaxRun is the most that Capacity.Run may be.
const MaxRun = 10_000

// orderColumns are the order of a statement's rows.
type orderColumns struct {
	key, lsn []string
	n        []int64
}

func (c *orderColumns) add(e *outbox.Row, o Order) {
	c.key = append(c.key, o.Key)
	c.lsn = append(c.lsn, lsn(e.LSN).String())
	c.n = append(c.n, o.N)
}

func (c *orderColumns) args() []any { return []any{c.key, c.lsn, c.n} }

// orderRows are the keys of which a transaction changes what is owed.
type orderRows struct {
	webhook, key []string
	seen         map[[2]string]bool
	locked       []string
	// stopped are the keys of which a claimed delivery was not brought to an end.
	stopped struct{ webhook, key []string }
}

// touch notes the key of a delivery that the transaction records or changes.
func (r *orderRows) touch(webhook string, o Order) {
	if o.Key == "" || !r.first(webhook, o.Key) {
		return
	}
	r.webhook, r.key = append(r.webhook, webhook), append(r.key, o.Key)
	r.lock(webhook)
}

// stop notes the key of a claimed delivery that was not brought to an end. What was claimed behind it is given back.
func (r *orderRows) stop(webhook string, o Order) {
	if o.Key != "" {
		r.stopped.webhook, r.stopped.key = append(r.stopped.webhook, webhook), append(r.stopped.key, o.Key)
	}
}

// lock notes a webhook whose row the transaction changes. One that locks any locks all of them first: a circle of
// transactions, each waiting for the next, is impossible then.
func (r *orderRows) lock(webhook string) {
	if r.first(webhook, "") {
		r.locked = append(r.locked, webhook)
	}
}

func (r *orderRows) first(webhook, key string) bool {
	if r.seen == nil {
		r.seen = make(map[[2]string]bool)
	}
	pair := [2]string{webhook, key}
	if r.seen[pair] {
		return false
	}
	r.seen[pair] = true
	return true
}

// begin queues what must run before all other statements of the transaction: each of those then sees what whoever had the
// locks before has committed.
func (r *orderRows) begin(out *pgx.Batch) {
	if len(r.key) > 0 {
		out.Queue(orderRowsSQL, r.locked)
		out.Queue(orderLockSQL, r.locked)
	}
}

// end queues what must run after them.
func (r *orderRows) end(out *pgx.Batch) {
	if len(r.stopped.key) > 0 {
		out.Queue(orderUnleaseSQL, r.stopped.webhook, r.stopped.key, MaxRun)
	}
	if len(r.key) > 0 {
		out.Queue(orderSettleSQL, r.webhook, r.key)
	}
}

// OrderKeys gives up to limit of the keys of a webhook of which the ledger owes something, which a newer delivery of the key
// must not overtake. A key of which nothing is out, which should not happen, is put right on the way.
func (l *Ledger) OrderKeys(ctx context.Context, webhook string, limit int) (keys []string, err error) {
	last := ""
	for len(keys) < limit {
		var stuck orderRows
		var key string
		var held bool
		most := min(chunk, limit-len(keys))
		rows, _ := l.pool.Query(ctx, orderKeysSQL, webhook, most, last)
		tag, err := pgx.ForEachRow(rows, []any{&key, &held}, func() error {
			keys, last = append(keys, key), key
			if held {
				stuck.touch(webhook, Order{Key: key})
			}
			return nil
		})
		if err == nil && len(stuck.key) > 0 {
			err = l.settleOrder(ctx, &stuck)
		}
		if err != nil {
			return nil, fmt.Errorf("read the keys that webhook %q owes: %w", webhook, err)
		}
		if tag.RowsAffected() < int64(most) {
			break
		}
	}
	return keys, nil
}

func (l *Ledger) settleOrder(ctx context.Context, r *orderRows) error {
	var batch pgx.Batch
	r.begin(&batch)
	r.end(&batch)
	return l.pool.SendBatch(ctx, &batch).Close()
}

// OrderOpen gives those of the keys of a webhook of which the ledger owes something.
func (l *Ledger) OrderOpen(ctx context.Context, webhook string, keys []string) ([]string, error) {
	rows, _ := l.pool.Query(ctx, orderOpenSQL, webhook, keys)
	open, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("ask for the keys that webhook %q owes: %w", webhook, err)
	}
	return open, nil
}
