//go:build unix

package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/walpost/walpost/internal/pgembed"
)

// Database is a test's own database.
type Database struct {
	URL  string // of the superuser, who may replicate
	Name string // also good as the name of a slot: unique on the server, [a-z0-9_]{1,63}

	admin *pgxpool.Pool // connections to another database of the server
}

// names counts what was made, for names that are unique on the server.
var names atomic.Int64

// New makes a database on the package's shared server. It is dropped when the test ends,
// with its replication slots and whatever is still connected to it.
func New(t testing.TB) *Database {
	t.Helper()
	server, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return create(t, server.Server, server.admin)
}

// NewOn makes a database on a test's own server.
func NewOn(t testing.TB, server *pgembed.Server) *Database {
	t.Helper()
	admin, err := pgxpool.New(t.Context(), server.URL("postgres"))
	if err != nil {
		t.Fatalf("connect to postgres: %v", err)
	}
	t.Cleanup(admin.Close)
	return create(t, server, admin)
}

func create(t testing.TB, server *pgembed.Server, admin *pgxpool.Pool) *Database {
	t.Helper()
	db, err := open(t.Context(), server, admin, t.Name())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
		defer cancel()
		if err := db.Drop(ctx); err != nil {
			t.Error(err)
		}
	})
	return db
}

// Open makes a database on the shared server for a testable example, which has no
// testing.TB. Its owner drops it.
func Open(ctx context.Context, example string) (*Database, error) {
	server, err := shared()
	if err != nil {
		return nil, err
	}
	return open(ctx, server.Server, server.admin, example)
}

func open(ctx context.Context, server *pgembed.Server, admin *pgxpool.Pool, test string) (*Database, error) {
	name := databaseName(test, names.Add(1))
	if _, err := admin.Exec(ctx, "create database "+name); err != nil {
		return nil, fmt.Errorf("create database %s: %w", name, err)
	}
	return &Database{URL: server.URL(name), Name: name, admin: admin}, nil
}

// databaseName makes a name of a test's, so that the server's log tells who did what.
func databaseName(test string, n int64) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, test)
	name := fmt.Sprintf("t%d_%s", n, clean)
	return name[:min(len(name), 63)]
}

// Drop removes the database and its slots. A slot that is in use can't be dropped, and a
// database with a slot can't be either; so nobody may connect again in between.
func (d *Database) Drop(ctx context.Context) error {
	for _, step := range []string{
		"alter database " + d.Name + " allow_connections false",
		`select pg_terminate_backend(active_pid, 10000) from pg_replication_slots
			where database = '` + d.Name + `' and active_pid is not null`,
		`select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = '` + d.Name + `'`,
		"drop database " + d.Name + " with (force)",
	} {
		if _, err := d.admin.Exec(ctx, step); err != nil {
			return fmt.Errorf("drop database %s: %w", d.Name, err)
		}
	}
	return nil
}

// Pool gives connections to the database, closed when the test ends.
func (d *Database) Pool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), d.URL)
	if err != nil {
		t.Fatalf("connect to %s: %v", d.Name, err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// Conn gives one connection to the database, closed when the test ends.
func (d *Database) Conn(t testing.TB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), d.URL)
	if err != nil {
		t.Fatalf("connect to %s: %v", d.Name, err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // the test may have broken it
	return conn
}

// Exec runs one statement, or several without args, on a connection of its own.
func (d *Database) Exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if err := d.exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("execute %q: %v", sql, err)
	}
}

func (d *Database) exec(ctx context.Context, sql string, args ...any) (err error) {
	conn, err := pgx.Connect(ctx, d.URL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, sql, args...)
	return err
}

// outboxDDL is DESIGN §5, written out here so that tests of the outbox package's DDL
// have something to be compared with.
const outboxDDL = `create table public.outbox (
	id             uuid primary key default gen_random_uuid(),
	aggregate_type text not null,
	aggregate_id   text not null,
	event_type     text not null,
	payload        jsonb not null,
	headers        jsonb,
	created_at     timestamptz not null default now()
)`

// Outbox makes the table public.outbox, without a publication.
func (d *Database) Outbox(t testing.TB) {
	t.Helper()
	d.Exec(t, outboxDDL)
}

// Role makes a login role of the database with the given attributes, e.g. "" or
// "replication", that owns nothing, and gives its connection string. Roles belong to the
// server, so its name is unique; it goes when the test ends.
func (d *Database) Role(t testing.TB, attributes string) (name, connString string) {
	t.Helper()
	name = fmt.Sprintf("role%d", names.Add(1))
	const password = "secret"
	d.Exec(t, fmt.Sprintf("create role %s login password '%s' %s", name, password, attributes))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
		defer cancel()
		// The database is dropped later (cleanups run last in, first out), so what the
		// role was granted in it has to go first.
		if err := d.exec(ctx, fmt.Sprintf("drop owned by %s; drop role %s", name, name)); err != nil {
			t.Errorf("drop role %s: %v", name, err)
		}
	})
	u, err := url.Parse(d.URL)
	if err != nil {
		t.Fatalf("read the connection string: %v", err)
	}
	u.User = url.UserPassword(name, password)
	return name, u.String()
}
