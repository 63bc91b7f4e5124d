package ledger

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/walpost/walpost/internal/pgtest"
)

func TestOwedIsRecordedOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	e := event(1, 200)
	e.Headers = []byte(`{"traceparent": "00-1"}`)
	crm, hub := delivery(e, "crm", Pending), delivery(e, "hub", Parked)
	crm.DueIn = time.Hour
	f.mustRecord(owed(e, crm, hub))

	crm.State, crm.DueIn = Failed, 0
	f.mustRecord(owed(e, crm, hub), owed(e, crm))
	if n := f.count("event"); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
	d := f.view(crm.ID)
	if d.State != Pending || d.EventID != e.ID || d.Attempts != 0 || len(d.Log) != 0 {
		t.Errorf("delivery is %+v, want it as recorded first", d)
	}
	if wait := d.DueAt.Sub(d.CreatedAt); wait < time.Hour-5*time.Second || wait > time.Hour {
		t.Errorf("due %v after it was recorded, want an hour from when it was submitted", wait)
	}
	if d := f.view(hub.ID); d.State != Parked || !d.DueAt.IsZero() {
		t.Errorf("delivery is %+v, want it parked", d)
	}
	got, err := f.Event(t.Context(), e.ID)
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Payload) != string(e.Payload) || string(got.Headers) != string(e.Headers) || got.LSN != e.LSN ||
		!got.CreatedAt.Equal(e.CreatedAt) || !got.CommittedAt.Equal(e.CommittedAt) || got.Type != e.Type ||
		got.AggregateType != e.AggregateType || got.AggregateID != e.AggregateID {
		t.Errorf("event is %+v, want %+v", got, e)
	}
}

func TestFirstOutcomeIsRecorded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	e := event(1, 200)
	failing := outcome(e, "crm", 1, 0, Retrying, "retry")
	failing.DueIn = 5 * time.Minute
	f.mustRecord(attempted(failing), attempted(outcome(e, "hub", 1, 0, Failed, "rejected")),
		attempted(outcome(e, "cut", 1, 0, Pending, VerdictInterrupted)))

	d := f.view(failing.ID)
	if d.State != Retrying || d.Attempts != 1 || d.LastStatus != 500 || d.LastClass != "status" || d.LastVerdict != "retry" {
		t.Errorf("delivery is %+v, want it retrying after attempt 1", d)
	}
	if wait := d.DueAt.Sub(d.CreatedAt); wait < 5*time.Minute-5*time.Second || wait > 5*time.Minute {
		t.Errorf("due %v after it was recorded, want 5m from when it was submitted", wait)
	}
	if len(d.Log) != 1 || d.Log[0].Number != 1 || d.Log[0].Excerpt != "sorry" || d.Log[0].Replica != "test" ||
		d.Log[0].Duration != 1500*time.Microsecond || d.Log[0].Status != 500 {
		t.Errorf("attempts are %+v", d.Log)
	}
	if d := f.view(deliveryID(e, "hub")); d.State != Failed || d.FinishedAt.IsZero() {
		t.Errorf("delivery is %+v, want it failed", d)
	}
	if d := f.view(deliveryID(e, "cut")); d.State != Pending || d.Attempts != 0 || len(d.Log) != 0 {
		t.Errorf("delivery is %+v, want an interrupted attempt not to count", d)
	}
}

// After a crash the WAL brings an event again whose delivery is recorded, and its first attempt is repeated.
func TestFirstOutcomeAfterCrashDoesNotRegress(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	e := event(1, 200)
	running, waiting := delivery(e, "crm", Pending), delivery(e, "hub", Retrying)
	running.Fence, waiting.Attempts = 7, 2
	f.mustRecord(owed(e, running, waiting))
	f.mustRecord(attempted(outcome(e, "crm", 1, 0, Retrying, "retry")), attempted(outcome(e, "hub", 1, 0, Failed, "retry")))
	if d := f.view(running.ID); d.State != Retrying || d.Attempts != 1 {
		t.Errorf("delivery without an attempt is %+v, want the outcome applied", d)
	}
	if d := f.view(waiting.ID); d.State != Retrying || d.Attempts != 2 || len(d.Log) != 0 {
		t.Errorf("delivery after two attempts is %+v, want it left alone", d)
	}
	// Who ran it before the crash, if it still does, is fenced.
	err := f.record(attempted(outcome(e, "crm", 2, 7, Delivered, "delivered")))[0]
	if !errors.Is(err, ErrFenced) {
		t.Errorf("got %v, want ErrFenced", err)
	}
}

