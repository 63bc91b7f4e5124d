//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/outbox"
)

// pollSession is the connection that polls: the only one whose statements name the column.
const pollSession = "usename = '{role}' and (query like '%walpost_xid%' or query like 'listen%' or query like '%pg_current_wal_flush_lsn%')"

// pollerFaults happen to the connection that polls.
var pollerFaults = []fault{
	ended("polling session terminated", pollSession),
	{name: "polling session frozen", lasts: 3 * time.Second, inject: func(ctx context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
		return g.freezeBackend(ctx, "select coalesce(max(pid), 0) from pg_stat_activity where "+pollSession)
	}},
}

// pollFaults take from the table what polling needs.
var pollFaults = []fault{
	{name: "index invalid", loses: true, lasts: 2 * time.Second, inject: spoilIndex},
}

// columnRemade happens while no walpost runs, so it is of the hand that kills them.
var columnRemade = fault{name: "column made anew", loses: true, rereads: true, inject: remakeColumn}

// spoilIndex makes the index one that nobody may use, as a "create index concurrently" that was cut off leaves it. Polling that
// begins anew must refuse the table until it is mended; one that runs doesn't notice.
func spoilIndex(ctx context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
	g.losses.Add(1)
	const mark = "update pg_index set indisvalid = %t where indexrelid = 'public.outbox_walpost_xid'::regclass"
	return func(ctx context.Context) error { return g.exec(ctx, fmt.Sprintf(mark, true)) }, g.exec(ctx, fmt.Sprintf(mark, false),
		g.named("select pg_terminate_backend(pid) from pg_stat_activity where "+pollSession))
}

// remakeColumnSQL makes the column anew, with the index.
var remakeColumnSQL = "alter table public.outbox drop column walpost_xid; " + outbox.Table{}.XIDColumnDDL() +
	strings.Replace(outbox.Table{}.XIDIndexDDL(), " concurrently", "", 1)

// remakeColumn has all rows look as if one transaction had inserted them, while no walpost runs: they are read by their xmin.
func remakeColumn(ctx context.Context, g *ground, random *rand.Rand) (func(context.Context) error, error) {
	g.losses.Add(1)
	g.runner.kill()
	err := g.alter(ctx, remakeColumnSQL)
	return nil, errors.Join(err, g.runner.start())
}

// alter changes the table in one transaction, unless the workload is in the way for too long.
func (g *ground) alter(ctx context.Context, sql string) error {
	return g.with(ctx, func(conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, impatience); err != nil {
			return err
		}
		for range 3 {
			_, err := conn.Exec(ctx, "begin; "+sql+"; commit")
			if err == nil || conn.IsClosed() { // by another fault at the same time
				return nil
			}
			if !hasState(err, lockNotAvailable) {
				return err
			}
			if _, err := conn.Exec(ctx, "rollback"); err != nil {
				return nil // another fault
			}
		}
		return nil
	})
}
