package cdc

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/walpost/walpost/internal/pgtest"
)

// What is read from the table is as the stream would have sent it: columns, types, keys and every value.
func TestRecoveredRowsAreAsStreamed(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, `create table outbox (
		id uuid primary key default gen_random_uuid(), gone int, aggregate_id text not null, big bigint, exact numeric(20, 5), real float8,
		at timestamptz, day date, span interval, bytes bytea, list text[], flag boolean, doc jsonb, raw json, twice bigint generated always as (big * 2) stored)`)
	db.Exec(t, `alter table outbox drop column gone`)
	db.Exec(t, `alter database `+db.Name+` set bytea_output = 'escape'`)
	pool := db.Pool(t)
	o := testOptions(db)
	o.Columns = []string{"id", "aggregate_id", "doc"}
	b := &book{}
	r := start(t, o, nil, b.keep)
	r.connected()
	snapshot := mark(t, pool)
	db.Exec(t, `insert into outbox (aggregate_id, big, exact, real, at, day, span, bytes, list, flag, doc, raw) values
		('1', 4611686018427387903, 1.50000, 0.1, '2026-01-02 03:04:05.678901+05', '2026-01-02', '1 day 02:03:04', '\xdeadbeef', '{a,"b c",null}', true, '{"b": 1.10, "a": [null]}', '{"b":1.10 }'),
		('2', null, null, 'NaN', null, 'infinity', null, '', '{}', false, 'null', null),
		('3', -1, -0.00001, 1e300, '-infinity', null, '-1 year', null, null, null, to_jsonb(repeat('long ', 50000)), '[]')`)
	streamed := r.next(3)
	resolve(streamed)
	r.settle(streamed[2])
	b.save(r, snapshot)
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	dropSlotNow(t, db, db.Name)
	again := start(t, o, nil, b.keep)
	recovered := again.next(3)
	if got, want := fmt.Sprintf("%+v", *recovered[0].Relation), fmt.Sprintf("%+v", *streamed[0].Relation); got != want {
		t.Errorf("relation %s, streamed %s", got, want)
	}
	for i := range streamed {
		for j, column := range streamed[i].Relation.Columns {
			got, want := recovered[i].Values[j], streamed[i].Values[j]
			if string(got) != string(want) || (got == nil) != (want == nil) {
				t.Errorf("row %d, %s: %.80q, streamed %.80q", i, column.Name, got, want)
			}
		}
	}
}

func TestPartitionedTableIsRecovered(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, `
		create table outbox (id uuid default gen_random_uuid(), aggregate_type text, aggregate_id text, event_type text, payload jsonb,
			headers jsonb, created_at timestamptz default now()) partition by list (aggregate_type);
		create table outbox_contact partition of outbox for values in ('contact');
		create table outbox_rest (payload jsonb, extra_gone int, id uuid, aggregate_id text, aggregate_type text, event_type text, created_at timestamptz, headers jsonb);
		alter table outbox_rest drop column extra_gone;
		alter table outbox attach partition outbox_rest default;`)
	pool := db.Pool(t)
	b := checkpointed(t, testOptions(db), pool)
	insert(t, pool, "1")
	db.Exec(t, `insert into outbox (aggregate_type, aggregate_id, event_type, payload) values ('meeting', '2', 'x', '{"a": 1}')`)
	dropSlotNow(t, db, db.Name)
	r := start(t, testOptions(db), nil, b.keep)
	rows := r.next(3)
	equal(t, "read from the leaves", sorted(ids(rows)), []string{"1", "2", "after the mark"})
	i := slices.IndexFunc(rows, func(row Row) bool { return value(row, "aggregate_id") == "2" })
	if value(rows[i], "aggregate_type") != "meeting" || value(rows[i], "payload") != `{"a": 1}` || rows[i].Relation.Name != "outbox" {
		t.Errorf("row %q of %+v", rows[i].Values, rows[i].Relation)
	}
}

// The rows that are in the table come first, again after a crash, and never after they are resolved.
func TestBacklogIsReadAtTheFirstStart(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	insertEach(t, pool, "1", "2", "deleted")
	db.Exec(t, `delete from outbox where aggregate_id = 'deleted'`)
	o := testOptions(db)
	o.Start = StartBacklog
	b := &book{}
	cut := start(t, o, nil, b.keep)
	cut.connected()
	equal(t, "backlog", ids(cut.next(2)), []string{"1", "2"})
	insert(t, pool, "3")
	if err := cut.end(); err != nil {
		t.Fatal(err)
	}
	r := start(t, o, nil, b.keep)
	r.connected()
	rows := r.next(3)
	equal(t, "backlog", ids(rows), sequence(1, 3))
	insert(t, pool, "4")
	rows = append(rows, r.next(1)...)
	equal(t, "streamed", ids(rows[3:]), []string{"4"})
	resolve(rows)
	r.settle(rows[3])
	b.save(r, "")
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	last := start(t, o, nil, b.keep)
	last.connected()
	insert(t, pool, "5")
	equal(t, "streamed", ids(last.next(1)), []string{"5"})
	if len(b.losses) != 0 {
		t.Errorf("losses %+v", b.losses)
	}
}

