package daemon

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/sender"
)

// answer is an attempt of that status that started some time ago; 0: there was no answer.
func answer(status int, ago time.Duration) *sender.Outcome {
	o := &sender.Outcome{Verdict: sender.Retry, Class: sender.ClassStatus, Status: status, SentAt: time.Now().Add(-ago)}
	switch {
	case status == 0:
		o.Class = sender.ClassTimeout
	case status < 300:
		o.Verdict, o.Class = sender.Delivered, sender.ClassOK
	}
	return o
}

func TestHealth(t *testing.T) {
	t.Parallel()
	for o, want := range map[*sender.Outcome]vitality{
		answer(200, 0):                           answered,
		answer(400, 0):                           answered,
		answer(429, 0):                           answered,
		answer(500, 0):                           dead,
		answer(503, 0):                           dead,
		answer(0, 0):                             dead,
		{Verdict: sender.Delivered, Status: 500}: answered, // `success` has it
		{Verdict: sender.Rejected, Status: 500}:  answered, // `permanent` has it
		{Verdict: sender.Gone, Status: 410}:      answered,
		{Verdict: sender.Rejected, Class: sender.ClassEgress}:                unknown,
		{Verdict: sender.Interrupted, Class: sender.ClassInterrupted}:        unknown,
		{Verdict: sender.Retry, Class: sender.ClassRefused}:                  dead,
		{Verdict: sender.Retry, Class: sender.ClassAuth}:                     dead,
		{Verdict: sender.Retry, Class: sender.ClassStatus, Status: 302}:      answered,
		{Verdict: sender.Retry, Class: sender.ClassStatus, Status: 200}:      answered, // `success_when` was false
		{Verdict: sender.Rejected, Class: sender.ClassStatus, Status: 422}:   answered,
		{Verdict: sender.Rejected, Class: sender.ClassInvalidURL, Status: 0}: unknown,
	} {
		if got := health(o); got != want {
			t.Errorf("%s %s %d: %d, want %d", o.Verdict, o.Class, o.Status, got, want)
		}
	}
}

func TestBreakerOpensOnlyForADeadEndpoint(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		attempts int
		outcome  func(i int) *sender.Outcome
		delivery func(i int) string
		opens    bool
	}{
		"many fail":              {attempts: 10, outcome: func(int) *sender.Outcome { return answer(500, 0) }, opens: true},
		"nobody answers":         {attempts: 10, outcome: func(int) *sender.Outcome { return answer(0, 10*time.Second) }, opens: true},
		"not enough":             {attempts: 9, outcome: func(int) *sender.Outcome { return answer(500, 0) }},
		"it refuses the events":  {attempts: 100, outcome: func(int) *sender.Outcome { return answer(422, 0) }},
		"it asks for less":       {attempts: 100, outcome: func(int) *sender.Outcome { return answer(429, 0) }},
		"one in ten is answered": {attempts: 100, outcome: func(i int) *sender.Outcome { return answer(200+300*min(1, i%10), 0) }},
		"one event is bad": {
			attempts: 100, outcome: func(int) *sender.Outcome { return answer(500, 0) }, delivery: func(int) string { return "bad" },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker()
				opened := false
				for i := range tc.attempts {
					id := fmt.Sprint(i)
					if tc.delivery != nil {
						id = tc.delivery(i)
					}
					opened = b.ended(id, tc.outcome(i), 8, time.Now()) == tripped || opened
					time.Sleep(time.Second)
				}
				if opened != tc.opens || b.open != tc.opens {
					t.Errorf("opened %v, is open %v, want %v", opened, b.open, tc.opens)
				}
			})
		})
	}
}

func TestBreakerDoesNotOpenForAMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		for i := range 1000 { // of a restart
			if b.ended(fmt.Sprint(i), answer(502, 0), 8, time.Now()) != unchanged {
				t.Fatalf("open after %d failures in %d ms", i+1, i*4)
			}
			time.Sleep(4 * time.Millisecond)
		}
		time.Sleep(breakerTime)
		if b.ended("last", answer(502, 0), 8, time.Now()) != tripped {
			t.Error("not open")
		}
	})
}

