//go:build unix

package pgtest_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/walpost/walpost/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestNew(t *testing.T) {
	t.Parallel()
	first, second := pgtest.New(t), pgtest.New(t)
	first.Outbox(t)
	first.Exec(t, "insert into public.outbox (aggregate_type, aggregate_id, event_type, payload) values ($1, $2, 'tagged', '{}')", "contact", "7")
	second.Outbox(t) // there is no outbox in this one yet
	var n int
	if err := first.Pool(t).QueryRow(t.Context(), "select count(*) from public.outbox").Scan(&n); err != nil || n != 1 {
		t.Errorf("got %d rows, %v", n, err)
	}
	for _, db := range []*pgtest.Database{first, second} {
		if !regexp.MustCompile(`^t[0-9]+_testnew$`).MatchString(db.Name) || !strings.Contains(db.URL, "/"+db.Name+"?") {
			t.Errorf("name %s, URL %s", db.Name, db.URL)
		}
	}
	long := strings.Repeat("Long_Ä-", 20)
	t.Run(long, func(t *testing.T) {
		t.Parallel()
		db := pgtest.New(t)
		db.Exec(t, "select pg_create_logical_replication_slot('"+db.Name+"', 'pgoutput')")
	})
}

// TestDrop: a database goes with its connections, its slots and who replicates from them.
func TestDrop(t *testing.T) {
	t.Parallel()
	var db *pgtest.Database
	var walsender *pgconn.PgConn
	var open *pgx.Conn
	t.Run("user", func(t *testing.T) {
		db = pgtest.New(t)
		db.Exec(t, "create publication p for all tables")
		db.Exec(t, "select pg_create_logical_replication_slot('"+db.Name+"', 'pgoutput')")
		db.Exec(t, "select pg_create_logical_replication_slot('"+db.Name+"_idle', 'pgoutput')")
		var err error
		if walsender, err = pgconn.Connect(t.Context(), db.URL+"&replication=database"); err != nil {
			t.Fatal(err)
		}
		if open, err = pgx.Connect(t.Context(), db.URL); err != nil {
			t.Fatal(err)
		}
		walsender.Frontend().SendQuery(&pgproto3.Query{String: "START_REPLICATION SLOT " + db.Name + " LOGICAL 0/0 (proto_version '1', publication_names 'p')"})
		if err := walsender.Frontend().Flush(); err != nil {
			t.Fatal(err)
		}
		message, err := walsender.ReceiveMessage(t.Context())
		if _, ok := message.(*pgproto3.CopyBothResponse); !ok {
			t.Fatalf("start replication: %#v, %v", message, err)
		}
	})
	var left int
	err := pgtest.New(t).Conn(t).QueryRow(t.Context(), `select (select count(*) from pg_database where datname = $1)
		+ (select count(*) from pg_replication_slots where database = $1)`, db.Name).Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("%d things are left of %s, %v", left, db.Name, err)
	}
	if err := open.Ping(t.Context()); err == nil {
		t.Error("a connection is still open")
	}
	_ = open.Close(context.Background())      // they were ended by the server
	_ = walsender.Close(context.Background()) //
}

func TestRole(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for attributes, replicates := range map[string]bool{"": false, "replication": true} {
		name, url := db.Role(t, attributes)
		db.Exec(t, "grant usage on schema public to "+name)
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		var user string
		if err := conn.QueryRow(t.Context(), "select current_user").Scan(&user); err != nil || user != name {
			t.Errorf("connected as %s, %v; want %s", user, err, name)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
		replication, err := pgconn.Connect(t.Context(), url+"&replication=database")
		if (err == nil) != replicates {
			t.Errorf("role with %q: replication gives %v", attributes, err)
		}
		if err == nil {
			_ = replication.Close(t.Context())
		}
		var refusal *pgconn.PgError
		if !replicates && !errors.As(err, &refusal) {
			t.Errorf("got %v", err)
		}
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, map[string]string{"wal_level": "replica"})
	db := pgtest.NewOn(t, server)
	var level string
	if err := db.Conn(t).QueryRow(t.Context(), "show wal_level").Scan(&level); err != nil || level != "replica" {
		t.Errorf("wal_level %s, %v", level, err)
	}
	if server.URL("postgres") == pgtest.Server(t).URL("postgres") {
		t.Error("it is the shared server")
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	db, err := pgtest.Open(t.Context(), "example")
	if err != nil {
		t.Fatal(err)
	}
	db.Outbox(t)
	if err := db.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if conn, err := pgx.Connect(t.Context(), db.URL); err == nil {
		_ = conn.Close(t.Context())
		t.Error("the database is still there")
	}
}
