package cdc

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/walpost/walpost/internal/pgtest"
)

// Names that have to be quoted, in whatever is asked of the server: setup, stream, recovery and polling (F41).
func TestNamesAreQuoted(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, `create schema "My App";
		create table "My App"."out ""box"" ü" ("Id" text not null primary key, "id" int, "Agg'regate" text, "a.b" text,
			walpost_xid xid8 not null default pg_current_xact_id());
		create index on "My App"."out ""box"" ü" (walpost_xid, "Id")`)
	pool := db.Pool(t)
	insert := func(id string) {
		t.Helper()
		scalar[bool](t, pool, `with i as (insert into "My App"."out ""box"" ü" values ($1, 7, 'contact', 'x') returning 1) select true from i`, id)
	}
	o := testOptions(db)
	o.Schema, o.Table, o.Publication, o.Columns = "My App", `out "box" ü`, `Wal "post', x`, []string{"Id", "Agg'regate", "a.b"}
	o.Lost = func(context.Context, Loss) error { return nil }
	want := func(row Row, id string) {
		t.Helper()
		if value(row, "Id") != id || value(row, "Agg'regate") != "contact" || value(row, "a.b") != "x" {
			t.Errorf("row %+v, want %s", row, id)
		}
	}
	r := start(t, o, nil)
	identity := r.connected()
	snapshot := scalar[string](t, pool, `select pg_current_snapshot()::text`)
	insert("1")
	rows := r.next(1)
	want(rows[0], "1")
	rows[0].Resolve()
	r.settle(rows[0])
	if err := r.end(); err != nil {
		t.Fatal(err)
	}

	dropSlotNow(t, db, db.Name)
	again := start(t, o, &Resume{LSN: r.saved().LSN, SystemID: identity.SystemID, Timeline: identity.Timeline, Snapshot: snapshot, Coverage: identity.Coverage})
	want(again.next(1)[0], "1")

	polled := pollOptions(o)
	polled.ID, polled.XID, polled.Start = "Id", "walpost_xid", StartBacklog
	p, err := NewPoller(polled)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	select {
	case batch := <-p.Batches():
		want(batch[0], "1")
	case <-time.After(patience):
		t.Error("no row is polled")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Settings of our own replication connection, whatever the role's are (F25), and the server's that are asked for it.
func TestSessionIsSetUp(t *testing.T) {
	t.Parallel()
	o := Options{ConnString: "postgres://h/d?application_name=mine"}.withDefaults()
	o.WALSenderTimeout = 17 * time.Second
	for replication, want := range map[bool]map[string]string{
		true:  {"replication": "database", "wal_sender_timeout": "17000", "application_name": "mine", "client_min_messages": "warning"},
		false: {"lock_timeout": "30000", "application_name": "mine", "DateStyle": "ISO, YMD"},
	} {
		config, err := connectionConfig(o, replication)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range want {
			if config.RuntimeParams[name] != value {
				t.Errorf("%s is %q, want %q", name, config.RuntimeParams[name], value)
			}
		}
	}
}

// F47: a standby, or a server that is read-only, may become the primary.
func TestStandbyIsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{pgconn.ErrStandbyConnection, pgconn.ErrReadOnlyConnection} {
		err := classifyConnect(fmt.Errorf("connect: %w", cause), Options{}, false)
		if !Retryable(err) || !errors.Is(err, cause) {
			t.Error(err)
		}
	}
}
