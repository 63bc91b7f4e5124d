package cdc

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/walpost/walpost/internal/pgembed"
	"github.com/walpost/walpost/internal/pgtest"
)

// hostShutdown is how long a fast shutdown of the host may take at most.
const hostShutdown = 5 * time.Second

// ownServer is a server that the test may stop.
func ownServer(t *testing.T, settings map[string]string) (*pgembed.Server, *pgtest.Database) {
	t.Helper()
	server := pgtest.Start(t, settings)
	db := &pgtest.Database{URL: server.URL("postgres"), Name: "walpost"}
	db.Outbox(t)
	return server, db
}

// restart restarts the server and fails when that took longer, by what a shutdown may take, than the restart
// with nothing connected that ownServer has measured.
func restart(t *testing.T, server *pgembed.Server, undisturbed time.Duration) {
	t.Helper()
	if took := timedRestart(t, server); took > hostShutdown+undisturbed {
		t.Errorf("the host took %s to restart, and %s without us", took, undisturbed)
	}
}

func timedRestart(t *testing.T, server *pgembed.Server) time.Duration {
	t.Helper()
	began := time.Now()
	if err := server.Restart(t.Context(), pgembed.Fast); err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}

// F31: the server waits at its shutdown for a position that never comes.
func TestHostStopsWhileRowsAreUnresolved(t *testing.T) {
	t.Parallel()
	server, db := ownServer(t, nil)
	undisturbed := timedRestart(t, server)
	r := start(t, testOptions(db), nil)
	r.connected()
	insertEach(t, db.Pool(t), sequence(1, 10)...)
	rows := r.next(10)
	restart(t, server, undisturbed)
	r.connected()
	insert(t, db.Pool(t), "11") // the restart has cut the other pool's connections
	rows = append(rows, r.next(1)...)
	equal(t, "rows", ids(rows), sequence(1, 11))
	resolve(rows)
	r.settle(rows[10])
}

func TestHostStopsWhileAllIsResolved(t *testing.T) {
	t.Parallel()
	server, db := ownServer(t, nil)
	undisturbed := timedRestart(t, server)
	r := start(t, testOptions(db), nil)
	r.connected()
	insert(t, db.Pool(t), "1")
	rows := r.next(1)
	rows[0].Resolve()
	r.settle(rows[0])
	restart(t, server, undisturbed)
	r.connected()
	insert(t, db.Pool(t), "2")
	equal(t, "rows", ids(r.next(1)), []string{"2"})
}

func TestHostStopsWhileNobodyTakesBatches(t *testing.T) {
	t.Parallel()
	const n = 60_000
	server, db := ownServer(t, nil)
	undisturbed := timedRestart(t, server)
	o := testOptions(db)
	o.Buffer, o.StallTimeout = 2, 0 // the default
	r := start(t, o, nil)
	r.connected()
	db.Exec(t, `insert into outbox (aggregate_type, aggregate_id, event_type, payload)
		select 'contact', i::text, 'created', jsonb_build_object('filler', repeat('x', 500)) from generate_series(1, $1::int) i`, n)
	rows := r.next(1) // the server is sending, and nobody takes the rest
	restart(t, server, undisturbed)
	rows = append(rows, r.next(n-1)...)
	equal(t, "rows", ids(rows), sequence(1, n))
}

func TestStallClosesTheConnectionUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	const n = 5_000
	db, pool := outboxDatabase(t)
	o := testOptions(db)
	o.Buffer, o.StallTimeout = 1, 50*time.Millisecond
	logged := newLogged()
	o.Logger = zerolog.New(logged)
	r := start(t, o, nil)
	r.connected()
	db.Exec(t, `insert into outbox (aggregate_type, aggregate_id, event_type, payload)
		select 'contact', i::text, 'created', jsonb_build_object('filler', repeat('x', 500)) from generate_series(1, $1::int) i`, n)
	logged.wait(t, "nobody takes the batches")
	rows := r.next(n)
	equal(t, "rows", ids(rows), sequence(1, n))
	resolve(rows)
	r.settle(rows[n-1])
	if s := r.Stats(); s.Stalls == 0 || s.Connects != s.Stalls+1 {
		t.Errorf("stats %+v", s)
	}
	insert(t, pool, "after")
	equal(t, "rows", ids(r.next(1)), []string{"after"})
}

