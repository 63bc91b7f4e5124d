package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/outbox"
)

const one = `
webhook "hook" {
  topics = ["*"]
  url    = "{url}/hook"
}
`

func TestCommittedRowsArriveOnceAndRolledBackOnesNever(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	d := r.start()
	ctx := t.Context()
	tx, err := r.pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := outbox.Insert(ctx, tx, tagged("ghost")); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if tx, err = r.pool.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	savepoint, err := tx.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := outbox.Insert(ctx, savepoint, tagged("ghost of a savepoint")); err != nil {
		t.Fatal(err)
	}
	if err := savepoint.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if err := outbox.Insert(ctx, tx, tagged("1")); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	r.insert(tagged("2"), tagged("3"))
	seen := map[string]bool{}
	for range 3 {
		got := r.receiver.next()
		if got.topic != "contact.tagged" || got.attempt != "1" || got.method != http.MethodPost || got.id == "" {
			t.Errorf("request %+v", got)
		}
		contact, _ := got.json(t)["contact"].(map[string]any)
		seen[fmt.Sprint(contact["id"])] = true
	}
	d.mustStop()
	r.receiver.none()
	for _, id := range []string{"1", "2", "3"} {
		if !seen[id] {
			t.Errorf("contact %s didn't arrive: %v", id, seen)
		}
	}
	if n := r.count("walpost.event") + r.count("walpost.delivery") + r.count("walpost.attempt"); n != 0 {
		t.Errorf("%d ledger rows for events that were delivered at the first attempt", n)
	}
	r.start().mustStop()
	r.receiver.none() // the last checkpoint was confirmed: nothing is repeated
}

func TestRecordAllKeepsSuccesses(t *testing.T) {
	t.Parallel()
	r := newRig(t, one+`ledger { record = "all" }`)
	d := r.start()
	r.insert(tagged("1"))
	id := r.receiver.next().id
	d.mustStop()
	var state string
	r.scan("select state from walpost.deliveries where id = $1", []any{id}, &state)
	if state != "delivered" || r.count("walpost.event") != 0 {
		t.Errorf("state %s, %d events", state, r.count("walpost.event"))
	}
}

