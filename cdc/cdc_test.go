package cdc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"github.com/walpost/walpost/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// patience bounds every wait of a test for something that must come.
const patience = 30 * time.Second

// outboxColumns are the columns of pgtest's outbox.
var outboxColumns = []string{"id", "aggregate_type", "aggregate_id", "event_type", "payload", "headers", "created_at"}

// testOptions stream public.outbox of a database.
func testOptions(db *pgtest.Database) Options {
	return Options{
		ConnString: db.URL, Schema: "public", Table: "outbox", Columns: outboxColumns,
		Slot: db.Name, Publication: "walpost",
		BackoffMin: 10 * time.Millisecond, BackoffMax: 200 * time.Millisecond,
		StatusInterval: 50 * time.Millisecond,
	}
}

// outboxDatabase has an empty outbox.
func outboxDatabase(t *testing.T) (*pgtest.Database, *pgxpool.Pool) {
	t.Helper()
	db := newOutbox(t)
	return db, db.Pool(t)
}

func newOutbox(t testing.TB) *pgtest.Database {
	t.Helper()
	db := pgtest.New(t)
	db.Outbox(t)
	return db
}

// running is a Source that runs. It keeps the checkpoint as a daemon would.
type running struct {
	*Source
	t        *testing.T
	acquired chan Identity
	stop     context.CancelFunc
	result   chan error
	rest     Batch // received and not yet asked for

	mu         sync.Mutex
	checkpoint *Resume
}

// start runs a Source from a checkpoint.
func start(t *testing.T, o Options, checkpoint *Resume, change ...func(*Source)) *running {
	t.Helper()
	r := &running{t: t, acquired: make(chan Identity, 100), result: make(chan error, 1), checkpoint: checkpoint}
	o.Resume = func(context.Context) (*Resume, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.checkpoint, nil
	}
	o.Acquired = func(_ context.Context, id Identity) error {
		if !id.Reading {
			r.acquired <- id
		}
		return nil
	}
	if os.Getenv("CDC_TEST_LOG") != "" {
		o.Logger = zerolog.New(zerolog.NewTestWriter(t))
	}
	var err error
	if r.Source, err = New(o); err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(r.Source)
	}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	go func() { r.result <- r.Run(ctx) }()
	t.Cleanup(func() { _ = r.end() }) // tests that care have asked
	return r
}

// connected waits for the next connection.
func (r *running) connected() Identity {
	r.t.Helper()
	select {
	case id := <-r.acquired:
		return id
	case err := <-r.result:
		r.result <- err
		r.t.Fatalf("Run ended: %v", err)
	case <-time.After(patience):
		r.t.Fatalf("not connected: %+v", r.Stats())
	}
	panic("unreachable")
}

// next takes n rows.
func (r *running) next(n int) []Row {
	r.t.Helper()
	deadline := time.After(patience)
	for len(r.rest) < n {
		select {
		case b, ok := <-r.Batches():
			if !ok {
				r.t.Fatalf("batches closed: %v", r.end())
			}
			r.rest = append(r.rest, b...)
		case <-deadline:
			r.t.Fatalf("got %d rows, want %d: %+v", len(r.rest), n, r.Stats())
		}
	}
	rows := r.rest[:n:n]
	r.rest = r.rest[n:]
	return rows
}

// settle waits until everything that was received is resolved up to the row's commit, saves the checkpoint
// and confirms.
func (r *running) settle(last Row) {
	r.t.Helper()
	deadline := time.After(patience)
	for {
		if p, ok := r.Progress(); ok && p.Commit() > last.CommitLSN {
			r.save(p)
			return
		}
		select {
		case <-r.Advanced():
		case <-deadline:
			r.t.Fatalf("commit %s not reached", last.CommitLSN)
		}
	}
}

func (r *running) save(p Position) {
	r.mu.Lock()
	if p.Commit() != 0 {
		r.checkpoint = &Resume{LSN: p.Commit()}
	}
	r.mu.Unlock()
	r.Confirm(p)
}

// saved is the checkpoint.
func (r *running) saved() *Resume {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.checkpoint
}

// end stops the Source and returns what Run returned. It may be called again.
func (r *running) end() error {
	r.stop()
	return r.failure()
}

// failure waits for Run to return.
func (r *running) failure() error {
	select {
	case err := <-r.result:
		r.result <- err
		return err
	case <-time.After(patience):
		r.t.Errorf("Run goes on: %+v", r.Stats())
		return errors.New("Run goes on")
	}
}

// value is a column of a row by name.
func value(row Row, column string) string {
	i := slices.IndexFunc(row.Relation.Columns, func(c Column) bool { return c.Name == column })
	if i < 0 {
		return "(no column " + column + ")"
	}
	if row.Values[i] == nil {
		return "(null)"
	}
	return string(row.Values[i])
}

// ids are the aggregate ids of rows, by which tests know them.
func ids(rows []Row) []string {
	out := make([]string, len(rows))
	for i, row := range rows {
		out[i] = value(row, "aggregate_id")
	}
	return out
}

func resolve(rows []Row) {
	for i := range rows {
		rows[i].Resolve()
	}
}

func equal[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// execer is what statements are executed on.
type execer interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// insert inserts one row for each id.
func insert(t *testing.T, on execer, ids ...string) {
	t.Helper()
	var n int
	err := on.QueryRow(t.Context(), `with inserted as (
		insert into public.outbox (aggregate_type, aggregate_id, event_type, payload)
		select 'contact', id, 'created', jsonb_build_object('id', id) from unnest($1::text[]) id returning 1)
		select count(*) from inserted`, ids).Scan(&n)
	if err != nil {
		t.Fatalf("insert: %v", err)
	}
}

// insertEach inserts each row in a transaction of its own.
func insertEach(t *testing.T, on execer, ids ...string) {
	t.Helper()
	for _, id := range ids {
		insert(t, on, id)
	}
}

// scalar is the only value of a query's only row.
func scalar[T any](t testing.TB, on execer, sql string, args ...any) T {
	t.Helper()
	var v T
	if err := on.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// sequence is from..to as text.
func sequence(from, to int) []string {
	var out []string
	for i := from; i <= to; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return out
}
