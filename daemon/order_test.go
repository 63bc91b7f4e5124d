package daemon

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/walpost/walpost/outbox"
)

// ordered is a webhook with an order; more are its other arguments.
func ordered(more string) string {
	return `
webhook "hook" {
  topics   = ["*"]
  url      = "{url}/hook"
  order_by = event.aggregate_id
  retry    = ["1s", "1s", "1s"]
` + more + `
}
`
}

// nth is the nth event of a key.
func nth(key string, n int) outbox.Event {
	return outbox.Event{
		AggregateType: "contact", AggregateID: key, Type: "contact.tagged",
		Payload: map[string]any{"key": key, "n": n},
	}
}

// place is what a request says of its event.
type place struct {
	Key string
	N   int
}

func (p place) String() string { return p.Key + strconv.Itoa(p.N) }

func placeOf(t testing.TB, body io.Reader) (p place) {
	t.Helper()
	if err := json.NewDecoder(body).Decode(&p); err != nil {
		t.Error(err)
	}
	return p
}

// sequence is what an endpoint saw: it answers each request by a function, and checks that no event of a key arrives before
// the one before it was accepted.
type sequence struct {
	t        testing.TB
	mu       sync.Mutex
	accepted map[string]int
	seen     []string
	broken   bool
	first    int // number of the first event of each key
	changed  chan struct{}
}

func newSequence(t testing.TB) *sequence {
	return &sequence{t: t, accepted: map[string]int{}, changed: make(chan struct{}, 1)}
}

func (s *sequence) handler(status func(p place, accepted bool) int) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		p := placeOf(s.t, req.Body)
		s.mu.Lock()
		next, known := s.accepted[p.Key]
		if !known {
			next = s.first
		}
		code := status(p, p.N < next)
		if p.N > next && !s.broken { // what follows from the first violation says nothing
			s.broken = true
			s.t.Errorf("%s arrived before %s%d was accepted, after %v", p, p.Key, next, s.seen[max(0, len(s.seen)-40):])
		}
		s.seen = append(s.seen, fmt.Sprintf("%s:%d", p, code))
		if code == http.StatusOK && p.N == next {
			s.accepted[p.Key] = next + 1
		}
		s.mu.Unlock()
		signal(s.changed)
		w.WriteHeader(code)
	}
}

// await waits until n events of each key are accepted.
func (s *sequence) await(keys []string, n int) {
	s.t.Helper()
	deadline := time.After(testPatience)
	for {
		s.mu.Lock()
		done := !slices.ContainsFunc(keys, func(key string) bool { return s.accepted[key] < n })
		s.mu.Unlock()
		if done {
			return
		}
		select {
		case <-s.changed:
		case <-deadline:
			s.mu.Lock()
			defer s.mu.Unlock()
			s.t.Fatalf("accepted are only %v of %d", s.accepted, n)
		}
	}
}

func ok(place, bool) int { return http.StatusOK }

func TestAFailingDeliveryHoldsItsKeyOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t, ordered(""))
	s := newSequence(t)
	mended := make(chan struct{})
	r.receiver.answers(s.handler(func(p place, _ bool) int {
		if p.Key == "a" && p.N == 1 {
			select {
			case <-mended:
			default:
				return http.StatusInternalServerError
			}
		}
		return http.StatusOK
	}))
	d := r.start()
	for n := range 4 {
		r.insert(nth("a", n), nth("b", n))
	}
	s.await([]string{"b"}, 4)
	r.until("select count(*) filter (where held) = 2 and count(*) filter (where attempts > 0) = 1 from walpost.delivery")
	r.insert(nth("a", 4), nth("b", 4), nth("a", 5), nth("b", 5))
	s.await([]string{"b"}, 6)
	close(mended)
	s.await([]string{"a"}, 6)
	r.until("select count(*) = 5 from walpost.delivery where state = 'delivered'")
	r.insert(nth("a", 6), nth("a", 7))
	s.await([]string{"a"}, 8)
	d.mustStop()
	r.receiver.answers(nil)
	if n := r.count("walpost.delivery where state <> 'delivered'"); n != 0 {
		t.Errorf("%d deliveries are left", n)
	}
}

