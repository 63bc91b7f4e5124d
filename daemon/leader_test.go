package daemon

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/outbox"
)

// named gives a daemon a name, by which its requests and its role are told.
func named(name string) func(*Options) {
	return func(o *Options) {
		o.Name, o.Version = name, name
		o.Logger = o.Logger.With().Str("daemon", name).Logger()
	}
}

// sender is the name of the daemon that a request came from.
func (r request) sender() string {
	return strings.TrimPrefix(r.header.Get("User-Agent"), "walpost/")
}

// standBy starts a daemon beside a leader, and returns when it stands by.
func (r *rig) standBy(change ...func(*Options)) *running {
	r.t.Helper()
	d := r.make(change...)
	d.waitFor(func(s Status) bool { return s.Lead.Role == Standby })
	return d
}

// awaitReady waits until the daemon streams.
func (d *running) awaitReady() {
	d.t.Helper()
	select {
	case <-d.Ready():
	case <-time.After(testPatience):
		d.t.Fatalf("the daemon doesn't lead: %+v", d.Status().Lead)
	}
}

// A session that breaks as soon as it is there is not asked for again without a pause.
func TestSessionsThatBreakAtOnceAreSpaced(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	d, err := New(Options{Config: r.config(), Lease: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	joined := make(chan time.Time, 3)
	l := newLeadership(d.pipeline, time.Minute, func(ctx context.Context) (*ledger.Member, error) {
		member, err := d.join(ctx)
		if err == nil {
			member.Leave()
			joined <- time.Now()
		}
		return member, err
	})
	ended := make(chan error, 1)
	go func() { ended <- l.run(ctx) }()
	first, second := <-joined, <-joined
	if pause := second.Sub(first); pause < rejoinPause {
		t.Errorf("joined again after %s", pause)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A machine that has slept for longer than the lease is in doubt who leads, though the monotonic clock says nothing of it;
// and so is one whose clock was put back, until the next beat.
func TestSleepMakesTheLeadDoubtful(t *testing.T) {
	t.Parallel()
	for name, jump := range map[string]time.Duration{"asleep": time.Hour, "clock put back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLeadership(&pipeline{working: t.Context()}, 10*time.Second, nil)
				l.beganAt = l.beganAt.Add(-2 * time.Hour) // so that this clock counts
				l.settle(l.elapsed())
				if !l.goesOn(&term{}) {
					t.Error("in doubt at once")
				}
				l.beganAt = l.beganAt.Add(-jump)
				goesOn := make(chan bool, 1)
				go func() { goesOn <- l.goesOn(&term{}) }()
				synctest.Wait()
				select {
				case <-goesOn:
					t.Error("not in doubt")
				default:
				}
				l.settle(l.elapsed())
				if !<-goesOn {
					t.Error("does not go on")
				}
			})
		})
	}
}

// want takes n requests, each of another contact, in any order.
func (r *receiver) want(contacts ...string) []request {
	r.t.Helper()
	var all []request
	missing := map[string]bool{}
	for _, c := range contacts {
		missing[c] = true
	}
	for range contacts {
		got := r.next()
		contact, _ := got.json(r.t)["contact"].(map[string]any)
		if id := fmt.Sprint(contact["id"]); !missing[id] {
			r.t.Errorf("contact %s arrived unexpectedly, of %v", id, contacts)
		} else {
			delete(missing, id)
		}
		all = append(all, got)
	}
	return all
}

func TestStandbyTakesOver(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	leader := r.start(named("a"))
	standby := r.standBy(named("b"))
	if s := standby.Status().Lead; s.Leader != "a" || s.Epoch != 0 {
		t.Errorf("the standby says %+v", s)
	}
	if s := leader.Status().Lead; s.Role != Leader || s.Epoch != 1 {
		t.Errorf("the leader says %+v", s)
	}
	r.insert(tagged("1"))
	if got := r.receiver.want("1")[0]; got.sender() != "a" {
		t.Errorf("%s delivered", got.sender())
	}
	leader.mustStop()
	standby.awaitReady()
	if s := standby.Status().Lead; s.Role != Leader || s.Epoch != 2 || s.Leader != "" {
		t.Errorf("the new leader says %+v", s)
	}
	r.insert(tagged("2"))
	if got := r.receiver.want("2")[0]; got.sender() != "b" {
		t.Errorf("%s delivered", got.sender())
	}
	standby.mustStop()
	r.receiver.none()
	var events, delivered int
	r.scan("select (counters->>'events')::int, (counters->>'delivered')::int from walpost.checkpoint", nil, &events, &delivered)
	if events != 2 || delivered != 2 {
		t.Errorf("the counters of both have %d events and %d delivered", events, delivered)
	}
}

