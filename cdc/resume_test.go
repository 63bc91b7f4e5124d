package cdc

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestPositionNeverPassesAnUnresolvedTransaction(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	r := start(t, testOptions(db), nil)
	r.connected()
	insert(t, pool, "1")
	insert(t, pool, "2", "3")
	insertEach(t, pool, "4", "5")
	rows := r.next(5)
	rows[0].Resolve()
	rows[1].Resolve() // half of the second transaction
	resolve(rows[3:])
	r.settle(rows[0])
	if p, _ := r.Progress(); p.LSN() > rows[1].CommitLSN || p.Commit() > rows[1].CommitLSN {
		t.Fatalf("position %+v passed the unresolved commit at %s", p, rows[1].CommitLSN)
	}
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	again := start(t, testOptions(db), r.saved())
	again.connected()
	equal(t, "sent again", ids(again.next(4)), sequence(2, 5))
}

// An idle outbox on a busy server pins no WAL (F15).
func TestKeepalivesMoveAnIdleSlot(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	db.Exec(t, `create table busy (i int)`)
	r := start(t, testOptions(db), nil)
	r.connected()
	before := scalar[string](t, pool, `select confirmed_flush_lsn::text from pg_replication_slots where slot_name = $1`, db.Name)
	db.Exec(t, `insert into busy select generate_series(1, 1000)`)
	written := scalar[uint64](t, pool, `select (pg_current_wal_insert_lsn() - '0/0')::bigint`)
	deadline := time.After(patience)
	for {
		p, ok := r.Progress()
		if ok {
			r.save(p)
		}
		if uint64(p.LSN()) >= written {
			break
		}
		select {
		case <-r.Advanced():
		case <-deadline:
			t.Fatalf("position %s, written %s", p.LSN(), LSN(written))
		}
	}
	if err := r.end(); err != nil { // waits until the server has taken the last status
		t.Fatal(err)
	}
	moved := scalar[bool](t, pool, `select confirmed_flush_lsn > $2::text::pg_lsn and confirmed_flush_lsn - '0/0' >= $3
		from pg_replication_slots where slot_name = $1`, db.Name, before, written)
	if !moved {
		t.Errorf("the slot still confirms %s", before)
	}
	if active := scalar[bool](t, pool, `select active from pg_replication_slots where slot_name = $1`, db.Name); active {
		t.Error("the slot is active after Run has ended")
	}
}

func TestTerminatedWalsenderIsReplaced(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	r := start(t, testOptions(db), nil)
	r.connected()
	var rows []Row
	for round := range 4 {
		insertEach(t, pool, sequence(10*round+1, 10*round+10)...)
		rows = append(rows, r.next(10)...)
		killed := scalar[bool](t, pool, `select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1`, db.Name)
		if !killed {
			t.Fatal("nothing to terminate")
		}
		r.connected()
	}
	insert(t, pool, "41")
	rows = append(rows, r.next(1)...)
	equal(t, "rows, none of them confirmed", ids(rows), sequence(1, 41))
	resolve(rows)
	r.settle(rows[40])
	if s := r.Stats(); s.Connects != 5 || s.Rows != 41 || s.Transactions != 41 || s.LastError == "" || !s.Connected {
		t.Errorf("stats %+v", s)
	}
}

// Killed in the middle of a transaction, the rest of it follows over the next connection.
func TestTransactionContinuesOverAReconnect(t *testing.T) {
	t.Parallel()
	const n = 20_000
	db, pool := outboxDatabase(t)
	o := testOptions(db)
	o.Buffer, o.StallTimeout = 1, patience
	r := start(t, o, nil)
	r.connected()
	db.Exec(t, `insert into outbox (aggregate_type, aggregate_id, event_type, payload)
		select 'contact', i::text, 'created', jsonb_build_object('filler', repeat('x', 1000)) from generate_series(1, $1::int) i`, n)
	rows := r.next(1000)
	scalar[bool](t, pool, `select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1`, db.Name)
	rows = append(rows, r.next(n-1000)...)
	equal(t, "rows", ids(rows), sequence(1, n))
	if r.Stats().Connects != 2 {
		t.Errorf("%d connections; the first was to end inside the transaction", r.Stats().Connects)
	}
	resolve(rows)
	r.settle(rows[n-1])
}

func TestAcquiredRefuses(t *testing.T) {
	t.Parallel()
	db, _ := outboxDatabase(t)
	r := start(t, testOptions(db), nil)
	r.connected()
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	o := testOptions(db)
	refused := &SetupError{Problem: "fenced"}
	calls := 0
	o.Acquired = nil
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.opts.Acquired = func(_ context.Context, _ Identity) error {
		calls++
		if calls == 1 {
			return errors.New("the ledger is away")
		}
		return refused
	}
	if err := s.Run(t.Context()); !errors.Is(err, refused) || calls != 2 {
		t.Errorf("after %d calls: %v", calls, err)
	}
}

// A slot that is ahead of the checkpoint: only idle WAL between is ours, and it tells itself apart (F8).
func TestMovedSlotIsToldFromAnIdleOne(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql   string
		moved bool
	}{
		"idle":            {"select 1", false},
		"advanced":        {"select pg_replication_slot_advance($1, pg_current_wal_insert_lsn())", true},
		"read by another": {"select count(*) from pg_logical_slot_get_binary_changes($1, null, null, 'proto_version', '1', 'publication_names', 'walpost')", true},
		"made anew":       {"select pg_create_logical_replication_slot($1, 'pgoutput') from pg_drop_replication_slot($1)", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, pool := outboxDatabase(t)
			o := testOptions(db)
			b := &book{}
			r := start(t, o, nil, b.keep)
			r.connected()
			insert(t, pool, "1")
			snapshot := mark(t, pool)
			row := r.next(1)[0]
			row.Resolve()
			r.settle(row)
			b.save(r, snapshot)
			r.idleUntil(scalar[uint64](t, pool, `select (pg_current_wal_insert_lsn() - '0/0')::bigint from pg_logical_emit_message(false, 'x', 'y')`))
			if err := r.end(); err != nil { // as if killed: no checkpoint is made
				t.Fatal(err)
			}
			behind := scalar[bool](t, pool, `select confirmed_flush_lsn - '0/0' > $1 from pg_replication_slots where slot_name = $2`, uint64(b.resume.LSN), db.Name)
			if !behind {
				t.Fatal("the slot is not ahead of the checkpoint, so there is nothing to tell")
			}
			insert(t, pool, "2")
			db.Exec(t, c.sql+" -- "+db.Name, args(c.sql, db.Name)...)
			insert(t, pool, "3")
			again := start(t, o, nil, b.keep)
			id := again.connected()
			if (id.Recovery != nil) != c.moved {
				t.Errorf("recovery %+v", id.Recovery)
			}
			equal(t, "rows", sorted(ids(again.next(2))), []string{"2", "3"})
		})
	}
}

// args are those of a statement that may have none.
func args(sql string, all ...any) []any {
	if strings.Contains(sql, "$1") {
		return all
	}
	return nil
}

// idleUntil passes idle WAL, without a checkpoint, until the server has been told.
func (r *running) idleUntil(lsn uint64) {
	r.t.Helper()
	for deadline := time.After(patience); r.Stats().Confirmed < LSN(lsn)-8; {
		if p, ok := r.Progress(); ok {
			r.Idle(p)
		}
		select {
		case <-r.Advanced():
		case <-time.After(10 * time.Millisecond): // the status goes out by time
		case <-deadline:
			r.t.Fatalf("the server was told %s, written is %s", r.Stats().Confirmed, LSN(lsn))
		}
	}
}
