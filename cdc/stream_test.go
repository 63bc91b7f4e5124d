package cdc

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestFirstStartCreatesWhatIsMissing(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	r := start(t, testOptions(db), nil)
	id := r.connected()
	if id.SystemID == "" || id.Timeline != 1 || id.Start != 0 || id.ServerVersion < oldestVersion {
		t.Errorf("identity %+v", id)
	}
	insert(t, pool, "a", "b")
	rows := r.next(2)
	equal(t, "rows", ids(rows), []string{"a", "b"})
	for i, row := range rows {
		if row.Ordinal != i || row.XID == 0 || row.CommitLSN == 0 || time.Since(row.CommitTime).Abs() > time.Hour {
			t.Errorf("row %d: %+v", i, row)
		}
	}
	if got := value(rows[0], "payload"); got != `{"id": "a"}` {
		t.Errorf("payload %q", got)
	}
	if got := value(rows[0], "headers"); got != "(null)" {
		t.Errorf("headers %q", got)
	}
	published := scalar[string](t, pool, `select concat_ws(' ', pubname, puballtables, pubinsert, pubupdate, pubdelete, pubtruncate,
		(select string_agg(tablename, ',') from pg_publication_tables t where t.pubname = p.pubname)) from pg_publication p`)
	if published != "walpost f t f f f outbox" {
		t.Errorf("publication %q", published)
	}
}

func TestRestartResumes(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	first := start(t, testOptions(db), nil)
	first.connected()
	insertEach(t, pool, sequence(1, 10)...)
	rows := first.next(10)
	resolve(rows[:6])
	resolve(rows[7:]) // out of order: 7 is not
	first.settle(rows[5])
	if err := first.end(); err != nil {
		t.Fatal(err)
	}

	second := start(t, testOptions(db), first.saved())
	if id := second.connected(); id.Start != first.saved().LSN {
		t.Errorf("started at %s, checkpoint %s", id.Start, first.saved().LSN)
	}
	rows = second.next(4)
	equal(t, "rows after the restart", ids(rows), sequence(7, 10))
	resolve(rows)
	second.settle(rows[3])
	if err := second.end(); err != nil {
		t.Fatal(err)
	}

	third := start(t, testOptions(db), second.saved())
	third.connected()
	insert(t, pool, "11")
	equal(t, "nothing is repeated", ids(third.next(1)), []string{"11"})
}

// The server forgets what was confirmed; the checkpoint doesn't (F6).
func TestCheckpointOutlivesTheSlotsMemory(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	first := start(t, testOptions(db), nil)
	first.connected()
	insertEach(t, pool, "1", "2")
	rows := first.next(2)
	resolve(rows)
	deadline := time.After(patience)
	for p, ok := first.Progress(); !ok || p.Commit() <= rows[1].CommitLSN; p, ok = first.Progress() {
		select {
		case <-first.Advanced():
		case <-deadline:
			t.Fatal("no progress")
		}
	}
	p, _ := first.Progress()
	if err := first.end(); err != nil { // without a Confirm
		t.Fatal(err)
	}
	second := start(t, testOptions(db), &Resume{LSN: p.Commit()})
	second.connected()
	insert(t, pool, "3")
	equal(t, "rows", ids(second.next(1)), []string{"3"})
}

func TestRolledBackRowsNeverAppear(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	r := start(t, testOptions(db), nil)
	r.connected()

	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	insert(t, tx, "rolled back")
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if tx, err = pool.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	insert(t, tx, "before")
	savepoint, err := tx.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	insert(t, savepoint, "rolled back to a savepoint")
	if err := savepoint.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	insert(t, tx, "after")
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	insert(t, pool, "last")
	rows := r.next(3)
	equal(t, "rows", ids(rows), []string{"before", "after", "last"})
	equal(t, "ordinals", []int{rows[0].Ordinal, rows[1].Ordinal, rows[2].Ordinal}, []int{0, 1, 0})
}

func TestTableChangesMidStream(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	r := start(t, testOptions(db), nil)
	r.connected()
	insert(t, pool, "1", "2")
	db.Exec(t, `alter table outbox add column tenant text default 'acme'`)
	insert(t, pool, "3")
	db.Exec(t, `alter table outbox drop column headers`)
	insert(t, pool, "4")
	db.Exec(t, `alter table outbox rename column tenant to customer`)
	insert(t, pool, "5")
	db.Exec(t, `analyze outbox`)
	insert(t, pool, "6")
	rows := r.next(6)
	equal(t, "rows", ids(rows), sequence(1, 6))
	if rows[0].Relation != rows[1].Relation {
		t.Error("the relation changed without a change")
	}
	if rows[4].Relation != rows[5].Relation {
		t.Error("the relation changed with ANALYZE")
	}
	for i, want := range []struct{ column, value string }{
		{"tenant", "(no column tenant)"},
		{"headers", "(null)"},
		{"tenant", "acme"},
		{"headers", "(no column headers)"},
		{"customer", "acme"},
		{"tenant", "(no column tenant)"},
	} {
		if got := value(rows[i], want.column); got != want.value {
			t.Errorf("row %d: %s is %q, want %q", i+1, want.column, got, want.value)
		}
	}
}

