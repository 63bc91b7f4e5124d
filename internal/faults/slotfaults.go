//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// slotFaults take from the slot what it should have kept.
var slotFaults = []fault{
	{name: "slot dropped", inject: losing("select pg_drop_replication_slot('{slot}')")},
	{name: "slot made anew", inject: losing(
		"select pg_drop_replication_slot('{slot}')", "select pg_create_logical_replication_slot('{slot}', 'pgoutput')")},
	{name: "slot advanced", inject: losing("select pg_replication_slot_advance('{slot}', pg_current_wal_insert_lsn())")},
}

// losing runs statements against the slot as soon as nobody reads it. Without a watermark there is nothing to recover
// from, so nothing is done then.
func losing(statements ...string) func(context.Context, *ground, *rand.Rand) (func(context.Context) error, error) {
	return func(ctx context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
		return nil, g.with(ctx, func(conn *pgx.Conn) error {
			var recoverable bool
			const ready = "select exists (select from walpost.checkpoint where slot = $1 and snapshot is not null)"
			if err := conn.QueryRow(ctx, ready, g.slot).Scan(&recoverable); err != nil || !recoverable {
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
