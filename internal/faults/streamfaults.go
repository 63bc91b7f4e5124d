//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// streamFaults take from slot or publication what the stream should have had. walpost stops, or begins the stream anew, and
// reads from the table what is missing.
var streamFaults = []fault{
	{name: "slot dropped", inject: losing("select pg_drop_replication_slot('{slot}')")},
	{name: "slot made anew", inject: losing(
		"select pg_drop_replication_slot('{slot}')", "select pg_create_logical_replication_slot('{slot}', 'pgoutput')")},
	{name: "slot advanced", inject: losing("select pg_replication_slot_advance('{slot}', pg_current_wal_insert_lsn())")},
	{name: "publication dropped", loses: true, lasts: 3 * time.Second, inject: breaking("drop publication "+publication,
		"create publication "+publication+" for table public.outbox with (publish = 'insert')")},
	{name: "publication without the table", loses: true, lasts: 3 * time.Second, inject: breaking(
		"alter publication "+publication+" set table public.faults_conflict", "alter publication "+publication+" set table public.outbox")},
	{name: "publication without inserts", loses: true, lasts: 3 * time.Second, inject: breaking(
		"alter publication "+publication+" set (publish = 'update')", "alter publication "+publication+" set (publish = 'insert')")},
	{name: "publication with a filter", loses: true, lasts: 3 * time.Second, inject: breaking(
		"alter publication "+publication+" set table public.outbox where (aggregate_type = 'nobody')",
		"alter publication "+publication+" set table public.outbox")},
	// Nothing is missing, but who can tell afterwards: the table is read, and the slot stays.
	{name: "publication widened", lasts: 3 * time.Second, inject: breaking(
		"alter publication "+publication+" set (publish = 'insert, update, delete')",
		"alter publication "+publication+" set (publish = 'insert')")},
}

// breaking changes the publication and changes it back.
func breaking(begin, after string) func(context.Context, *ground, *rand.Rand) (func(context.Context) error, error) {
	change := func(ctx context.Context, g *ground, sql string) error {
		return g.with(ctx, func(conn *pgx.Conn) error {
			var recoverable bool
			if err := conn.QueryRow(ctx, recoverableSQL, g.slot).Scan(&recoverable); err != nil || !recoverable {
				return err
			}
			g.losses.Add(1)
			_, err := conn.Exec(ctx, impatience+"; "+sql)
			return err
		})
	}
	return func(ctx context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
		broken, err := false, change(ctx, g, begin)
		switch {
		case err == nil:
			broken = true
		case hasState(err, lockNotAvailable), hasState(err, "57P01"): // the workload was quicker, or another fault
			err = nil
		}
		return func(ctx context.Context) error {
			for broken {
				err := change(ctx, g, after)
				if err == nil || hasState(err, "42710") { // it is there: an earlier try was not answered
					return nil
				}
				if !wait(ctx, 100*time.Millisecond) {
					return err
				}
			}
			return nil
		}, err
	}
}

// recoverableSQL says whether there is a watermark: without, there is nothing to recover from.
const recoverableSQL = "select exists (select from walpost.checkpoint where slot = $1 and snapshot is not null)"

// losing runs statements against the slot as soon as nobody reads it. Without a watermark there is nothing to recover
// from, so nothing is done then.
func losing(statements ...string) func(context.Context, *ground, *rand.Rand) (func(context.Context) error, error) {
	return func(ctx context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
		return nil, g.with(ctx, func(conn *pgx.Conn) error {
			var recoverable bool
			if err := conn.QueryRow(ctx, recoverableSQL, g.slot).Scan(&recoverable); err != nil || !recoverable {
				return err
			}
			g.losses.Add(1)
			for try := 0; ; try++ {
				err := g.lose(ctx, conn, statements)
				if conn.IsClosed() {
					return nil // Postgres has another fault at the same time
				}
				if !busy(err) || try == 50 {
					return err
				}
			}
		})
	}
}

// lose ends the slot's reader and runs the statements.
func (g *ground) lose(ctx context.Context, conn *pgx.Conn, statements []string) error {
	const end = "select pg_terminate_backend(active_pid, 10000) from pg_replication_slots where slot_name = $1 and active_pid is not null"
	if _, err := conn.Exec(ctx, end, g.slot); err != nil {
		return fmt.Errorf("end the slot's reader: %w", err)
	}
	// A new slot waits for all transactions that run, also those that were left prepared, which no walpost could do anything about.
	if _, err := conn.Exec(ctx, impatience); err != nil {
		return err
	}
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, g.named(sql)); err != nil && !missing(err) && !hasState(err, lockNotAvailable) {
			return fmt.Errorf("execute %q: %w", sql, err)
		}
	}
	return nil
}

// busy reports that somebody reads the slot (SQLSTATE 55006).
func busy(err error) bool { return hasState(err, "55006") }

// missing reports that there is no slot, or that there is one already: a recovery is under way.
func missing(err error) bool { return hasState(err, "42704") || hasState(err, "42710") }

// lockNotAvailable is the SQLSTATE after a lock_timeout.
const lockNotAvailable = "55P03"

func hasState(err error, code string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == code
}