// Many rows and large ones pass in bounded memory, and what we hold on the host lets everybody read and write.
func TestRecoveryIsBounded(t *testing.T) {
	t.Parallel()
	const n, large = 200_000, 40
	db, pool := outboxDatabase(t)
	o := testOptions(db)
	b := checkpointed(t, o, pool)
	db.Exec(t, `insert into outbox (aggregate_type, aggregate_id, event_type, payload)
		select 'contact', i::text, 'created', jsonb_build_object('filler', repeat('x', 100)) from generate_series(1, $1::int) i`, n)
	db.Exec(t, `alter table outbox alter payload set storage external`)
	db.Exec(t, `insert into outbox (aggregate_type, aggregate_id, event_type, payload)
		select 'contact', (1000000 + i)::text, 'created', to_jsonb(repeat('x', 4000000)) from generate_series(1, $1::int) i`, large)
	dropSlotNow(t, db, db.Name)
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	r := start(t, o, nil, b.keep)
	var peak uint64
	var locks []string
	for taken := 0; taken < n+large+1; taken++ {
		resolve(r.next(1))
		if taken%5000 != 0 && taken < n {
			continue
		}
		runtime.GC()
		runtime.ReadMemStats(&now)
		peak = max(peak, now.HeapAlloc)
		locks = append(locks, scalar[[]string](t, pool, `select coalesce(array_agg(distinct mode), '{}') from pg_locks l join pg_stat_activity a using (pid)
			where locktype = 'relation' and a.datname = current_database() and pid <> pg_backend_pid() and a.backend_type = 'client backend'`)...)
	}
	r.connected()
	t.Logf("heap %d MiB above the start", (int64(peak)-int64(before.HeapAlloc))>>20)
	if peak > before.HeapAlloc+64<<20 { // other tests of the package run meanwhile
		t.Errorf("heap grew from %d to %d", before.HeapAlloc, peak)
	}
	if slices.Sort(locks); !slices.Equal(slices.Compact(locks), []string{"AccessShareLock"}) {
		t.Errorf("locks held: %q", slices.Compact(locks))
	}
}

// Whoever has written and not ended by the time of the new slot is waited for: its commit may be in the WAL already.
func TestReadingWaitsForWriters(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	s, err := New(testOptions(db))
	if err != nil {
		t.Fatal(err)
	}
	var found foundations
	r, err := s.openRecovery(t.Context(), &found)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close(t.Context())
	if found.table, err = checkTable(t.Context(), r.conn, s.opts); err != nil {
		t.Fatal(err)
	}
	writer, reader := begin(t, pool), begin(t, pool)
	insert(t, writer, "1")
	scalar[int](t, reader, `select count(*) from outbox`)
	defer rollback(t, reader) // it isn't waited for
	waited := make(chan error, 1)
	go func() { waited <- r.awaitWriters(t.Context()) }()
	select {
	case err := <-waited:
		t.Fatalf("the writer is not waited for: %v", err)
	case <-time.After(10 * writersPause):
	}
	commit(t, writer)
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	stuck := begin(t, pool)
	defer rollback(t, stuck)
	insert(t, stuck, "2")
	s.opts.LockTimeout = 50 * time.Millisecond
	if err := r.awaitWriters(t.Context()); err == nil || !Retryable(err) {
		t.Errorf("a writer that doesn't end: %v", err)
	}
}

// What the application updates or deletes while the table is read is read as it was: the new slot's stream has neither the new
// version nor the old one.
func TestRowsThatChangeWhileTheTableIsRead(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	o := testOptions(db)
	o.Start = StartBacklog
	o.MaxBatchRows, o.Buffer = 1, 1
	const rows = 400 // in many ranges
	db.Exec(t, fmt.Sprintf(`insert into outbox (aggregate_type, aggregate_id, event_type, payload)
		select 'contact', i, 'contact.tagged', jsonb_build_object('note', repeat('x', 1500)) from generate_series(1, %d) i`, rows))
	b := &book{}
	r := start(t, o, nil, b.keep)
	read := r.next(1)
	if _, err := pool.Exec(t.Context(), `update outbox set payload = '{"updated": true}' where aggregate_id::int % 2 = 0`); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `delete from outbox where aggregate_id::int % 2 = 1`); err != nil {
		t.Fatal(err)
	}
	read = append(read, r.next(rows-1)...)
	want := sequence(1, rows)
	slices.Sort(want)
	equal(t, "read", sorted(ids(read)), want)
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
}
