package ledger

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/walpost/walpost/internal/pgtest"
	"github.com/walpost/walpost/outbox"
)

// captures is a delivered first attempt of the event that keeps values under keys.
func captures(e *outbox.Row, webhook string, pairs ...string) Attempted {
	a := outcome(e, webhook, 1, 0, Delivered, "delivered")
	for i := 0; i < len(pairs); i += 2 {
		a.Captures = append(a.Captures, Capture{Key: pairs[i], Value: pairs[i+1]})
	}
	return a
}

// expectCaptured checks what is kept under a key; "" is nothing.
func (f *fixture) expectCaptured(webhook, key, want string) {
	f.t.Helper()
	got, found, err := f.Captured(f.t.Context(), webhook, key)
	if err != nil || got != want || found != (want != "") {
		f.t.Errorf("captured(%q, %.20q) is %q, %v, %v; want %q", webhook, key, got, found, err, want)
	}
}

func TestCaptureOfFirstSuccessWritesNothingElse(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.mustRecord(attempted(captures(event(1, 50), "open", "42", `{"id": 1001}`)))
	f.expectCaptured("open", "42", `{"id": 1001}`)
	f.expectCaptured("open", "43", "")
	f.expectCaptured("close", "42", "")
	if n := f.count("event") + f.count("delivery") + f.count("attempt"); n != 0 {
		t.Errorf("%d rows beside the capture", n)
	}
}

func TestCaptureIsWrittenWithItsOutcome(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{Record: RecordAll})
	e := event(1, 50)
	f.mustRecord(owed(e, delivery(e, "open", Pending)))
	claimed := f.claim("open", 1)[0]
	later := captures(e, "open", "42", "1001")
	later.Fence = claimed.Fence
	sole := captures(event(2, 50), "open", "43", "1002")
	f.mustRecord(attempted(later), attempted(sole))
	f.expectCaptured("open", "42", "1001")
	f.expectCaptured("open", "43", "1002")
	if d := f.view(later.ID); d.State != Delivered {
		t.Errorf("delivery is %s", d.State)
	}
	// An outcome that comes too late changes nothing, but the endpoint did answer.
	tooLate := captures(e, "open", "44", "1003")
	tooLate.Fence = claimed.Fence + 7
	if err := f.record(attempted(tooLate))[0]; err == nil {
		t.Error("an outcome under another fence counts")
	}
	f.expectCaptured("open", "44", "1003")
}

func TestCaptureOfLatestCommitStays(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	first, second, third := event(1, 50), event(2, 50), event(3, 50)
	f.mustRecord(attempted(captures(second, "open", "42", "2")))
	f.mustRecord(attempted(captures(first, "open", "42", "1")))
	f.expectCaptured("open", "42", "2")
	f.mustRecord(attempted(captures(third, "open", "42", "3")))
	f.expectCaptured("open", "42", "3")
	f.mustRecord(attempted(captures(third, "open", "42", "4")))
	f.expectCaptured("open", "42", "4") // the same event again: what was answered last
	// All in one batch, and twice in one answer.
	f.mustRecord(
		attempted(captures(second, "crm", "42", "2")), attempted(captures(third, "crm", "42", "3", "42", "3b")),
		attempted(captures(first, "crm", "42", "1")),
	)
	f.expectCaptured("crm", "42", "3b")
}

// While the writer doesn't run, nothing is durable, and yet all that was submitted is found.
func TestCapturedFindsWhatIsOnItsWay(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	f := start(t, db, Options{})
	f.mustRecord(attempted(captures(event(5, 50), "open", "42", "5")))
	f.stop()
	if err := <-f.done; err != nil {
		t.Fatal(err)
	}

	f = openFixture(t, db, Options{})
	submit := func(n int, key, value string) {
		if err := f.Submit(t.Context(), captures(event(n, 50), "open", key, value)); err != nil {
			t.Fatal(err)
		}
	}
	submit(4, "42", "4")
	f.expectCaptured("open", "42", "5") // the ledger has a later one
	submit(7, "42", "7")
	submit(6, "42", "6")
	submit(6, "43", "6")
	f.expectCaptured("open", "42", "7")
	f.expectCaptured("open", "43", "6")
	f.run()
	f.mustRecord(attempted(captures(event(8, 50), "open", "44", "8")))
	f.expectCaptured("open", "42", "7")
	f.capturing.mu.Lock()
	left := len(f.capturing.values)
	f.capturing.mu.Unlock()
	if left != 0 {
		t.Errorf("%d captures stay in memory", left)
	}
	if got := value[string](f, "select value from walpost.capture where key = '42'"); got != "7" {
		t.Errorf("durable is %s", got)
	}
}

func TestCaptureTakesAnyKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	long := strings.Repeat("ü", 5000)
	for i, key := range []string{"", "nul\x00", "\xff", long, long + "x", strings.Repeat("k", maxCaptureKey)} {
		want := string(rune('a' + i))
		f.mustRecord(attempted(captures(event(i, 50), "open", key, want)))
		f.expectCaptured("open", key, want)
	}
	if n := f.count("capture"); n != 6 {
		t.Errorf("%d rows for 6 keys", n)
	}
	large := captures(event(9, 50), "open", "large", strings.Repeat("1", MaxCapture))
	f.mustRecord(attempted(large))
	large.Captures[0].Value += "1"
	if err := f.Submit(t.Context(), large); err == nil {
		t.Error("a capture of any size is taken")
	}
}

func TestCapturedTellsOfTheDatabase(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := f.Captured(ctx, "open", "42"); err == nil {
		t.Error("no error of a query that can't be made")
	}
}

func TestPruneCaptures(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.mustRecord(attempted(captures(event(1, 50), "open", "old", "1", "renewed", "1")))
	f.shift(20 * day)
	f.mustRecord(attempted(captures(event(2, 50), "open", "renewed", "2")))
	if p := f.prune(7 * day); p.Captures != 0 {
		t.Errorf("pruned %+v after 20 days", p)
	}
	f.shift(30*day + time.Minute)
	if p := f.prune(7 * day); p.Captures != 1 {
		t.Errorf("pruned %+v after 30 days, want the one that is old", p)
	}
	f.expectCaptured("open", "old", "")
	f.expectCaptured("open", "renewed", "2")
}

// A ledger of the first version is brought up to date with all that is in it.
func TestMigrateFromFirstVersion(t *testing.T) {
	t.Parallel()
	f := openFixture(t, pgtest.New(t), Options{})
	if err := f.migrate(t.Context(), migrations[:1]); err != nil {
		t.Fatal(err)
	}
	e := event(1, 50)
	f.db.Exec(t, `insert into walpost.event (id, aggregate_type, aggregate_id, type, payload, lsn, recorded_at)
		values ($1, 'contact', '1', 'tagged', '{}', '0/1', now())`, e.ID)
	f.db.Exec(t, `insert into walpost.delivery (id, event_id, topic, webhook, state, due_at, created_at, updated_at)
		values ($1, $3, 'contact.tagged', 'crm', 'parked', now(), now(), now()),
			($2, $3, 'contact.tagged', 'hub', 'pending', now(), now(), now())`,
		deliveryID(e, "crm"), deliveryID(e, "hub"), e.ID)
	f.db.Exec(t, `insert into walpost.quarantine (event_id, rule, webhook, topic, diagnostic, at) values ($1, '', '', '', 'bad', now())`, e.ID)
	if err := f.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f.view(deliveryID(e, "crm")).State != Parked || f.view(deliveryID(e, "hub")).State != Pending || f.count("quarantine") != 1 {
		t.Error("the upgrade changed what was there")
	}
	f.run()
	f.mustRecord(attempted(captures(e, "open", "42", "1")))
	f.expectCaptured("open", "42", "1")
	fresh := newFixture(t, Options{})
	if got, want := value[string](f, shape), value[string](fresh, shape); got != want {
		t.Errorf("the upgrade makes\n%s\na new one is\n%s", got, want)
	}
}
