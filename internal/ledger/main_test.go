package ledger

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/walpost/walpost/internal/pgtest"
	"github.com/walpost/walpost/outbox"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// fixture is a migrated ledger on a database of its own, with its writer running.
type fixture struct {
	*Ledger
	t    testing.TB
	db   *pgtest.Database
	stop context.CancelFunc // ends the writer
	done chan error         // what Run returned
}

func newFixture(t testing.TB, o Options) *fixture {
	t.Helper()
	return start(t, pgtest.New(t), o)
}

func start(t testing.TB, db *pgtest.Database, o Options) *fixture {
	t.Helper()
	f := openFixture(t, db, o)
	if err := f.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.run()
	return f
}

// openFixture makes a ledger that is neither migrated nor running.
func openFixture(t testing.TB, db *pgtest.Database, o Options) *fixture {
	t.Helper()
	o.ConnString = db.URL
	if o.Replica == "" {
		o.Replica = "test"
	}
	l, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return &fixture{Ledger: l, t: t, db: db}
}

func (f *fixture) run() {
	ctx, cancel := context.WithCancel(context.Background())
	f.stop, f.done = cancel, make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.done <- f.Run(ctx)
	}()
	f.t.Cleanup(func() {
		cancel()
		<-ended
	})
}

// record submits entries made by make, which gets the Done to give them, and waits for their ends.
func (f *fixture) record(entries ...func(done func(error)) Entry) []error {
	f.t.Helper()
	type end struct {
		i   int
		err error
	}
	ends := make(chan end, len(entries))
	for i, entry := range entries {
		if err := f.Submit(f.t.Context(), entry(func(err error) { ends <- end{i, err} })); err != nil {
			f.t.Fatal(err)
		}
	}
	errs := make([]error, len(entries))
	for range entries {
		e := <-ends
		errs[e.i] = e.err
	}
	return errs
}

func (f *fixture) mustRecord(entries ...func(done func(error)) Entry) {
	f.t.Helper()
	for i, err := range f.record(entries...) {
		if err != nil {
			f.t.Fatalf("entry %d: %v", i, err)
		}
	}
}

func owed(e *outbox.Row, deliveries ...Delivery) func(func(error)) Entry {
	return func(done func(error)) Entry { return Owed{Event: e, Deliveries: deliveries, Done: done} }
}

func attempted(a Attempted) func(func(error)) Entry {
	return func(done func(error)) Entry { a.Done = done; return a }
}

func quarantined(q Quarantined) func(func(error)) Entry {
	return func(done func(error)) Entry { q.Done = done; return q }
}

// event makes the nth event, with a payload of about size bytes.
func event(n int, size int) *outbox.Row {
	head := fmt.Sprintf(`{"n":%d,"text":"`, n)
	filler := strings.Repeat("abcdefghijklmnopqrstuvwxyz", size/26+1)
	payload := head + filler[:max(0, size-len(head)-2)] + `"}`
	return &outbox.Row{
		ID: fmt.Sprintf("event-%07d", n), AggregateType: "contact", AggregateID: fmt.Sprint(n % 100), Type: "tagged",
		Payload: []byte(payload), CreatedAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		CommittedAt: time.Date(2026, 3, 1, 12, 0, 1, 0, time.UTC), LSN: uint64(n)<<8 + 1<<33,
	}
}

// deliveryID is fixed for the event and webhook, as route's is.
func deliveryID(e *outbox.Row, webhook string) string {
	sum := sha256.Sum256([]byte(e.ID + "/" + webhook))
	return pgtype.UUID{Bytes: [16]byte(sum[:16]), Valid: true}.String()
}

func delivery(e *outbox.Row, webhook string, state State) Delivery {
	return Delivery{ID: deliveryID(e, webhook), Topic: "contact.tagged", Webhook: webhook, State: state}
}

// outcome is an attempt of the event's delivery to the webhook.
func outcome(e *outbox.Row, webhook string, n int, fence int64, state State, verdict string) Attempted {
	a := Attempted{
		ID: deliveryID(e, webhook), Event: e, Topic: "contact.tagged", Webhook: webhook, Attempt: n, Fence: fence,
		State: state, Verdict: verdict, Class: "status", Status: 500, Duration: 1500 * time.Microsecond, Excerpt: "sorry",
	}
	if state == Delivered {
		a.Class, a.Status, a.Excerpt = "ok", 200, ""
	}
	return a
}

// shift moves the ledger's clock to so far ahead of the server's.
func (f *fixture) shift(ahead time.Duration) {
	f.t.Helper()
	f.db.Exec(f.t, fmt.Sprintf(`create or replace function walpost.now() returns timestamptz
		language sql stable parallel safe as 'select pg_catalog.now() + interval ''%d milliseconds'''`, ahead.Milliseconds()))
}

func (f *fixture) claim(webhook string, limit int) []Claimed {
	f.t.Helper()
	claimed, err := f.Claim(f.t.Context(), []Capacity{{Webhook: webhook, Limit: limit, Lease: 30 * time.Second}})
	if err != nil {
		f.t.Fatal(err)
	}
	return claimed
}

// value reads one value of one row.
func value[T any](f *fixture, sql string, args ...any) T {
	f.t.Helper()
	var v T
	if err := f.pool.QueryRow(f.t.Context(), sql, args...).Scan(&v); err != nil {
		f.t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func (f *fixture) count(table string) int {
	f.t.Helper()
	return value[int](f, "select count(*) from walpost."+table)
}

func (f *fixture) view(id string) *DeliveryDetail {
	f.t.Helper()
	d, err := f.Delivery(f.t.Context(), id)
	if err != nil {
		f.t.Fatal(err)
	}
	if d == nil {
		f.t.Fatalf("no delivery %s", id)
	}
	return d
}