// An open breaker probes after 30 s, and then ever less often, but each five minutes at least; it closes with the first answer,
// lets the backlog through by and by, and opens again at once if the endpoint was not up to that.
func TestBreakerProbesAndRampsUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker()
		trip := func(failures int) {
			t.Helper()
			for i := range failures {
				b.ended(fmt.Sprint(i), answer(500, breakerTime), 8, time.Now())
			}
			if !b.open {
				t.Fatal("not open")
			}
		}
		probes := func(want ...time.Duration) {
			t.Helper()
			for _, wait := range want {
				before := time.Now()
				if b.admits(0, before) {
					t.Fatal("admits before the probe")
				}
				for !b.admits(0, time.Now()) {
					time.Sleep(100 * time.Millisecond)
				}
				if waited := time.Since(before); waited < wait*8/10 || waited > wait+time.Second {
					t.Errorf("probe after %s, want %s", waited, wait)
				}
				if b.admits(1, time.Now()) {
					t.Error("admits an attempt beside the probe")
				}
				if b.ended("probe", answer(0, 0), 8, time.Now()) != unchanged {
					t.Error("a failed probe changes something")
				}
			}
		}
		trip(10)
		probes(30*time.Second, time.Minute, 2*time.Minute, 4*time.Minute, 5*time.Minute, 5*time.Minute)
		if c := b.ended("probe", answer(200, 0), 8, time.Now()); c != closed || !b.admits(5, time.Now()) {
			t.Errorf("after the answer: %v, open %v", c, b.open)
		}
		if n := b.bound(8); n != 1 {
			t.Errorf("%d slots after the probe", n)
		}
		trip(3)
		probes(5 * time.Minute)
		b.ended("probe", answer(404, 0), 8, time.Now())
		for i := range 8 {
			if n := b.bound(8); n != i+1 {
				t.Errorf("%d slots after %d answers", n, i)
			}
			b.ended(fmt.Sprint(i), answer(200, 0), 8, time.Now())
		}
		if b.ramp != 0 || b.bound(100) != 100 {
			t.Errorf("still ramping: %d", b.ramp)
		}
		trip(10)
		probes(30 * time.Second)
	})
}

// broken is a webhook with a breaker; more are its other arguments.
func broken(more string) string {
	return `
webhook "hook" {
  topics  = ["*"]
  url     = "{url}/hook"
  breaker = true
` + more + `
}
`
}

// dies has the breaker open: ten deliveries failed, over some seconds.
func (r *rig) dies(d *running) {
	r.t.Helper()
	r.receiver.answers(status(http.StatusBadGateway))
	r.insertEach(1, 10)
	for range 10 {
		r.receiver.next()
	}
	r.until("select count(*) = 10 from walpost.delivery where state = 'retrying' and attempts = 1")
	r.until("select min(created_at) < walpost.now() - interval '5 seconds' from walpost.delivery")
	r.insertEach(11, 11)
	r.receiver.next()
	d.waitFor(func(s Status) bool { return s.Queues[0].Breaker == "open" })
	d.turnAround()
	r.says(ledger.OpenBreaker{Webhook: "hook", Why: "status 502"})
}

// says checks which breakers the ledger says are open, of daemons that run.
func (r *rig) says(want ...ledger.OpenBreaker) {
	r.t.Helper()
	book, err := ledger.Open(r.t.Context(), ledger.Options{ConnString: r.db.URL})
	if err != nil {
		r.t.Fatal(err)
	}
	defer book.Close()
	s, err := book.Status(r.t.Context(), r.db.Name)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range s.Breakers {
		if since := s.Now.Sub(s.Breakers[i].Since); since < 0 || since > testPatience || s.Breakers[i].Daemon == "" {
			r.t.Errorf("open since %s, says daemon %q", since, s.Breakers[i].Daemon)
		}
		s.Breakers[i].Since, s.Breakers[i].Daemon = time.Time{}, ""
	}
	if !slices.Equal(s.Breakers, want) {
		r.t.Errorf("the ledger says %+v, want %+v", s.Breakers, want)
	}
}

