//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// shape is a sort of transaction. play runs between BEGIN and end. A shape with a whole does everything itself.
type shape struct {
	name  string
	often int // weight
	play  func(*worker, context.Context, int64) error
	end   func(*worker, context.Context, int64) error
	whole func(*worker, context.Context) error
}

var shapes = []shape{
	{name: "plain", often: 12, play: (*worker).insertSome, end: (*worker).commit},
	{name: "rolled back", often: 4, play: (*worker).insertSome, end: (*worker).rollback},
	{name: "savepoints", often: 6, play: (*worker).insertWithSavepoints, end: (*worker).commit},
	{name: "subtransactions", often: 4, play: (*worker).insertInSubtransactions, end: (*worker).commit},
	{name: "deeply nested", often: 1, play: (*worker).insertDeep, end: (*worker).commit},
	{name: "prepared", often: 3, play: (*worker).insertSome, end: (*worker).commitInTwoPhases},
	{name: "prepared for long", often: 2, play: (*worker).insertSome, end: (*worker).leavePrepared},
	{name: "end of a prepared one", often: 2, whole: (*worker).endPrepared},
	{name: "insert and delete", often: 4, play: (*worker).insertAndDelete, end: (*worker).commitBetween},
	{name: "insert and update", often: 2, play: (*worker).insertAndUpdate, end: (*worker).commit},
	{name: "later update", often: 2, whole: (*worker).touch},
	{name: "notifying", often: 2, play: (*worker).insertAndNotify, end: (*worker).commit},
	{name: "large", often: 2, play: (*worker).insertMany, end: (*worker).commit},
	{name: "empty", often: 2, play: (*worker).dwell, end: (*worker).commit},
	{name: "held open", often: 1, play: (*worker).insertSlowly, end: (*worker).commit},
	{name: "failing", often: 2, play: (*worker).insertAndFail, end: (*worker).commit},
	{name: "serializable", often: 2, whole: (*worker).conflict},
	{name: "disconnected", often: 2, play: (*worker).insertSome, end: (*worker).vanish},
	{name: "cut at its commit", often: 3, play: (*worker).insertSome, end: (*worker).cutCommit},
}

// huge has more rows than fit into any buffer; it is played seldom, and once soon.
var huge = shape{name: "huge", play: (*worker).insertHuge, end: (*worker).commit}

const (
	hugeRows  = 10_000
	hugeFirst = 20  // transactions of the first worker before its first
	hugeEvery = 600 // transactions of each worker
)

