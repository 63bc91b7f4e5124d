package cdc

import (
	"testing"
	"time"

	"github.com/walpost/walpost/internal/pgtest"
)

func TestLossesAreNotPaperedOver(t *testing.T) {
	t.Parallel()
	prepare := func(t *testing.T) (*pgtest.Database, *Resume) {
		db, pool := outboxDatabase(t)
		r := start(t, testOptions(db), nil)
		id := r.connected()
		insert(t, pool, "1")
		rows := r.next(1)
		rows[0].Resolve()
		r.settle(rows[0])
		if err := r.end(); err != nil {
			t.Fatal(err)
		}
		return db, &Resume{LSN: r.saved().LSN, SystemID: id.SystemID, Timeline: id.Timeline}
	}
	t.Run("slot dropped", func(t *testing.T) {
		t.Parallel()
		db, checkpoint := prepare(t)
		dropSlotNow(t, db, db.Name)
		wantSetupError(t, start(t, testOptions(db), checkpoint).failure(), ErrSlotLost, "slot is gone", "walpost run makes the slot anew")
	})
	t.Run("slot dropped within the process", func(t *testing.T) {
		t.Parallel()
		db, pool := outboxDatabase(t)
		o := testOptions(db)
		o.BackoffMin, o.BackoffMax = 2*time.Second, 2*time.Second // time to drop it
		r := start(t, o, nil)                                     // no checkpoint yet
		r.connected()
		db.Exec(t, `do $$ begin
			perform pg_terminate_backend(active_pid, 5000) from pg_replication_slots where slot_name = '`+db.Name+`';
			perform pg_drop_replication_slot('`+db.Name+`');
		end $$`)
		wantSetupError(t, r.failure(), ErrSlotLost, "slot is gone")
		if n := scalar[int](t, pool, `select count(*) from pg_replication_slots where slot_name = $1`, db.Name); n != 0 {
			t.Error("a new slot was created")
		}
	})
	t.Run("publication dropped", func(t *testing.T) {
		t.Parallel()
		db, checkpoint := prepare(t)
		db.Exec(t, `drop publication walpost`)
		wantSetupError(t, start(t, testOptions(db), checkpoint).failure(), ErrPublicationLost, "is gone", "create publication")
	})
	t.Run("publication dropped under the stream", func(t *testing.T) {
		t.Parallel()
		db, pool := outboxDatabase(t)
		r := start(t, testOptions(db), nil)
		r.connected()
		db.Exec(t, `drop publication walpost`)
		insert(t, pool, "1")
		wantSetupError(t, r.failure(), ErrPublicationLost, "publication")
	})
	t.Run("publication created after the slot", func(t *testing.T) { // F21
		t.Parallel()
		db, pool := outboxDatabase(t)
		db.Exec(t, `select pg_create_logical_replication_slot($1, 'pgoutput')`, db.Name)
		insert(t, pool, "1")
		db.Exec(t, `create publication walpost for table outbox with (publish = 'insert')`)
		wantSetupError(t, start(t, testOptions(db), nil).failure(), ErrPublicationLost, "does not exist at the slot's position")
	})
	t.Run("table taken from the publication", func(t *testing.T) { // F23
		t.Parallel()
		db, _ := outboxDatabase(t)
		db.Exec(t, `create table other (id int)`)
		r := start(t, testOptions(db), nil, func(s *Source) { s.checkInterval = 20 * time.Millisecond })
		r.connected()
		db.Exec(t, `alter publication walpost set table other`)
		wantSetupError(t, r.failure(), ErrPublicationLost, "does not have the table")
	})
	t.Run("table renamed", func(t *testing.T) { // F23: rows under the new name are ours until the check says stop
		t.Parallel()
		db, pool := outboxDatabase(t)
		r := start(t, testOptions(db), nil)
		r.connected()
		insert(t, pool, "1")
		db.Exec(t, `alter table outbox rename to outbox_2`)
		db.Exec(t, `insert into outbox_2 (aggregate_type, aggregate_id, event_type, payload) values ('contact', '2', 'x', '{}')`)
		rows := r.next(2)
		equal(t, "rows", ids(rows), []string{"1", "2"})
		if err := r.end(); err != nil {
			t.Fatal(err)
		}
		wantSetupError(t, start(t, testOptions(db), &Resume{LSN: 1}).failure(), nil, "does not exist", `did you mean "public.outbox_2"?`)
		// With the new name, also the row from before the rename is ours.
		o := testOptions(db)
		o.Table = "outbox_2"
		renamed := start(t, o, nil)
		renamed.connected()
		equal(t, "rows", ids(renamed.next(2)), []string{"1", "2"})
	})
	t.Run("other system", func(t *testing.T) {
		t.Parallel()
		db, checkpoint := prepare(t)
		checkpoint.SystemID = "7000000000000000000"
		wantSetupError(t, start(t, testOptions(db), checkpoint).failure(), ErrOtherSystem, "7000000000000000000")
	})
	t.Run("other timeline", func(t *testing.T) {
		t.Parallel()
		db, checkpoint := prepare(t)
		checkpoint.Timeline = 7
		wantSetupError(t, start(t, testOptions(db), checkpoint).failure(), ErrOtherSystem, "was never on that one", "walpost adopt")
	})
	t.Run("WAL that ends before the checkpoint", func(t *testing.T) {
		t.Parallel()
		db, checkpoint := prepare(t)
		checkpoint.LSN = 1 << 60
		wantSetupError(t, start(t, testOptions(db), checkpoint).failure(), ErrOtherSystem, "WAL ends at", "walpost adopt")
	})
}