func TestBreakerSparesTheSchedule(t *testing.T) {
	t.Parallel()
	r := newRig(t, broken(""))
	d := r.start()
	r.dies(d)
	r.insertEach(12, 50) // while it is open
	r.until("select count(*) = 39 from walpost.delivery where state = 'pending' and attempts = 0 and due_at <= walpost.now()")
	r.due()
	d.turnAround()
	r.receiver.none() // neither the new ones nor the due retries
	// A reload may be what mends the endpoint: it probes at once. A probe that fails counts for nobody.
	for range 5 {
		if err := d.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.receiver.next()
		d.waitFor(func(s Status) bool { return s.Queues[0].Running == 0 })
	}
	r.until("select count(*) = 5 from walpost.delivery where last_verdict = 'interrupted'") // each probe takes another one
	if n := r.count("walpost.delivery where attempts > 1 or state not in ('pending', 'retrying')"); n != 0 {
		t.Errorf("%d have more attempts than before", n)
	}
	r.receiver.answers(nil)
	if err := d.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.until("select count(*) = 50 from walpost.delivery where state = 'delivered'")
	if n := r.count("walpost.delivery where attempts = 1"); n != 39 {
		t.Errorf("%d were delivered at their first attempt, want 39", n)
	}
	d.waitFor(func(s Status) bool { return s.Queues[0].Breaker == "closed" })
	d.turnAround()
	r.says()
	d.mustStop()
}

// With an order, what waits of a key stays in it while the breaker is open, whatever probes in the meantime, over a restart, after
// which the breaker is closed again, and through the drain.
func TestBreakerKeepsTheOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t, broken("	order_by = event.payload.key"))
	d := r.start()
	r.dies(d) // by deliveries without a key
	for i := range 30 {
		e := numbered(12+i, 12+i)[0]
		e.Payload = map[string]any{"key": fmt.Sprint(i % 3), "n": i}
		r.insert(e)
	}
	r.until("select count(*) = 41 from walpost.delivery where state in ('pending', 'retrying')")
	for len(r.receiver.got) > 0 {
		r.receiver.next()
	}
	d.mustStop()
	r.says() // of a daemon that is gone, nothing
	r.receiver.answers(nil)
	d = r.start()
	r.due()
	want := map[string]float64{"0": 0, "1": 1, "2": 2}
	seen := map[string]bool{}
	for len(seen) < 41 {
		got := r.receiver.next()
		if seen[got.id] {
			t.Errorf("%s arrived twice", got.id)
		}
		seen[got.id] = true
		body := got.json(t)
		key, ordered := body["key"].(string)
		n, _ := body["n"].(float64)
		if ordered && n != want[key] {
			t.Errorf("%v arrives, and not %v, of key %s", n, want[key], key)
		}
		want[key] = n + 3
	}
	r.until("select count(*) = 41 from walpost.delivery where state = 'delivered'")
	if n := r.count("walpost.delivery where attempts = 1 and state = 'delivered'"); n != 30 {
		t.Errorf("%d were delivered at their first attempt, want 30: an open breaker costs none", n)
	}
	d.mustStop()
}

// Another URL is another endpoint.
func TestBreakerDoesNotOutliveTheURL(t *testing.T) {
	t.Parallel()
	r := newRig(t, broken(""))
	d := r.start()
	r.dies(d)
	for len(r.receiver.got) > 0 {
		r.receiver.next()
	}
	r.receiver.answers(status(http.StatusBadGateway))
	if err := r.reloadWith(t.Context(), d, strings.Replace(broken(""), "/hook", "/moved", 1)); err != nil {
		t.Fatal(err)
	}
	d.waitFor(func(s Status) bool { return s.Queues[0].Breaker == "closed" })
	r.insertEach(20, 22)
	for range 3 {
		if got := r.receiver.next(); got.path != "/moved" {
			t.Errorf("sent to %s", got.path)
		}
	}
	r.until("select count(*) = 3 from walpost.delivery where state = 'retrying' and attempts = 1 and last_status = 502 and event_id >= $1", eventID(20))
	d.mustStop()
}

// Without a breaker, which is the default, the schedule is the guide's however dead the endpoint is.
func TestWithoutBreakerEachDeliveryIsAttempted(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	r.receiver.answers(status(http.StatusBadGateway))
	d := r.start()
	r.insertEach(1, 60)
	r.until("select count(*) = 60 from walpost.delivery where state = 'retrying' and attempts = 1")
	d.mustStop()
}
