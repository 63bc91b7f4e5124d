//go:build unix

// Package pgtest gives tests a Postgres: one server for all tests of a package, started
// when the first asks for it, and a database of its own for each test.
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
//	func TestInsert(t *testing.T) {
//		t.Parallel()
//		db := pgtest.New(t)
//		db.Outbox(t)
//		db.Exec(t, `insert into public.outbox …`)
//	}
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/walpost/walpost/internal/pgembed"
)

const (
	stopTimeout    = 30 * time.Second
	cleanupTimeout = 30 * time.Second
)

// shared is the server of the test process, and a superuser's connections to it.
var shared struct {
	once   sync.Once
	server *pgembed.Server
	admin  *pgxpool.Pool
	err    error
}

// Main runs the tests of a package, stops the shared server and checks that no
// goroutine is left over. It does not return.
func Main(m *testing.M) {
	code := m.Run()
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		code = max(code, 1)
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func stopShared() error {
	if shared.server == nil {
		return nil
	}
	shared.admin.Close()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return shared.server.Stop(ctx)
}

// Server gives the package's shared server, for its URL and version. Tests that restart
// a server use Start.
func Server(t testing.TB) *pgembed.Server {
	t.Helper()
	shared.once.Do(func() {
		server, err := pgembed.Start(context.Background(), pgembed.Options{})
		if err != nil {
			shared.err = err
			return
		}
		admin, err := pgxpool.New(context.Background(), server.URL("postgres"))
		if err != nil {
			shared.err = errors.Join(err, server.Stop(context.Background()))
			return
		}
		shared.server, shared.admin = server, admin
	})
	if shared.err != nil {
		t.Fatalf("start the shared postgres: %v", shared.err)
	}
	return shared.server
}

// Start runs a server for this test alone, stopped when the test ends. The settings are
// those of postgresql.conf, e.g. {"wal_level": "replica"}.
func Start(t testing.TB, settings map[string]string) *pgembed.Server {
	t.Helper()
	server, err := pgembed.Start(t.Context(), pgembed.Options{Settings: settings})
	if err != nil {
		t.Fatalf("start postgres: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			t.Errorf("stop postgres: %v", err)
		}
	})
	return server
}