func TestSignatureIsVerifiedByTheReferenceLibrary(t *testing.T) {
	t.Parallel()
	const secret, previous = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"
	r := newRig(t, `
webhook "hook" {
  topics = ["*"]
  url    = "{url}/hook"
  sign {
    secret   = "`+secret+`"
    previous = "`+previous+`"
  }
}
`)
	r.start()
	r.insert(tagged("1"))
	got := r.receiver.next()
	for _, s := range []string{secret, previous} {
		verifier, err := standardwebhooks.NewWebhook(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify(got.body, got.header); err != nil {
			t.Errorf("secret %s: %v", s, err)
		}
	}
}

// at stops the ledger's clock at a time of the database, so that the schedule runs in virtual time.
func (r *rig) at(now time.Time) {
	r.t.Helper()
	r.db.Exec(r.t, fmt.Sprintf(`create or replace function walpost.now() returns timestamptz language sql stable
		as $$select timestamptz '%s'$$; notify walpost`, now.UTC().Format("2006-01-02 15:04:05.999999Z07:00")))
}

func TestScheduleIsKeptToTheSecondOverRestarts(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	r.receiver.answers(status(http.StatusInternalServerError))
	d := r.start()
	r.insert(tagged("1"))
	first := r.receiver.next()
	for n, wait := range []time.Duration{5 * time.Minute, time.Hour, 3 * time.Hour} {
		r.until("select exists (select from walpost.delivery where attempts = $1 and state = 'retrying')", n+1)
		var failed, due time.Time
		r.scan(`select a.at, d.due_at from walpost.delivery d join walpost.attempt a on a.delivery_id = d.id and a.n = $1`,
			[]any{n + 1}, &failed, &due)
		if off := due.Sub(failed) - wait; off.Abs() > time.Second {
			t.Errorf("retry %d is due %s after the failure, want %s", n+1, due.Sub(failed), wait)
		}
		d.mustStop()
		d = r.start()
		r.at(due.Add(-time.Second))
		d.turnAround()
		r.receiver.none()
		r.at(due)
		got := r.receiver.next()
		if got.id != first.id || got.attempt != strconv.Itoa(n+2) || string(got.body) != string(first.body) {
			t.Errorf("retry %d: id %s attempt %s body %s; first was %s %s", n+1, got.id, got.attempt, got.body, first.id, first.body)
		}
	}
	r.until("select exists (select from walpost.delivery where attempts = 4 and state = 'failed')")
	r.at(time.Now().Add(30 * 24 * time.Hour))
	d.turnAround()
	d.mustStop()
	r.receiver.none()
}

// turnAround returns when the claimer has looked at the ledger once from now on.
func (d *running) turnAround() {
	d.t.Helper()
	for range 2 { // the first may have begun before
		turned := make(chan struct{})
		d.turned.Store(&turned)
		signal(d.wake)
		select {
		case <-turned:
		case <-time.After(testPatience):
			d.t.Fatal("the claimer doesn't turn")
		}
	}
}

func TestGoneDisablesForGoodUntilEnabled(t *testing.T) {
	t.Parallel()
	r := newRig(t, one+`
webhook "other" {
  topics = ["*"]
  url    = "{url}/other"
}
`)
	r.receiver.answers(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/hook" {
			w.WriteHeader(http.StatusGone)
		}
	})
	d := r.start()
	r.insert(tagged("1"))
	r.receiver.next()
	r.receiver.next()
	r.until("select exists (select from walpost.webhook where name = 'hook' and disabled_at is not null)")
	d.mustStop()
	d = r.start()
	for i := range 20 {
		r.insert(tagged(strconv.Itoa(i + 2)))
		if got := r.receiver.next(); got.path != "/other" {
			t.Fatalf("request to %s after the webhook was disabled", got.path)
		}
	}
	r.until("select count(*) = 21 from walpost.delivery where webhook = 'hook' and state = 'parked'")
	r.receiver.answers(nil)
	if _, err := d.ledger.Enable(t.Context(), "hook", true); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for range 21 {
		got := r.receiver.next()
		ids[got.id] = true
	}
	if len(ids) != 21 {
		t.Errorf("%d different deliveries were replayed, want 21", len(ids))
	}
	r.insert(tagged("last"))
	r.receiver.next()
	r.receiver.next()
	r.until("select count(*) = 21 from walpost.delivery where state = 'delivered'")
	d.mustStop()
	r.receiver.none()
}

func TestDeadEndpointHoldsNeitherTheSlotNorOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t, `
webhook "dead" {
  topics      = ["*"]
  url         = "{url}/dead"
  concurrency = 2
  queue       = 10
}
webhook "good" {
  topics = ["*"]
  url    = "{url}/good"
}
`)
	r.receiver.answers(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/dead" {
			r.receiver.hang(w, req)
		}
	})
	d := r.start(func(o *Options) { o.ParkAfter = 500 * time.Millisecond })
	const events = 200
	for i := range events {
		r.insert(tagged(strconv.Itoa(i)))
	}
	for good := 0; good < events; {
		if got := r.receiver.next(); got.path == "/good" {
			good++
		}
	}
	var lsn string
	r.scan("select pg_current_wal_insert_lsn()::text", nil, &lsn)
	r.until("select confirmed_flush_lsn >= $1::text::pg_lsn from pg_replication_slots where slot_name = $2", lsn, r.db.Name)
	r.until("select count(*) = $1 from walpost.delivery where webhook = 'dead' and state in ('pending', 'retrying')", events)
	d.Abort()
	d.mustStop()
}

func TestDrainRecordsWhatWaitsAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, `
webhook "hook" {
  topics      = ["*"]
  url         = "{url}/hook"
  concurrency = 1
}
`)
	release := make(chan struct{})
	r.receiver.answers(r.receiver.holding(release, nil))
	d := r.start()
	for i := range 10 {
		r.insert(tagged(strconv.Itoa(i)))
	}
	ids := map[string]int{r.receiver.next().id: 1}
	r.until("select $1::bool", true)
	d.waitFor(func(s Status) bool { return s.Queues[0].Waiting == 9 })
	d.cancel()
	r.until("select count(*) >= 9 from walpost.delivery where state = 'pending'") // and the running one after a second
	close(release)
	d.mustStop()
	r.start()
	for range 9 {
		ids[r.receiver.next().id]++
	}
	if len(ids) != 10 {
		t.Errorf("%d different deliveries, want 10: %v", len(ids), ids)
	}
	r.until("select count(*) >= 9 and bool_and(state = 'delivered') from walpost.delivery")
	r.receiver.none()
}

// A reload while the daemon drains would begin queues that nobody ends.
func TestNothingIsReloadedWhileTheDaemonEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	release := make(chan struct{})
	r.receiver.answers(r.receiver.holding(release, nil))
	d := r.start()
	r.insert(tagged("1"))
	r.receiver.next()
	d.cancel()
	r.until("select count(*) = 1 from walpost.delivery") // the hand-over, a second after the drain has begun
	r.edit(one + strings.ReplaceAll(one, "hook", "other"))
	if err := d.Reload(t.Context()); !errors.Is(err, errEnding) {
		t.Errorf("reload: %v", err)
	}
	close(release)
	d.mustStop()
}

func TestSecondSignalInterruptsWithoutCounting(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	r.receiver.answers(r.receiver.hang)
	d := r.start()
	r.insert(tagged("1"))
	id := r.receiver.next().id
	d.cancel()
	d.Abort()
	d.mustStop()
	var attempts int
	r.scan("select attempts from walpost.delivery where id = $1 and state = 'pending'", []any{id}, &attempts)
	if attempts != 0 {
		t.Errorf("an interrupted attempt counts: %d", attempts)
	}
	r.receiver.answers(nil)
	r.start()
	if got := r.receiver.next(); got.id != id || got.attempt != "1" {
		t.Errorf("after the restart: %s attempt %s, want %s attempt 1", got.id, got.attempt, id)
	}
}

// waitFor waits for a condition of the daemon's status, which changes without a signal of its own.
func (d *running) waitFor(ok func(Status) bool) {
	d.t.Helper()
	deadline := time.After(testPatience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok(d.Status()) {
		select {
		case <-tick.C:
		case <-deadline:
			d.t.Fatalf("status never is as expected: %+v", d.Status())
		}
	}
}

func TestRunFailsWithWhatToChange(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	r.db.Exec(t, "drop table public.outbox")
	d := r.make()
	select {
	case err := <-d.ended:
		if err == nil {
			t.Fatal("a missing table is no error")
		}
		d.once.Do(func() {})
	case <-time.After(testPatience):
		t.Fatal("the daemon doesn't end")
	}
}

// mustEndWithLostSlot starts a daemon that must end because its slot is lost.
func (r *rig) mustEndWithLostSlot() {
	r.t.Helper()
	d := r.make()
	select {
	case err := <-d.ended:
		d.once.Do(func() {})
		var setup *cdc.SetupError
		if !errors.Is(err, cdc.ErrSlotLost) || !errors.As(err, &setup) || setup.Fix == "" {
			r.t.Errorf("a missing slot ends with: %v", err)
		}
	case <-time.After(testPatience):
		r.t.Fatal("the daemon goes on without its slot")
	}
}

func TestRunEndsCleanlyWhenTheDatabaseNeverAnswers(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := newRig(t, one)
	cfg, _ := r.load()
	d, err := New(Options{Config: cfg})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
}