// A key goes on when its first delivery has failed for good, and no later event costs a write once nothing is owed.
func TestAFailedDeliveryLetsItsKeyGoOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, ordered("  permanent = [400]"))
	r.receiver.answers(func(w http.ResponseWriter, req *http.Request) {
		if placeOf(t, req.Body).N == 0 {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	d := r.start()
	r.insert(nth("a", 0), nth("a", 1), nth("a", 2))
	for n := range 3 {
		if p := r.receiver.next().place(t); p.N != n {
			t.Errorf("event %d is %s", n, p)
		}
	}
	d.mustStop()
	if all, failed := r.count("walpost.delivery"), r.count("walpost.delivery where state = 'failed'"); all != 1 || failed != 1 {
		t.Errorf("%d deliveries are recorded, %d failed ones, want one", all, failed)
	}
}

func (r request) place(t testing.TB) (p place) {
	t.Helper()
	if err := json.Unmarshal(r.body, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// Events come while the endpoint fails at random, queues overflow into the ledger, what waits grows late, the daemon is
// reloaded, restarted and joined by another one: no event of a key arrives before the one before it was accepted.
func TestOrderHoldsThroughEverything(t *testing.T) {
	t.Parallel()
	const rounds, each = 3, 20
	keys := []string{"a", "b", "c", "d", "e", "f"}
	small := ordered("  queue = 4\n  concurrency = 3")
	r := newRig(t, small)
	s := newSequence(t)
	random := rand.New(rand.NewPCG(2, 3)) //nolint:gosec // no secret
	failures := map[place]int{}
	r.receiver.answers(s.handler(func(p place, _ bool) int {
		if failures[p] < 2 && random.IntN(8) == 0 {
			failures[p]++
			return http.StatusInternalServerError
		}
		return http.StatusOK
	}))
	impatient := func(o *Options) { o.ParkAfter = 500 * time.Millisecond }
	d := r.start(impatient)
	other := r.make(impatient)
	n := 0
	for round := range rounds {
		for range each {
			for _, key := range keys {
				r.insert(nth(key, n))
			}
			n++
			if n%7 == 0 {
				if err := r.reloadWith(t.Context(), d, ordered(fmt.Sprintf("  queue = %d", 3+n%5))); err != nil {
					t.Fatal(err)
				}
			}
		}
		if round == rounds-1 {
			break
		}
		d.mustStop()
		select {
		case <-other.Ready():
		case <-time.After(testPatience):
			t.Fatal("the other daemon doesn't take over")
		}
		d, other = other, r.make(impatient)
	}
	s.await(keys, n)
	r.until("select count(*) = 0 from walpost.delivery where state not in ('delivered')")
	for _, key := range keys { // and they are free again
		r.insert(nth(key, n))
	}
	s.await(keys, n+1)
}

func TestGoneAndReplayKeepOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t, ordered(""))
	s := newSequence(t)
	r.receiver.answers(s.handler(func(p place, _ bool) int {
		if p.N == 1 {
			return http.StatusGone
		}
		return http.StatusOK
	}))
	d := r.start()
	for n := range 3 {
		r.insert(nth("a", n))
	}
	r.until("select count(*) = 1 from walpost.webhook where disabled_at is not null")
	r.insert(nth("a", 3), nth("b", 0))
	r.until("select count(*) = 4 from walpost.delivery where state = 'parked'")
	r.receiver.answers(s.handler(ok))
	if _, err := d.ledger.Enable(t.Context(), "hook", true); err != nil {
		t.Fatal(err)
	}
	r.insert(nth("a", 4))
	s.await([]string{"a"}, 5)
	s.await([]string{"b"}, 1)
	r.until("select count(*) = 0 from walpost.delivery where state <> 'delivered'")
}

// A batch has several events of a key, in commit order. What its answer refuses holds its key only.
func TestOrderInBatches(t *testing.T) {
	t.Parallel()
	r := newRig(t, `
webhook "hook" {
  topics   = ["*"]
  url      = "{url}/hook"
  order_by = event.aggregate_id
  retry    = ["1s"]
  body     = [for e in events : "${e.data.key}${e.data.n}"]
  batch {
    max    = 4
    wait   = "100ms"
    failed = response.json.failed
  }
}
`)
	var mu sync.Mutex
	var requests [][]string
	refuse := map[string]string{}
	changed := make(chan struct{}, 1)
	r.receiver.answers(func(w http.ResponseWriter, req *http.Request) {
		var events []string
		if err := json.NewDecoder(req.Body).Decode(&events); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		requests = append(requests, events)
		failed := []string{}
		for _, e := range events {
			if id, ok := refuse[e]; ok {
				failed = append(failed, id)
				delete(refuse, e)
			}
		}
		signal(changed)
		w.WriteHeader(http.StatusMultiStatus)
		if err := json.NewEncoder(w).Encode(map[string]any{"failed": failed}); err != nil {
			t.Error(err)
		}
	})
	refused := nth("a", 2)
	refused.ID = eventID(1)
	refuse["a2"] = refused.ID
	r.start()
	r.insert(nth("a", 0), nth("b", 0), nth("a", 1), refused, nth("a", 3), nth("b", 1), nth("a", 4), nth("b", 2))
	deadline := time.After(testPatience)
	for {
		mu.Lock()
		all := slices.Concat(requests...)
		done := slices.Contains(all, "a4") && slices.Contains(all, "b2")
		mu.Unlock()
		if done {
			break
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("requests: %v", requests)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	var as, bs []string
	for _, e := range slices.Concat(requests...) {
		if e[0] == 'a' {
			as = append(as, e)
		} else {
			bs = append(bs, e)
		}
	}
	if fmt.Sprint(as) != "[a0 a1 a2 a2 a3 a4]" || fmt.Sprint(bs) != "[b0 b1 b2]" {
		t.Errorf("requests: %v", requests)
	}
	if len(requests[0]) != 4 {
		t.Errorf("the first request is %v, want a full one", requests[0])
	}
}

// An event of a key that waits in the ledger goes there too after a restart, before anything is known of the key.
func TestOrderHoldsAfterARestart(t *testing.T) {
	t.Parallel()
	r := newRig(t, ordered(""))
	s := newSequence(t)
	r.receiver.answers(s.handler(func(p place, _ bool) int {
		if p.N == 0 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	}))
	d := r.start()
	r.insert(nth("a", 0), nth("a", 1))
	r.until("select count(*) = 2 from walpost.delivery where attempts = 1 or held")
	d.mustStop()
	r.insert(nth("a", 2))
	r.receiver.answers(s.handler(ok))
	r.start()
	s.await([]string{"a"}, 3)
}
