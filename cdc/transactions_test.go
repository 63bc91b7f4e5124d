package cdc

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/walpost/walpost/internal/pgtest"
)

// On a server of its own nothing but the test has transactions, so exactly what the mark doesn't see is read.

// Transactions may be prepared before the mark and end after it; one that stays prepared is waited for, and named.
func TestPreparedTransactionsAreRecovered(t *testing.T) {
	t.Parallel()
	_, db := ownServer(t, map[string]string{"max_prepared_transactions": "10"})
	pool := db.Pool(t)
	o := testOptions(db)
	o.LockTimeout = 200 * time.Millisecond
	b := &book{}
	r := start(t, o, nil, b.keep)
	r.connected()
	insert(t, pool, "seen")
	prepare := func(id string) {
		db.Exec(t, "begin; insert into outbox (aggregate_type, aggregate_id, event_type, payload) values ('contact', '"+id+"', 'x', '{}'); prepare transaction '"+id+"'")
	}
	prepare("early")
	prepare("ghost")
	prepare("late")
	snapshot := mark(t, pool)
	rows := r.next(1)
	resolve(rows)
	r.settle(rows[0])
	b.save(r, snapshot)
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	db.Exec(t, "commit prepared 'early'")
	db.Exec(t, "rollback prepared 'ghost'")
	dropSlotNow(t, db, db.Name)
	again := start(t, o, nil, b.keep)
	for deadline := time.After(patience); !strings.Contains(again.Stats().LastError, "prepared transaction"); {
		select {
		case <-deadline:
			t.Fatalf("last error %q", again.Stats().LastError)
		case <-time.After(10 * time.Millisecond):
		}
	}
	db.Exec(t, "commit prepared 'late'")
	got := sorted(ids(again.next(2)))
	equal(t, "read", got, []string{"early", "late"})
	insert(t, pool, "after")
	equal(t, "streamed", ids(again.next(1)), []string{"after"})
}

// Neither freezing nor rewriting a table hides what is to be read, or brings back what isn't; a row that was updated comes again.
func TestFrozenAndRewrittenRowsKeepTheirTransactions(t *testing.T) {
	t.Parallel()
	_, db := ownServer(t, nil)
	for name, c := range map[string]struct {
		sql  string
		want []string
	}{
		"frozen":   {"vacuum (freeze) outbox", []string{"1", "after the mark"}},
		"vacuumed": {"vacuum full outbox", []string{"1", "after the mark"}},
		"ordered":  {"cluster outbox using outbox_pkey", []string{"1", "after the mark"}},
		"updated":  {"update outbox set payload = '{}' where aggregate_id = 'seen'", []string{"1", "after the mark", "seen"}},
	} {
		// One after the other: they share the server, whose transactions would be in each other's snapshots.
		t.Run(name, func(t *testing.T) {
			db.Exec(t, "truncate outbox")
			pool := db.Pool(t)
			o := testOptions(db)
			o.Slot = "walpost_" + name
			b := checkpointed(t, o, pool)
			insert(t, pool, "1")
			db.Exec(t, c.sql)
			dropSlotNow(t, db, o.Slot)
			r := start(t, o, nil, b.keep)
			if id := r.connected(); id.Recovery == nil || int(id.Recovery.Rows) != len(c.want) {
				t.Fatalf("recovery %+v", id.Recovery)
			}
			equal(t, "read", sorted(ids(r.next(len(c.want)))), c.want)
		})
	}
}

// Transaction ids have 32 bits in a row and 64 in a snapshot: rows from both sides of 2^32 are told apart, on a server that
// has really come there.
func TestRecoveryAcrossAnEpoch(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, nil)
	if err := server.SetNextXID(t.Context(), 1<<32-200); errors.Is(err, fs.ErrNotExist) {
		return // this installation can't: the arithmetic is tested in TestWidenAcrossEpochs, and here on Debian's
	} else if err != nil {
		t.Fatal(err)
	}
	db := &pgtest.Database{URL: server.URL("postgres"), Name: "walpost"}
	db.Outbox(t)
	pool := db.Pool(t)
	o := testOptions(db)
	b := &book{}
	r := start(t, o, nil, b.keep)
	r.connected()
	insertEach(t, pool, "old", "seen")
	late := begin(t, pool)
	insert(t, late, "late")
	if xid := scalar[int64](t, late, `select pg_current_xact_id()::text::bigint`); xid >= 1<<32 || xid < 1<<32-200 {
		t.Fatalf("xid %d is not below the boundary", xid)
	}
	snapshot := mark(t, pool)
	rows := r.next(2)
	resolve(rows)
	r.settle(rows[1])
	b.save(r, snapshot)
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	insert(t, pool, "before the boundary")
	db.Exec(t, `do $$ begin for i in 1..300 loop perform pg_current_xact_id(); commit; end loop; end $$`)
	commit(t, late)
	insert(t, pool, "behind the boundary")
	if xid := scalar[int64](t, pool, `select pg_snapshot_xmax(pg_current_snapshot())::text::bigint`); xid <= 1<<32 {
		t.Fatalf("the next xid is %d, not behind the boundary", xid)
	}
	dropSlotNow(t, db, db.Name)
	again := start(t, o, nil, b.keep)
	again.connected()
	recovered := again.next(3)
	equal(t, "read", sorted(ids(recovered)), []string{"before the boundary", "behind the boundary", "late"})
	resolve(recovered)
	// Once more, with a snapshot from behind it: of the rows from before, nothing is read.
	snapshot = scalar[string](t, pool, `select pg_current_snapshot()::text`)
	insert(t, pool, "last")
	streamed := again.next(1)
	resolve(streamed)
	again.settle(streamed[0])
	b.save(again, snapshot)
	if err := again.end(); err != nil {
		t.Fatal(err)
	}
	dropSlotNow(t, db, db.Name)
	third := start(t, o, nil, b.keep)
	if id := third.connected(); id.Recovery == nil || id.Recovery.Rows != 1 {
		t.Errorf("recovery %+v", id.Recovery)
	}
	equal(t, "read", ids(third.next(1)), []string{"last"})
}
