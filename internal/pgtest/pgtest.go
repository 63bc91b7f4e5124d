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
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
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

// shared is the server of the test process, started when it is first asked for.
var shared = sync.OnceValues(startShared)

// running is what startShared made, for Main to stop.
var running *sharedServer

// sharedServer is a server and a superuser's connections to it.
type sharedServer struct {
	*pgembed.Server
	admin *pgxpool.Pool
}

func startShared() (*sharedServer, error) {
	ctx := context.Background()
	server, err := pgembed.Start(ctx, pgembed.Options{})
	if err != nil {
		return nil, fmt.Errorf("start the shared postgres: %w", err)
	}
	admin, err := pgxpool.New(ctx, server.URL("postgres"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect to the shared postgres: %w", err), server.Stop(ctx))
	}
	running = &sharedServer{Server: server, admin: admin}
	return running, nil
}

func (s *sharedServer) stop() error {
	s.admin.Close()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return s.Stop(ctx)
}

// Main runs the tests of a package, stops the shared server and checks that no
// goroutine is left over. It does not return.
func Main(m *testing.M) {
	code := m.Run()
	if running != nil {
		if err := running.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest: stop the shared postgres:", err)
			code = max(code, 1)
		}
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// together is how many parallel tests run at a time after WaitTogether.
const together = 5

// WaitTogether is for packages whose tests wait for Postgres, timers and endpoints more than they compute, and don't measure their
// process: more of them run at a time than a machine of few cores would have it. The flag -parallel overrides that.
func WaitTogether() {
	if runtime.GOMAXPROCS(0) < together {
		_ = flag.Lookup("test.parallel").Value.Set(strconv.Itoa(together)) // a number, and go test has the flag
	}
}

// Server gives the package's shared server, for its URL and version. Tests that restart
// a server use Start.
func Server(t testing.TB) *pgembed.Server {
	t.Helper()
	server, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return server.Server
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