// pick takes a shape by weight.
func (w *worker) pick() *shape {
	w.turn++
	if w.turn%hugeEvery == hugeFirst && (w.first || w.turn > hugeEvery) {
		return &huge
	}
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
func (w *worker) transact(ctx context.Context) error {
	if err := w.connect(ctx); err != nil {
		return err
	}
	return w.perform(ctx, w.pick())
}

// perform runs a transaction of a shape. The worker must be connected.
func (w *worker) perform(ctx context.Context, s *shape) error {
	if s.whole != nil {
		w.count(s.name)
		return s.whole(w, ctx)
	}
	transaction := w.begin(s.name)
	if err := w.open(ctx, w.conn, "begin", transaction); err != nil {
		return err
	}
	if err := s.play(w, ctx, transaction); err != nil {
		return err
	}
	return s.end(w, ctx, transaction)
}

func (w *worker) connect(ctx context.Context) (err error) {
	if w.conn == nil {
		if w.conn, err = pgx.Connect(ctx, w.url); err != nil {
			w.conn = nil
		}
	}
	return err
}

// open begins a transaction and leaves its number in it.
func (w *worker) open(ctx context.Context, conn *pgx.Conn, begin string, transaction int64) error {
	if _, err := conn.Exec(ctx, begin); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, "insert into public.faults_committed values ($1)", transaction)
	return err
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

// commitBetween commits, and keeps between which positions.
func (w *worker) commitBetween(ctx context.Context, transaction int64) error {
	before, err := w.position(ctx)
	if err != nil {
		return err
	}
	w.between(transaction, before, 0)
	if err := w.commit(ctx, transaction); err != nil {
		return err
	}
	after, err := w.position(ctx)
	w.between(transaction, before, after)
	return err
}

// position is how far the WAL is now.
func (w *worker) position(ctx context.Context) (lsn uint64, err error) {
	err = w.conn.QueryRow(ctx, "select (pg_current_wal_insert_lsn() - '0/0')::bigint").Scan(&lsn)
	return lsn, err
}

func (w *worker) rollback(ctx context.Context, _ int64) error {
	_, err := w.conn.Exec(ctx, "rollback")
	return err
}

// vanish drops the connection in the middle of the transaction.
func (w *worker) vanish(context.Context, int64) error { return errors.New("the application vanishes") }

// cutCommit sends COMMIT, or a part of it, and drops the connection: whether it is committed only the database knows.
func (w *worker) cutCommit(_ context.Context, transaction int64) error {
	message, err := (&pgproto3.Query{String: "commit"}).Encode(nil)
	if err != nil {
		return err
	}
	conn, err := w.conn.PgConn().Hijack()
	if err != nil {
		return err
	}
	w.conn = nil
	w.end(transaction, open)
	if w.random.IntN(4) == 0 {
		message = message[:len(message)/2]
	}
	_, _ = conn.Conn.Write(message) // whatever arrives
	return errors.Join(errors.New("the application's connection is cut"), conn.Conn.Close())
}

// gidOf names a prepared transaction, on a server that may have other workloads.
func (w *worker) gidOf(transaction int64) string {
	return fmt.Sprintf("%s-%d", w.conn.Config().Database, transaction)
}

// prepare is the first phase.
func (w *worker) prepare(ctx context.Context, transaction int64) error {
	w.end(transaction, open) // from here on it may outlive us
	_, err := w.conn.Exec(ctx, "prepare transaction '"+w.gidOf(transaction)+"'")
	return err
}

// finish is the second phase.
func (w *worker) finish(ctx context.Context, transaction int64) error {
	if w.random.IntN(3) > 0 {
		return w.decide(ctx, transaction, "commit prepared '"+w.gidOf(transaction)+"'")
	}
	if _, err := w.conn.Exec(ctx, "rollback prepared '"+w.gidOf(transaction)+"'"); err != nil {
		return err
	}
	w.end(transaction, rolledBack)
	return nil
}

// commitInTwoPhases prepares the transaction, lets some time pass, and then commits or rolls back, perhaps on another
// connection.
func (w *worker) commitInTwoPhases(ctx context.Context, transaction int64) error {
	if err := w.prepare(ctx, transaction); err != nil {
		return err
	}
	w.dawdle()
	if w.random.IntN(3) == 0 {
		w.disconnect()
		if err := w.connect(ctx); err != nil {
			return err
		}
	}
	return w.finish(ctx, transaction)
}

// leavePrepared prepares the transaction and leaves it to somebody who comes later, with faults in between.
func (w *worker) leavePrepared(ctx context.Context, transaction int64) error {
	if err := w.prepare(ctx, transaction); err != nil {
		return err
	}
	if w.leave(transaction) {
		return nil
	}
	return w.finish(ctx, transaction)
}

// endPrepared ends the transaction that was left prepared first.
func (w *worker) endPrepared(ctx context.Context) error {
	transaction, ok := w.takeLeft()
	if !ok {
		return nil
	}
	return w.finish(ctx, transaction)
}

// conflict runs two serializable transactions into each other: each reads what the other writes, so one of them fails.
func (w *worker) conflict(ctx context.Context) error {
	other, err := pgx.Connect(ctx, w.url)
	if err != nil {
		return err
	}
	defer other.Close(ctx) //nolint:errcheck // its transaction is over, or lost with it
	second := &worker{workload: w.workload, random: w.random, conn: other}
	one, two := w.begin("serializable"), w.begin("serializable")
	for _, side := range []struct {
		*worker
		transaction int64
	}{{w, one}, {second, two}} {
		if err := side.open(ctx, side.conn, "begin isolation level serializable", side.transaction); err != nil {
			return err
		}
		if _, err := side.conn.Exec(ctx, "select count(*) from public.faults_conflict"); err != nil {
			return err
		}
		if err := side.insertSome(ctx, side.transaction); err != nil {
			return err
		}
	}
	for _, side := range []struct {
		*worker
		transaction int64
	}{{w, one}, {second, two}} {
		_, err := side.conn.Exec(ctx, "insert into public.faults_conflict values ($1)", side.transaction)
		if err == nil {
			err = side.commit(ctx, side.transaction)
		}
		if serializationFailure(err) {
			side.end(side.transaction, rolledBack)
			w.count("serialization failure")
			_, err = side.conn.Exec(ctx, "rollback")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// dawdle lets other transactions come in between.
func (w *worker) dawdle() {
	<-time.After(time.Duration(w.random.IntN(20)) * time.Millisecond)
}