// Two daemons: the second waits, says for whom, and takes over (F25).
func TestStandbyTakesOver(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	leader := start(t, testOptions(db), nil)
	leader.connected()
	insert(t, pool, "1")
	rows := leader.next(1)
	o := testOptions(db)
	logged := newLogged()
	o.Logger = zerolog.New(logged)
	standby := start(t, o, nil)
	logged.wait(t, "replication slot is active for pid ")
	resolve(rows)
	leader.settle(rows[0])
	if err := leader.end(); err != nil {
		t.Fatal(err)
	}
	standby.connected()
	insert(t, pool, "2")
	equal(t, "rows of the new leader", ids(standby.next(1)), []string{"2"})
	logged.wait(t, "replication recovered")
}

// WAL that is gone can't be waited for (F18).
func TestInvalidatedSlotIsLost(t *testing.T) {
	t.Parallel()
	_, db := ownServer(t, map[string]string{"max_slot_wal_keep_size": "1MB"})
	pool := db.Pool(t)
	r := start(t, testOptions(db), nil)
	r.connected()
	insert(t, pool, "1")
	rows := r.next(1)
	rows[0].Resolve()
	r.settle(rows[0])
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		insert(t, pool, "more")
		scalar[string](t, pool, `select pg_switch_wal()::text`)
	}
	db.Exec(t, `checkpoint`)
	if status := scalar[string](t, pool, `select wal_status from pg_replication_slots where slot_name = $1`, db.Name); status != "lost" {
		t.Fatalf("the slot is %s", status)
	}
	again := start(t, testOptions(db), r.saved())
	wantSetupError(t, again.failure(), ErrSlotLost, "invalidated", "walpost run makes the slot anew")
}

// The server's own refusal, as when the slot is invalidated between the look at it and the start.
func TestServerRefusesInvalidatedSlot(t *testing.T) {
	t.Parallel()
	_, db := ownServer(t, map[string]string{"max_slot_wal_keep_size": "1MB"})
	pool := db.Pool(t)
	if _, err := Setup(t.Context(), testOptions(db)); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		insert(t, pool, "more")
		scalar[string](t, pool, `select pg_switch_wal()::text`)
	}
	db.Exec(t, `checkpoint`)
	conn, _, err := openReplication(t.Context(), testOptions(db).withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.close()
	o := testOptions(db).withDefaults()
	wantSetupError(t, classify(conn.start(t.Context(), o, 0), o), ErrSlotLost, "invalidated")
}

// logged collects a log and lets a test wait for a line.
type logged struct {
	lines chan string
}

func newLogged() *logged { return &logged{lines: make(chan string, 1000)} }

func (l *logged) Write(line []byte) (int, error) {
	select {
	case l.lines <- string(bytes.Clone(line)):
	default: // nobody reads it any more
	}
	return len(line), nil
}

// wait takes lines until one contains part.
func (l *logged) wait(t *testing.T, part string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case line := <-l.lines:
			if !json.Valid([]byte(line)) {
				t.Errorf("log line %q", line)
			}
			if strings.Contains(line, part) {
				return
			}
		case <-deadline:
			t.Fatalf("no line says %q", part)
		}
	}
}

// wantSetupError checks for a SetupError that wraps a sentinel (or none) and says and advises certain things.
func wantSetupError(t *testing.T, err, sentinel error, problem string, fixes ...string) {
	t.Helper()
	var setup *SetupError
	if !errors.As(err, &setup) {
		t.Fatalf("no SetupError: %v", err)
	}
	if Retryable(err) {
		t.Error("retryable")
	}
	if sentinel != nil && !errors.Is(err, sentinel) {
		t.Errorf("%v is not %q", err, sentinel)
	}
	if !strings.Contains(setup.Problem, problem) {
		t.Errorf("problem %q doesn't say %q", setup.Problem, problem)
	}
	for _, fix := range fixes {
		if !strings.Contains(setup.Fix, fix) {
			t.Errorf("fix %q doesn't say %q", setup.Fix, fix)
		}
	}
}
