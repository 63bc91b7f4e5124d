package cdc

import (
	"testing"
)

func emitted(id string) string {
	return `select pg_logical_emit_message(true, 'ours', '` + id + `');`
}

// Logical messages come with their transaction, in order among its rows, and only if they are transactional and ours.
func TestLogicalMessagesCome(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	o := testOptions(db)
	o.Messages = "ours"
	r := start(t, o, nil)
	r.connected()
	db.Exec(t, "begin;"+emitted("1")+row("2")+emitted("3")+"commit")
	db.Exec(t, "begin;"+emitted("ghost")+"rollback")
	db.Exec(t, "begin;"+emitted("4")+"savepoint a;"+emitted("ghost")+"rollback to a; savepoint b;"+emitted("5")+"release b; commit")
	db.Exec(t, "select pg_logical_emit_message(true, 'theirs', 'x'), pg_logical_emit_message(false, 'theirs', 'x')")
	db.Exec(t, "begin; select pg_logical_emit_message(false, 'ours', 'ghost');"+row("6")+"commit")
	db.Exec(t, "begin; select pg_logical_emit_message(false, 'ours', 'ghost'); rollback")
	db.Exec(t, emitted("7"))
	rows := r.next(7)
	var got []string
	for i, row := range rows {
		if row.Message {
			got = append(got, string(row.Values[0]))
		} else {
			got = append(got, value(row, "aggregate_id"))
		}
		if want := []int{0, 1, 2, 0, 1, 0, 0}[i]; row.Ordinal != want {
			t.Errorf("row %d has ordinal %d, want %d", i, row.Ordinal, want)
		}
	}
	equal(t, "arrived", got, sequence(1, 7))
	if n := r.Stats().Refused; n != 2 {
		t.Errorf("%d refused", n)
	}
	resolve(rows)
	r.settle(rows[6])
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	db.Exec(t, emitted("8"))
	again := start(t, o, r.saved())
	again.connected()
	next := again.next(1)
	if string(next[0].Values[0]) != "8" {
		t.Errorf("after a restart: %s", next[0].Values[0])
	}
	// Who doesn't ask for them gets none.
	insert(t, pool, "9")
	rest := again.next(1)
	resolve(append(next, rest...))
	again.settle(rest[0])
	if err := again.end(); err != nil {
		t.Fatal(err)
	}
	o.Messages = ""
	plain := start(t, o, again.saved())
	plain.connected()
	db.Exec(t, emitted("10"))
	insert(t, pool, "11")
	equal(t, "without messages", ids(plain.next(1)), []string{"11"})
}

// A message that was handed over isn't handed over again by the next connection.
func TestLogicalMessagesAreNotRepeatedByAReconnect(t *testing.T) {
	t.Parallel()
	db, _ := outboxDatabase(t)
	o := testOptions(db)
	o.Messages = "ours"
	r := start(t, o, nil)
	r.connected()
	db.Exec(t, "begin;"+emitted("1")+row("2")+"commit")
	rows := r.next(2)
	db.Exec(t, `select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = '`+db.Name+`'`)
	r.connected()
	db.Exec(t, emitted("3"))
	if next := r.next(1); string(next[0].Values[0]) != "3" {
		t.Errorf("after a reconnect: %s", next[0].Values[0])
	}
	resolve(rows)
}