func TestOutcomeIsFenced(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	e := event(1, 200)
	f.mustRecord(owed(e, delivery(e, "crm", Pending), delivery(e, "hub", Pending)))
	first := f.claim("crm", 1)[0]
	f.shift(time.Minute) // its lease ends
	second := f.claim("crm", 1)[0]
	if second.Fence <= first.Fence || second.Attempt != 1 {
		t.Fatalf("claims %+v and %+v, want a higher fence for the same attempt", first, second)
	}
	errs := f.record(
		attempted(outcome(e, "crm", 1, first.Fence, Delivered, "delivered")),
		attempted(outcome(e, "crm", 1, second.Fence, Retrying, "retry")), // same delivery: not in the same statement
		attempted(outcome(e, "hub", 1, f.claim("hub", 1)[0].Fence, Delivered, "delivered")),
		attempted(outcome(event(2, 10), "crm", 1, 3, Delivered, "delivered")), // never recorded
	)
	if !errors.Is(errs[0], ErrFenced) || errs[1] != nil || errs[2] != nil || !errors.Is(errs[3], ErrFenced) {
		t.Errorf("got %v, want the first and last fenced", errs)
	}
	if d := f.view(first.ID); d.State != Retrying || d.Attempts != 1 || len(d.Log) != 1 {
		t.Errorf("delivery is %+v, want the newer claim's outcome alone", d)
	}
	if d := f.view(deliveryID(e, "hub")); d.State != Delivered || d.FinishedAt.IsZero() || !d.DueAt.IsZero() {
		t.Errorf("delivery is %+v, want it delivered", d)
	}
}

// A commit whose answer is lost is repeated; what it did must not be done twice, nor look like another's.
func TestRepeatedBatchChangesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{Record: RecordAll})
	e := event(1, 200)
	f.mustRecord(owed(e, delivery(e, "crm", Pending), delivery(e, "cut", Pending)))
	fence := f.claim("crm", 1)[0].Fence
	batch := []waiting{
		{Entry: Owed{Event: e, Deliveries: []Delivery{delivery(e, "late", Pending)}}},
		{Entry: outcome(e, "crm", 1, fence, Retrying, "retry")},
		{Entry: outcome(e, "cut", 1, f.claim("cut", 1)[0].Fence, Pending, VerdictInterrupted)},
		{Entry: outcome(e, "hub", 1, 0, Retrying, "retry")},
		{Entry: outcome(e, "all", 1, 0, Delivered, "delivered")},
		{Entry: Quarantined{Event: e, Rule: "vip", Diagnostic: "no such attribute"}},
	}
	for i := range batch {
		batch[i].since = time.Now()
	}
	for i, again := range []bool{false, true, true} {
		lost, err := f.commit(t.Context(), batch, again)
		if err != nil || len(lost) != 0 {
			t.Fatalf("try %d: lost %v, err %v", i, lost, err)
		}
	}
	for table, want := range map[string]int{"event": 1, "delivery": 4, "attempt": 3, "quarantine": 1} {
		if n := f.count(table); n != want {
			t.Errorf("%d rows in %s, want %d", n, table, want)
		}
	}
}

// What the last statement of a batch refuses, the first has not done.
func TestBatchIsOneTransaction(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	e := event(1, 200)
	gone := outcome(e, "hub", 1, 0, Parked, "gone")
	gone.Disable = &Reason{By: "endpoint", Why: "answered 410 Gone"}
	_, err := f.commit(t.Context(), []waiting{
		{Entry: Owed{Event: e, Deliveries: []Delivery{delivery(e, "crm", Pending)}}, since: time.Now()},
		{Entry: gone, since: time.Now()},
		{Entry: Quarantined{Event: e, Rule: "\x00"}, since: time.Now()},
	}, false)
	if !refused(err) {
		t.Fatalf("got %v, want Postgres to refuse a rule with a NUL", err)
	}
	for _, table := range []string{"event", "delivery", "attempt", "webhook", "quarantine"} {
		if n := f.count(table); n != 0 {
			t.Errorf("%d rows in %s, want none", n, table)
		}
	}
}

func TestRecordFailuresWritesNothingForSuccess(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	e := event(1, 200)
	f.mustRecord(attempted(outcome(e, "crm", 1, 0, Delivered, "delivered")))
	for _, table := range []string{"event", "delivery", "attempt"} {
		if n := f.count(table); n != 0 {
			t.Errorf("%d rows in %s, want none", n, table)
		}
	}
}

func TestRecordAllKeepsSuccessAsOneRow(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{Record: RecordAll})
	e := event(1, 200)
	f.mustRecord(attempted(outcome(e, "crm", 1, 0, Delivered, "delivered")))
	if f.count("event") != 0 || f.count("delivery") != 0 || f.count("attempt") != 1 {
		t.Error("want one row of the attempt log and no other")
	}
	d := f.view(deliveryID(e, "crm"))
	if d.State != Delivered || d.Attempts != 1 || d.LastStatus != 200 || len(d.Log) != 1 || d.FinishedAt.IsZero() {
		t.Errorf("delivery is %+v", d)
	}
	known, err := f.Known(t.Context(), []string{d.ID, deliveryID(e, "hub")})
	if err != nil || len(known) != 1 || known[d.ID] != Delivered {
		t.Errorf("known: %v, %v; want the delivered one alone", known, err)
	}
}

