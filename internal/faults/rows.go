//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/walpost/walpost/outbox"
)

// serializationFailure reports whether Postgres has refused a transaction for the sake of another one.
func serializationFailure(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "40001"
}

// compose makes a row up: its id, type and payload.
func (w *worker) compose(transaction int64) (event string, k *kind, payload string) {
	return w.composeAs(transaction, &kinds[w.random.IntN(len(kinds))])
}

func (w *worker) composeAs(transaction int64, k *kind) (event string, _ *kind, payload string) {
	event = fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x",
		w.random.Uint32(), w.random.Uint32()&0xffff, w.random.Uint32()&0xfff, w.random.Uint32()&0xfff, w.random.Uint64()&0xffffffffffff)
	size := w.random.IntN(200)
	if w.random.IntN(50) == 0 {
		size = 30_000 // stored out of line
	}
	payload = fmt.Sprintf(`{"contact": {"id": %q, "note": %q}}`, event, strings.Repeat("walpost ", size/8))
	if k.quarantined {
		payload = fmt.Sprintf("[%q]", event)
	}
	w.inserted(event, row{transaction: transaction, kind: k})
	return event, k, payload
}

const insertSQL = `insert into public.outbox (id, aggregate_type, aggregate_id, event_type, payload)
	values ($1, 'contact', $1::uuid::text, $2, $3::text::jsonb)`

func (w *worker) insert(ctx context.Context, transaction int64) (event string, err error) {
	event, k, payload := w.compose(transaction)
	_, err = w.conn.Exec(ctx, insertSQL, event, k.event, payload)
	return event, err
}

// insertSome inserts a few rows, slowly at times.
func (w *worker) insertSome(ctx context.Context, transaction int64) error {
	slow := w.random.IntN(3) == 0
	for range 1 + w.random.IntN(6) {
		if _, err := w.insert(ctx, transaction); err != nil {
			return err
		}
		if slow {
			w.dawdle()
		}
	}
	return nil
}

// insertAndNotify wakes whoever polls, as soon as it is committed.
func (w *worker) insertAndNotify(ctx context.Context, transaction int64) error {
	if err := w.insertSome(ctx, transaction); err != nil {
		return err
	}
	_, err := w.conn.Exec(ctx, "notify "+outbox.Channel)
	return err
}

// insertSlowly holds the transaction open, so that ids far above its own are committed before it.
func (w *worker) insertSlowly(ctx context.Context, transaction int64) error {
	if _, err := w.insert(ctx, transaction); err != nil {
		return err
	}
	<-time.After(time.Duration(200+w.random.IntN(2000)) * time.Millisecond)
	_, err := w.insert(ctx, transaction)
	return err
}

// dwell inserts nothing.
func (w *worker) dwell(context.Context, int64) error {
	w.dawdle()
	return nil
}

// insertWithSavepoints nests savepoints and rolls back to some of them.
func (w *worker) insertWithSavepoints(ctx context.Context, transaction int64) error {
	var since []int // for each open savepoint, how many rows there were
	var events []string
	for range 3 + w.random.IntN(8) {
		switch choice := w.random.IntN(6); {
		case choice < 2:
			if _, err := w.conn.Exec(ctx, fmt.Sprintf("savepoint s%d", len(since))); err != nil {
				return err
			}
			since = append(since, len(events))
		case choice < 4 || len(since) == 0:
			event, err := w.insert(ctx, transaction)
			if err != nil {
				return err
			}
			events = append(events, event)
		case choice == 4: // to any of them, which takes all within it
			to := w.random.IntN(len(since))
			if _, err := w.conn.Exec(ctx, fmt.Sprintf("rollback to savepoint s%d", to)); err != nil {
				return err
			}
			w.undo(events[since[to]:])
			events, since = events[:since[to]], since[:to+1]
		default:
			to := w.random.IntN(len(since))
			if _, err := w.conn.Exec(ctx, fmt.Sprintf("release savepoint s%d", to)); err != nil {
				return err
			}
			since = since[:to]
		}
	}
	return nil
}

// insertDeep has more savepoints in each other than the server's cache of subtransactions (64) holds, a row in each, and
// rolls back to one of them.
func (w *worker) insertDeep(ctx context.Context, transaction int64) error {
	const depth = 70
	var events []string
	for i := range depth {
		if _, err := w.conn.Exec(ctx, fmt.Sprintf("savepoint d%d", i)); err != nil {
			return err
		}
		event, err := w.insert(ctx, transaction)
		if err != nil {
			return err
		}
		events = append(events, event)
	}
	to := w.random.IntN(depth)
	w.undo(events[to:])
	_, err := w.conn.Exec(ctx, fmt.Sprintf("rollback to savepoint d%d", to))
	return err
}

