package outbox_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/walpost/walpost/internal/pgtest"
	"github.com/walpost/walpost/outbox"
)

func TestPollingDDL(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	table := outbox.Table{Schema: `odd "one"`, Name: strings.Repeat("x", 63), Columns: outbox.Columns{ID: "Event ID"}}
	db.Exec(t, `create schema "odd ""one"""`)
	db.Exec(t, table.DDL())
	conn := db.Conn(t)
	ctx := context.Background()
	if err := outbox.InsertInto(ctx, conn, table, outbox.Event{AggregateType: "a", AggregateID: "1", Type: "old", Payload: struct{}{}}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // both can be run again
		db.Exec(t, table.XIDColumnDDL())
		db.Exec(t, table.XIDIndexDDL())
		db.Exec(t, table.NotifyDDL())
	}
	if _, err := conn.Exec(ctx, "listen "+outbox.Channel); err != nil {
		t.Fatal(err)
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := outbox.InsertInto(ctx, tx, table, outbox.Event{AggregateType: "a", AggregateID: "2", Type: "new", Payload: struct{}{}}); err != nil {
		t.Fatal(err)
	}
	var own, old bool
	query := "select " + outbox.XIDColumn + " = pg_current_xact_id() from " + table.Identifier() + " where event_type = $1"
	if err := tx.QueryRow(ctx, query, "new").Scan(&own); err != nil || !own {
		t.Errorf("a new row has its transaction: %t, %v", own, err)
	}
	if err := tx.QueryRow(ctx, query, "old").Scan(&old); err != nil || old {
		t.Errorf("an old row has the new transaction: %t, %v", old, err)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	waiting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if n, err := conn.WaitForNotification(waiting); err != nil || n.Channel != outbox.Channel {
		t.Errorf("notification %+v, %v", n, err)
	}
}