func TestLargePayload(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{MaxPending: 4 << 20})
	var entries []func(func(error)) Entry
	for n := range 12 {
		e := event(n, 1<<20)
		entries = append(entries, owed(e, delivery(e, "crm", Pending)))
	}
	f.mustRecord(entries...)
	claimed := f.claim("crm", 100)
	if len(claimed) != 12 {
		t.Fatalf("claimed %d, want 12", len(claimed))
	}
	for i, c := range claimed {
		if !bytes.Equal(c.Event.Payload, event(i, 1<<20).Payload) {
			t.Errorf("payload %d came back changed", i)
		}
	}
}

func TestPoisonEntryIsRefusedAlone(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	f := openFixture(t, db, Options{})
	if err := f.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	bad := map[int]bool{0: true, 7: true, 8: true, 36: true}
	var entries []func(func(error)) Entry
	for n := range 37 {
		e := event(n, 50)
		if bad[n] {
			e.ID += "\x00" // no text in Postgres
		}
		entries = append(entries, owed(e, delivery(e, "crm", Pending)))
	}
	f.run()
	for n, err := range f.record(entries...) {
		if (err != nil) != bad[n] {
			t.Errorf("entry %d: got %v, want an error: %v", n, err, bad[n])
		}
	}
	if n := f.count("delivery"); n != 37-len(bad) {
		t.Errorf("%d deliveries, want all but the bad", n)
	}
}

func TestForeignTextIsCleaned(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	e := event(1, 50)
	a := outcome(e, "crm", 1, 0, Retrying, "retry")
	a.Excerpt = "no\x00thing \xff here " + strings.Repeat("ß", maxExcerpt)
	f.mustRecord(attempted(a), quarantined(Quarantined{Event: e, Diagnostic: "a\x00b\xc3"}))
	excerpt := f.view(a.ID).Log[0].Excerpt
	if !strings.HasPrefix(excerpt, "no\uFFFDthing \uFFFD here ßß") || len(excerpt) > maxExcerpt+10 {
		t.Errorf("excerpt is %q (%d bytes)", excerpt, len(excerpt))
	}
	if got := value[string](f, "select diagnostic from walpost.quarantine"); got != "a\uFFFDb\uFFFD" {
		t.Errorf("diagnostic is %q", got)
	}
}

func TestMalformedEntryIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	e := event(1, 50)
	for name, entry := range map[string]Entry{
		"id":         Owed{Event: e, Deliveries: []Delivery{{ID: "7", State: Pending}}},
		"no state":   Owed{Event: e, Deliveries: []Delivery{{ID: deliveryID(e, "crm")}}},
		"no event":   Owed{},
		"attempt id": Attempted{Event: e, ID: "7", State: Failed},
		"no verdict": Attempted{Event: e, ID: deliveryID(e, "crm")},
		"no row":     Quarantined{},
	} {
		if err := f.Submit(t.Context(), entry); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestSubmitBlocksAboveMaxPending(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	f := openFixture(t, db, Options{MaxPending: 10_000})
	if err := f.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 2)
	e := event(1, 6_000)
	if err := f.Submit(t.Context(), owed(e, delivery(e, "crm", Pending))(func(err error) { done <- err })); err != nil {
		t.Fatal(err)
	}
	full, cancel := context.WithCancel(t.Context())
	blocked := make(chan error, 1)
	go func() { blocked <- f.Submit(full, owed(e, delivery(e, "crm", Pending))(nil)) }()
	cancel()
	if err := <-blocked; !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want Submit to wait until its context ended", err)
	}
	go func() {
		huge := event(2, 50_000) // more than MaxPending: alone
		blocked <- f.Submit(context.Background(), owed(huge, delivery(huge, "crm", Pending))(func(err error) { done <- err }))
	}()
	f.run()
	for _, c := range []chan error{blocked, done, done} {
		if err := <-c; err != nil {
			t.Error(err)
		}
	}
}

func TestRunFlushesAndStops(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	f := openFixture(t, db, Options{})
	if err := f.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	const n = 250
	done := make(chan error, n)
	for i := range n {
		e := event(i, 50)
		if err := f.Submit(t.Context(), owed(e, delivery(e, "crm", Pending))(func(err error) { done <- err })); err != nil {
			t.Fatal(err)
		}
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Run(stopped); err != nil {
		t.Fatal(err)
	}
	for range n {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if got := f.count("delivery"); got != n {
		t.Errorf("%d deliveries, want %d", got, n)
	}
	e := event(n, 50)
	if err := f.Submit(t.Context(), owed(e)(nil)); !errors.Is(err, ErrStopped) {
		t.Errorf("got %v, want ErrStopped", err)
	}
}