// A leader hands over at the first signal, not when its slowest attempt has ended; and that one's outcome counts.
func TestHandOverDoesNotWaitForAttempts(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	release := make(chan struct{})
	r.receiver.answers(r.receiver.holding(release, nil))
	leader := r.start(named("a"))
	standby := r.standBy(named("b"))
	r.insert(tagged("1"))
	r.receiver.want("1")
	leader.cancel()
	standby.awaitReady() // while the attempt runs
	r.receiver.answers(nil)
	r.insert(tagged("2"))
	if got := r.receiver.want("2")[0]; got.sender() != "b" {
		t.Errorf("%s delivered", got.sender())
	}
	select {
	case err := <-leader.ended:
		t.Fatalf("the leader has ended before its attempt: %v", err)
	default:
	}
	close(release)
	leader.mustStop()
	r.until("select count(*) = 1 and bool_and(state = 'delivered') from walpost.delivery")
	r.receiver.none()
}

// A leader whose connections stand still loses the lead when its lease is over. What it was doing is done again with the
// same ids, and nothing that it says afterwards counts.
func TestFrozenLeaderIsFenced(t *testing.T) {
	t.Parallel()
	r := newRig(t, `
webhook "hook" {
  topics      = ["*"]
  url         = "{url}/hook"
  concurrency = 2
  retry       = ["1h"]
}
`)
	lease := func(o *Options) { o.Lease = 2 * time.Second }
	network, change := r.through()
	leader := r.start(named("a"), lease, change)
	standby := r.standBy(named("b"), lease)
	release := make(chan struct{})
	r.receiver.answers(r.receiver.holding(release, status(http.StatusInternalServerError)))
	r.insert(tagged("1"), tagged("2"), tagged("3"), tagged("4"))
	first := []request{r.receiver.next(), r.receiver.next()}
	leader.waitFor(func(s Status) bool { return s.Queues[0].Waiting == 2 && s.Queues[0].Running == 2 })

	thaw := network.freeze()
	defer thaw()
	standby.awaitReady()
	r.receiver.answers(nil)
	again := r.receiver.want("1", "2", "3", "4")
	for _, got := range again {
		if got.sender() != "b" || got.attempt != "1" {
			t.Errorf("attempt %s of %s after the takeover", got.attempt, got.sender())
		}
	}
	ids := map[string]bool{}
	for _, got := range again {
		ids[got.id] = true
	}
	for _, got := range first {
		if !ids[got.id] {
			t.Errorf("%s was not repeated with its id", got.id)
		}
	}
	close(release) // its attempts fail: it owes retries, as far as it knows. It goes on with what it has, cut off as it is
	leader.waitFor(func(s Status) bool { return s.Counters.Retried == 2 })
	for range 2 {
		if got := r.receiver.next(); got.sender() != "a" || !ids[got.id] {
			t.Errorf("%s sent %s", got.sender(), got.id)
		}
	}
	thaw()
	leader.waitFor(func(s Status) bool { return s.Lead.Role == Standby && s.Lead.Leader == "b" && s.MemoryBytes == 0 })
	if n := r.count("walpost.delivery"); n != 0 {
		t.Errorf("%d false debts", n)
	}
	r.receiver.none()

	standby.mustStop()
	leader.waitFor(func(s Status) bool { return s.Lead.Epoch == 3 })
	r.insert(tagged("5"))
	if got := r.receiver.want("5")[0]; got.sender() != "a" {
		t.Errorf("%s delivered", got.sender())
	}
	leader.mustStop()
	r.receiver.none()
	r.until("select counters->>'events' = '9' from walpost.checkpoint") // four of them twice
}