func TestOnlyInsertsOfTheTableAreTaken(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	db.Exec(t, `create table other (id int primary key, kind text);
		create type mood as enum ('good', 'bad');
		alter table outbox add column mood mood default 'good';
		create publication walpost for table outbox, other`)
	report, err := Setup(t.Context(), testOptions(db))
	if err != nil {
		t.Fatal(err)
	}
	if report.PublicationCreated || !report.SlotCreated || len(report.Warnings) != 2 {
		t.Errorf("report %+v", report)
	}
	r := start(t, testOptions(db), nil)
	r.connected()
	insert(t, pool, "1")
	db.Exec(t, `update outbox set event_type = 'changed', id = gen_random_uuid();
		update outbox set event_type = 'changed again';
		insert into other values (1, 'x');
		update other set kind = 'y';
		delete from other;
		delete from outbox`)
	db.Exec(t, `insert into other values (2, 'x'); truncate outbox, other`)
	db.Exec(t, `select pg_logical_emit_message(true, 'walpost', 'hello')`)
	insert(t, pool, "2")
	rows := r.next(2)
	equal(t, "rows", ids(rows), []string{"1", "2"})
	resolve(rows)
	r.settle(rows[1])
}

func TestPartitionedTable(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	db.Exec(t, `drop table outbox;
		create table outbox (id uuid default gen_random_uuid(), aggregate_type text, aggregate_id text, event_type text,
			payload jsonb, headers jsonb, created_at timestamptz default now()) partition by list (aggregate_id);
		create table outbox_a partition of outbox for values in ('a');
		create table outbox_rest partition of outbox default`)
	r := start(t, testOptions(db), nil)
	r.connected()
	insert(t, pool, "a", "b")
	rows := r.next(2)
	equal(t, "rows", ids(rows), []string{"a", "b"})
	if rows[0].Relation.Name != "outbox" {
		t.Errorf("relation %s", rows[0].Relation.Name)
	}
}

// Not parallel: it measures the heap of the process.
func TestLargeTransactionPassesInBoundedMemory(t *testing.T) {
	const n = 200_000
	db, pool := outboxDatabase(t)
	o := testOptions(db)
	o.StallTimeout = patience
	r := start(t, o, nil)
	r.connected()
	db.Exec(t, `insert into outbox (aggregate_type, aggregate_id, event_type, payload)
		select 'contact', i::text, 'created', jsonb_build_object('filler', repeat('x', 400))
		from generate_series(1, $1::int) i`, n)
	var peak uint64
	var last Row
	for i := 1; i <= n; i++ {
		last = r.next(1)[0]
		if last.Ordinal != i-1 || value(last, "aggregate_id") != fmt.Sprint(i) {
			t.Fatalf("row %d: ordinal %d, id %s", i, last.Ordinal, value(last, "aggregate_id"))
		}
		if i == n/2 && r.Stats().Transactions != 0 {
			t.Error("rows came only with their commit")
		}
		if i%20_000 == 0 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
		if p, ok := r.Progress(); ok && p.Commit() > last.CommitLSN {
			t.Fatal("progress inside the transaction")
		}
		last.Resolve()
	}
	r.settle(last)
	if peak > 64<<20 {
		t.Errorf("%d MB of heap for a transaction of 100 MB", peak>>20)
	}
	insert(t, pool, "after")
	equal(t, "row after it", ids(r.next(1)), []string{"after"})
}

func TestLargeRow(t *testing.T) {
	t.Parallel()
	const size = 50 << 20
	db, pool := outboxDatabase(t)
	o := testOptions(db)
	o.StallTimeout = patience
	r := start(t, o, nil)
	r.connected()
	insert(t, pool, "before")
	db.Exec(t, `insert into outbox (aggregate_type, aggregate_id, event_type, payload)
		select 'contact', 'large', 'created', jsonb_build_object('filler', repeat('x', $1::int))`, size)
	insert(t, pool, "after")
	rows := r.next(3)
	equal(t, "rows", ids(rows), []string{"before", "large", "after"})
	if n := len(value(rows[1], "payload")); n < size {
		t.Errorf("payload of %d bytes", n)
	}
	if r.Stats().Connects != 1 {
		t.Errorf("stats %+v", r.Stats())
	}
}

func TestInterleavedTransactionsComeInCommitOrder(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	r := start(t, testOptions(db), nil)
	r.connected()
	var txs [3]pgx.Tx
	for i := range txs {
		tx, err := pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		txs[i] = tx
	}
	for round := range 3 {
		for i, tx := range txs {
			insert(t, tx, fmt.Sprintf("tx%d-%d", i, round))
		}
	}
	for _, i := range []int{2, 0, 1} {
		if err := txs[i].Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	rows := r.next(9)
	equal(t, "rows", ids(rows), []string{
		"tx2-0", "tx2-1", "tx2-2", "tx0-0", "tx0-1", "tx0-2", "tx1-0", "tx1-1", "tx1-2",
	})
}
