//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// shape is a sort of transaction. play runs between BEGIN and the end, which is done unless end says otherwise.
type shape struct {
	name  string
	often int // weight
	play  func(*worker, context.Context, int64) error
	end   func(*worker, context.Context, int64) error
}

var shapes = []shape{
	{"plain", 6, (*worker).insertSome, (*worker).commit},
	{"rolled back", 2, (*worker).insertSome, (*worker).rollback},
	{"savepoints", 3, (*worker).insertWithSavepoints, (*worker).commit},
	{"subtransactions", 2, (*worker).insertInSubtransactions, (*worker).commit},
	{"prepared", 2, (*worker).insertSome, (*worker).commitInTwoPhases},
	{"insert and delete", 2, (*worker).insertAndDelete, (*worker).commit},
	{"large", 1, (*worker).insertMany, (*worker).commit},
	{"failing", 1, (*worker).insertAndFail, (*worker).commit},
	{"disconnected", 1, (*worker).insertSome, (*worker).vanish},
}

// pick takes a shape by weight.
func (w *worker) pick() *shape {
	total := 0
	for i := range shapes {
		total += shapes[i].often
	}
	n := w.random.IntN(total)
	for i := range shapes {
		if n -= shapes[i].often; n < 0 {
			return &shapes[i]
		}
	}
	return &shapes[0]
}

// transact runs one transaction. An error means that the connection is of no more use.
func (w *worker) transact(ctx context.Context) (err error) {
	if w.conn == nil {
		if w.conn, err = pgx.Connect(ctx, w.url); err != nil {
			w.conn = nil
			return err
		}
	}
	s := w.pick()
	transaction := w.begin(s.name)
	if _, err := w.conn.Exec(ctx, "begin"); err != nil {
		return err
	}
	if _, err := w.conn.Exec(ctx, "insert into public.faults_committed values ($1)", transaction); err != nil {
		return err
	}
	if err := s.play(w, ctx, transaction); err != nil {
		return err
	}
	return s.end(w, ctx, transaction)
}

// commit ends the transaction. Until it is answered nobody knows.
func (w *worker) commit(ctx context.Context, transaction int64) error {
	return w.decide(ctx, transaction, "commit")
}

// decide sends a statement that commits.
func (w *worker) decide(ctx context.Context, transaction int64, statement string) error {
	w.end(transaction, open)
	tag, err := w.conn.Exec(ctx, statement)
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(tag.String(), "ROLLBACK"): // of a transaction that had failed
		w.end(transaction, rolledBack)
	default:
		w.end(transaction, committed)
	}
	return nil
}

func (w *worker) rollback(ctx context.Context, _ int64) error {
	_, err := w.conn.Exec(ctx, "rollback")
	return err
}

// vanish drops the connection in the middle of the transaction.
func (w *worker) vanish(context.Context, int64) error { return errors.New("the application vanishes") }

// commitInTwoPhases prepares the transaction, lets some time pass, and then commits or rolls back, perhaps on another
// connection.
func (w *worker) commitInTwoPhases(ctx context.Context, transaction int64) error {
	gid := fmt.Sprintf("faults-%d", transaction)
	w.end(transaction, open) // from here on it may outlive us
	if _, err := w.conn.Exec(ctx, "prepare transaction '"+gid+"'"); err != nil {
		return err
	}
	w.dawdle()
	if w.random.IntN(3) == 0 {
		w.disconnect()
		var err error
		if w.conn, err = pgx.Connect(ctx, w.url); err != nil {
			w.conn = nil
			return err
		}
	}
	if w.random.IntN(3) > 0 {
		return w.decide(ctx, transaction, "commit prepared '"+gid+"'")
	}
	if _, err := w.conn.Exec(ctx, "rollback prepared '"+gid+"'"); err != nil {
		return err
	}
	w.end(transaction, rolledBack)
	return nil
}

// dawdle lets other transactions come in between.
func (w *worker) dawdle() {
	<-time.After(time.Duration(w.random.IntN(20)) * time.Millisecond)
}

// compose makes a row up: its id, type and payload.
func (w *worker) compose(transaction int64) (event string, k *kind, payload string) {
	k = &kinds[w.random.IntN(len(kinds))]
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

// insertInSubtransactions inserts each row in a subtransaction of its own and undoes some. More than 64 of them don't
// fit into the server's cache.
func (w *worker) insertInSubtransactions(ctx context.Context, transaction int64) error {
	n := 1 + w.random.IntN(8)
	if w.random.IntN(10) == 0 {
		n = 80
	}
	var ids, types, payloads, undone []string
	var flags []bool
	for range n {
		event, k, payload := w.compose(transaction)
		ids, types, payloads = append(ids, event), append(types, k.event), append(payloads, payload)
		flags = append(flags, w.random.IntN(3) == 0)
		if flags[len(flags)-1] {
			undone = append(undone, event)
		}
	}
	w.undo(undone)
	_, err := w.conn.Exec(ctx, "select public.faults_insert($1::text[]::uuid[], $2, $3::text[]::jsonb[], $4)", ids, types, payloads, flags)
	return err
}

// insertAndDelete leaves no row behind, as hosts do whose outbox is empty always. The WAL has the event.
func (w *worker) insertAndDelete(ctx context.Context, transaction int64) error {
	for range 1 + w.random.IntN(3) {
		event, err := w.insert(ctx, transaction)
		if err != nil {
			return err
		}
		if _, err := w.conn.Exec(ctx, "delete from public.outbox where id = $1", event); err != nil {
			return err
		}
	}
	return nil
}

// insertMany inserts more rows than a batch of the stream or a queue has.
func (w *worker) insertMany(ctx context.Context, transaction int64) error {
	var ids, types, payloads []string
	for range 100 {
		event, k, payload := w.compose(transaction)
		ids, types, payloads = append(ids, event), append(types, k.event), append(payloads, payload)
	}
	_, err := w.conn.Exec(ctx, `insert into public.outbox (id, aggregate_type, aggregate_id, event_type, payload)
		select id::uuid, 'contact', id, type, payload::jsonb from unnest($1::text[], $2::text[], $3::text[]) as new (id, type, payload)`,
		ids, types, payloads)
	return err
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