// columns are rows for one statement.
type columns struct{ ids, types, payloads []string }

func (c *columns) add(event string, k *kind, payload string) {
	c.ids, c.types, c.payloads = append(c.ids, event), append(c.types, k.event), append(c.payloads, payload)
}

// insertInSubtransactions inserts each row in a subtransaction of its own and undoes some. More than 64 of them don't
// fit into the server's cache.
func (w *worker) insertInSubtransactions(ctx context.Context, transaction int64) error {
	n := 1 + w.random.IntN(8)
	if w.random.IntN(10) == 0 {
		n = 80
	}
	var made columns
	var undone []string
	var flags []bool
	for range n {
		made.add(w.compose(transaction))
		flags = append(flags, w.random.IntN(3) == 0)
		if flags[len(flags)-1] {
			undone = append(undone, made.ids[len(made.ids)-1])
		}
	}
	w.undo(undone)
	_, err := w.conn.Exec(ctx, "select public.faults_insert($1::text[]::uuid[], $2, $3::text[]::jsonb[], $4)", made.ids, made.types, made.payloads, flags)
	return err
}

// insertAndDelete leaves no row behind, as hosts do whose outbox is empty always. The WAL has the event.
func (w *worker) insertAndDelete(ctx context.Context, transaction int64) error {
	for range 1 + w.random.IntN(3) {
		event, err := w.insert(ctx, transaction)
		if err != nil {
			return err
		}
		w.deleted(event)
		if _, err := w.conn.Exec(ctx, "delete from public.outbox where id = $1", event); err != nil {
			return err
		}
	}
	return nil
}

// insertAndUpdate changes what no request shows, so that the row has a newer version than the one that was inserted.
func (w *worker) insertAndUpdate(ctx context.Context, transaction int64) error {
	for range 1 + w.random.IntN(3) {
		event, err := w.insert(ctx, transaction)
		if err != nil {
			return err
		}
		if _, err := w.conn.Exec(ctx, `update public.outbox set headers = '{"touched": "yes"}' where id = $1`, event); err != nil {
			return err
		}
	}
	return nil
}

// touch changes rows that were committed long ago, in what no request shows: they are as new as any to who asks for xmin.
func (w *worker) touch(ctx context.Context) error {
	from := fmt.Sprintf("%08x-0000-0000-0000-000000000000", w.random.Uint32())
	_, err := w.conn.Exec(ctx, `update public.outbox set headers = '{"touched": "later"}'
		where id in (select id from public.outbox where id >= $1 order by id limit 2)`, from)
	return err
}

const insertManySQL = `insert into public.outbox (id, aggregate_type, aggregate_id, event_type, payload)
	select id::uuid, 'contact', id, type, payload::jsonb from unnest($1::text[], $2::text[], $3::text[]) as new (id, type, payload)`

// insertMany inserts more rows than a batch of the stream or a queue has.
func (w *worker) insertMany(ctx context.Context, transaction int64) error {
	var made columns
	for range 100 {
		made.add(w.compose(transaction))
	}
	_, err := w.conn.Exec(ctx, insertManySQL, made.ids, made.types, made.payloads)
	return err
}

// insertHuge inserts hugeRows, of which most concern no webhook.
func (w *worker) insertHuge(ctx context.Context, transaction int64) error {
	unrouted := slices.IndexFunc(kinds, func(k kind) bool { return len(k.topics) == 0 && !k.quarantined })
	for range 10 {
		var made columns
		for i := range hugeRows / 10 {
			if i%25 == 0 {
				made.add(w.compose(transaction))
				continue
			}
			made.add(w.composeAs(transaction, &kinds[unrouted]))
		}
		if _, err := w.conn.Exec(ctx, insertManySQL, made.ids, made.types, made.payloads); err != nil {
			return err
		}
	}
	return nil
}

// insertAndFail makes the transaction fail at its end.
func (w *worker) insertAndFail(ctx context.Context, transaction int64) error {
	if err := w.insertSome(ctx, transaction); err != nil {
		return err
	}
	if _, err := w.conn.Exec(ctx, "select 1 / 0"); err == nil || w.conn.IsClosed() {
		return errors.New("the connection is lost")
	}
	return nil
}
