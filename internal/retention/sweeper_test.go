//go:build unix

package retention

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/walpost/walpost/internal/pgtest"
	"github.com/walpost/walpost/outbox"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// ground is an outbox table with its sweeper.
type ground struct {
	*Sweeper
	t    *testing.T
	db   *pgtest.Database
	pool *pgxpool.Pool
}

func newGround(t *testing.T) *ground {
	g := &ground{t: t, db: pgtest.New(t)}
	g.pool = g.db.Pool(t)
	g.Sweeper = g.by(g.db.URL)
	return g
}

func (g *ground) by(url string) *Sweeper {
	return New(Options{ConnString: url, Table: outbox.Table{Schema: "public", Name: "outbox", Columns: outbox.DefaultColumns}})
}

// partitioned makes a table by day of created_at, with a partition for each of the days from today, and a default one.
func (g *ground) partitioned(days ...int) {
	g.t.Helper()
	g.db.Exec(g.t, `create table public.outbox (id uuid not null default gen_random_uuid(), aggregate_type text not null, aggregate_id text not null,
		event_type text not null, payload jsonb not null, headers jsonb, created_at timestamptz not null default now(),
		primary key (id, created_at)) partition by range (created_at);
		create table public.outbox_default partition of public.outbox default`)
	for i, day := range days {
		g.db.Exec(g.t, fmt.Sprintf(`do $$ begin execute format('create table public.day%d partition of public.outbox for values from (%%L) to (%%L)',
			current_date + %d, current_date + %d); end $$`, i, day, day+1))
	}
}