// All daemons work off what is due, and nothing is sent twice.
func TestDueDeliveriesAreShared(t *testing.T) {
	t.Parallel()
	const events, concurrency = 200, 4
	r := newRig(t, fmt.Sprintf(`
webhook "hook" {
  topics      = ["*"]
  url         = "{url}/hook"
  concurrency = %d
  retry       = ["1h"]
}
`, concurrency))
	r.receiver.answers(status(http.StatusInternalServerError))
	quick := func(o *Options) { o.ClaimEvery = 20 * time.Millisecond }
	r.start(named("a"), quick)
	r.standBy(named("b"), quick)
	var all []outbox.Event
	for n := range events {
		all = append(all, tagged(fmt.Sprint(n)))
	}
	r.insert(all...)
	r.until("select count(*) = $1 from walpost.delivery where state = 'retrying'", events)
	for range events {
		r.receiver.next()
	}
	both := make(chan struct{})
	r.receiver.answers(r.receiver.holding(both, nil))
	r.db.Exec(t, "update walpost.delivery set due_at = walpost.now()")
	senders, ids := map[string]int{}, map[string]int{}
	take := func() {
		got := r.receiver.next()
		senders[got.sender()]++
		ids[got.id]++
	}
	for range 2 * concurrency { // each holds as many as it may
		take()
	}
	if senders["a"] != concurrency || senders["b"] != concurrency {
		t.Errorf("running attempts: %v, want %d of each", senders, concurrency)
	}
	close(both)
	for range events - 2*concurrency {
		take()
	}
	r.until("select count(*) = $1 from walpost.delivery where state = 'delivered'", events)
	r.receiver.none()
	t.Logf("%d deliveries due, by daemon: %v, duplicates %d", events, senders, events-len(ids))
	if len(ids) != events {
		t.Errorf("%d different deliveries, want %d", len(ids), events)
	}
}

// A standby that hears 410 disables the webhook for all.
func TestStandbyDisablesForAll(t *testing.T) {
	t.Parallel()
	r := newRig(t, `
webhook "hook" {
  topics = ["*"]
  url    = "{url}/hook"
  retry  = ["1h"]
}
`)
	r.receiver.answers(status(http.StatusInternalServerError))
	leader := r.start(named("a"), func(o *Options) { o.ClaimEvery = time.Hour })
	r.standBy(named("b"), func(o *Options) { o.ClaimEvery = 20 * time.Millisecond })
	r.insert(tagged("1"))
	r.receiver.want("1")
	r.until("select count(*) = 1 from walpost.delivery where state = 'retrying'")
	r.receiver.answers(status(http.StatusGone))
	r.db.Exec(t, "update walpost.delivery set due_at = walpost.now()")
	if got := r.receiver.want("1")[0]; got.sender() != "b" {
		t.Errorf("%s made the retry", got.sender())
	}
	leader.waitFor(func(s Status) bool { return s.Queues[0].Disabled })
	r.insert(tagged("2"))
	r.until("select count(*) = 2 from walpost.delivery where state = 'parked'")
	r.receiver.none()
}

// Somebody who takes the epoch without the lock, as a restored ledger may look, ends the term: nothing is recorded in it
// any more, and the next one sends again what was not resolved.
func TestEpochThatIsTakenEndsTheTerm(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	r.receiver.answers(status(http.StatusInternalServerError))
	d := r.start(named("a"))
	r.db.Exec(t, "update walpost.checkpoint set epoch = 41")
	r.insert(tagged("1"))
	first, second := r.receiver.want("1")[0], r.receiver.want("1")[0]
	if first.id != second.id || second.attempt != "1" {
		t.Errorf("%s attempt %s came after %s", second.id, second.attempt, first.id)
	}
	d.waitFor(func(s Status) bool { return s.Lead.Role == Leader && s.Lead.Epoch == 42 })
	r.until("select count(*) = 1 and bool_and(state = 'retrying' and attempts = 1) from walpost.delivery")
	d.mustStop()
	r.receiver.none()
}