// insert commits n rows, as of so many days from today, and gives the horizon that has them all, and nothing newer.
func (g *ground) insert(n, day int) (horizon int64) {
	g.t.Helper()
	err := pgx.BeginFunc(g.t.Context(), g.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(g.t.Context(), `insert into public.outbox (aggregate_type, aggregate_id, event_type, payload, created_at)
			select 'contact', i::text, 'tagged', jsonb_build_object('text', repeat('x', 100)), current_date + interval '1 hour' + $2 * interval '1 day'
			from generate_series(1, $1) i`, n, day)
		if err != nil {
			return err
		}
		return tx.QueryRow(g.t.Context(), "select pg_current_xact_id()::text::bigint + 1").Scan(&horizon)
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return horizon
}

func (g *ground) count(from string) (n int64) {
	g.t.Helper()
	if err := g.pool.QueryRow(g.t.Context(), "select count(*) from "+from).Scan(&n); err != nil {
		g.t.Fatal(err)
	}
	return n
}

func (g *ground) sweep(horizon int64) Swept {
	g.t.Helper()
	swept, err := g.Sweep(g.t.Context(), Sweep{Horizon: horizon, Retention: 24 * time.Hour})
	if err != nil {
		g.t.Fatal(err)
	}
	return swept
}

func TestSweepDeletesWhatIsBelowTheHorizon(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.db.Outbox(t)
	if swept := g.sweep(1 << 40); swept != (Swept{}) {
		t.Errorf("of an empty table: %+v", swept)
	}
	horizon := g.insert(5000, 0) // over several batches and ranges
	g.insert(300, -30)           // age by created_at means nothing
	if swept := g.sweep(horizon - 1); swept != (Swept{}) {
		t.Errorf("all rows are above the horizon: %+v", swept)
	}
	if swept := g.sweep(horizon); swept != (Swept{Rows: 5000}) {
		t.Errorf("got %+v", swept)
	}
	if n := g.count("public.outbox"); n != 300 {
		t.Errorf("%d rows are left", n)
	}
	if swept := g.sweep(horizon); swept != (Swept{}) {
		t.Errorf("once more: %+v", swept)
	}
}

// TestSweepWidensTransactionIDs compares the statement's arithmetic with what it should give, across the ends of epochs.
func TestSweepWidensTransactionIDs(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	const widen = "$1::bigint - (($1::bigint - $2::bigint) & 4294967295)"
	if !strings.Contains(strings.Join(strings.Fields(deleteSQL), " "), "- t.xmin::text::bigint) & 4294967295) < $3::bigint") {
		t.Fatal("the statement has changed: so must this test")
	}
	for range 200 {
		end := rand.Int64N(1<<40) + 1<<32 // of the snapshot
		xid := end - rand.Int64N(1<<32)   // of a row that it sees
		var got int64
		if err := g.pool.QueryRow(t.Context(), "select "+widen, end, xid&(1<<32-1)).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != xid {
			t.Fatalf("%d, seen at %d, is taken for %d", xid, end, got)
		}
	}
}

func TestSweepLeavesLockedRows(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.db.Outbox(t)
	horizon := g.insert(2000, 0)
	tx, err := g.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	// One is locked; one is updated, which makes a new row of it, and of the last there is nothing else.
	if _, err := tx.Exec(t.Context(), "select from public.outbox where aggregate_id = '7' for update"); err != nil {
		t.Fatal(err)
	}
	swept := g.sweep(horizon)
	if swept.Busy != 1 || swept.Rows == 0 || swept.Rows >= 2000 {
		t.Errorf("with a locked row: %+v", swept)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.db.Exec(t, "update public.outbox set headers = '{}' where aggregate_id = '7'") // above the horizon now
	rest := g.sweep(horizon)
	if swept.Rows+rest.Rows != 1999 || g.count("public.outbox where aggregate_id = '7'") != 1 {
		t.Errorf("then: %+v", rest)
	}
}

func TestSweepWithoutTheRight(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.db.Outbox(t)
	horizon := g.insert(10, 0)
	role, url := g.db.Role(t, "")
	_, err := g.by(url).Sweep(t.Context(), Sweep{Horizon: horizon})
	var denied *DeniedError
	if !errors.As(err, &denied) || denied.Error() != role+` may not delete from "public"."outbox"` {
		t.Fatalf("got %v", err)
	}
	g.db.Exec(t, denied.Fix())
	swept, err := g.by(url).Sweep(t.Context(), Sweep{Horizon: horizon})
	if err != nil || swept.Rows != 10 {
		t.Errorf("after %q: %+v, %v", denied.Fix(), swept, err)
	}
}

func TestSweepStopsWhenToldTo(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.db.Outbox(t)
	horizon := g.insert(5000, 0)
	asked := 0
	swept, err := g.Sweep(t.Context(), Sweep{Horizon: horizon, Go: func() bool { asked++; return asked < 4 }})
	if err != nil || swept.Rows == 0 || swept.Rows+g.count("public.outbox") != 5000 || swept.Rows == 5000 {
		t.Errorf("got %+v, %v", swept, err)
	}
}

func TestSweepDropsOldPartitions(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.partitioned(-9, -8, -7, 0, 1)
	g.insert(100, -9)
	g.insert(100, -8)
	g.insert(10, -20) // in the default partition
	horizon := g.insert(100, 0)
	g.insert(1, -7) // late: its transaction is above the horizon
	g.insert(1, -20)
	g.db.Exec(t, "analyze public.outbox")

	// Somebody writes to the oldest one: it stays for now, and nobody waits for long.
	tx, err := g.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), "delete from public.day0 where aggregate_id = '1'"); err != nil {
		t.Fatal(err)
	}
	if swept := g.sweep(horizon); swept != (Swept{Rows: 10, Dropped: 100, Partitions: 1, Busy: 1}) {
		t.Errorf("got %+v", swept)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if swept := g.sweep(horizon); swept != (Swept{Dropped: 100, Partitions: 1}) {
		t.Errorf("then %+v", swept)
	}
	if n := g.count("public.outbox"); n != 102 { // today's go with their partition
		t.Errorf("%d rows are left", n)
	}
	if n := g.count("pg_class where relname like 'day_' and relkind = 'r'"); n != 3 {
		t.Errorf("%d partitions are left: the one with a late row, today's and tomorrow's must", n)
	}
}

// A role that may delete, and doesn't own the partitions, deletes row by row.
func TestSweepDeletesFromPartitionsOfOthers(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.partitioned(-9)
	horizon := g.insert(100, -9)
	role, url := g.db.Role(t, "")
	g.db.Exec(t, "grant select, delete on all tables in schema public to "+role)
	swept, err := g.by(url).Sweep(t.Context(), Sweep{Horizon: horizon, Retention: 24 * time.Hour})
	if err != nil || swept != (Swept{Rows: 100}) {
		t.Errorf("got %+v, %v", swept, err)
	}
}

// TestSweepIsInNobodysWay watches the locks while rows are deleted beside inserts: none is stronger than a writer's, and
// nobody waits for the sweep.
func TestSweepIsInNobodysWay(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.db.Outbox(t)
	horizon := g.insert(20000, 0)
	var done atomic.Bool
	watched := make(chan error, 1)
	inserted := make(chan error, 1)
	go func() {
		ctx := context.Background()
		for seen := 0; ; seen++ {
			var modes []string
			var waiting int
			err := g.pool.QueryRow(ctx, `select
				coalesce((select array_agg(distinct l.mode) from pg_locks l join pg_stat_activity a on a.pid = l.pid
					where a.application_name = 'walpost retention' and a.datname = current_database() and l.relation = 'public.outbox'::regclass
						and l.mode not in ('AccessShareLock', 'RowExclusiveLock')), '{}'),
				(select count(*) from pg_stat_activity w, unnest(pg_blocking_pids(w.pid)) b join pg_stat_activity a on a.pid = b
					where a.application_name = 'walpost retention' and a.datname = current_database())`).Scan(&modes, &waiting)
			if err == nil && (len(modes) > 0 || waiting > 0) {
				err = fmt.Errorf("the sweep holds %v, and %d wait for it", modes, waiting)
			}
			if err != nil || done.Load() {
				watched <- err
				return
			}
		}
	}()
	go func() {
		ctx := context.Background()
		for !done.Load() {
			if _, err := g.pool.Exec(ctx, `insert into public.outbox (aggregate_type, aggregate_id, event_type, payload) values ('new', '1', 't', '{}')`); err != nil {
				inserted <- err
				return
			}
		}
		inserted <- nil
	}()
	swept := g.sweep(horizon)
	done.Store(true)
	if err := errors.Join(<-watched, <-inserted); err != nil {
		t.Error(err)
	}
	if swept != (Swept{Rows: 20000}) || g.count("public.outbox where aggregate_type <> 'new'") != 0 {
		t.Errorf("got %+v", swept)
	}
}
