package daemon

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/sender"
)

// endpoint is a simulated one, for a bubble: so many slots, before which requests queue, or beyond which they are refused.
type endpoint struct {
	slots   chan struct{}
	takes   func() time.Duration
	refuses bool // what finds no slot
	// serve takes the place of the slots: it takes the time that an answer takes, and gives its status.
	serve func() (status int, retryAfter time.Duration)

	mu       sync.Mutex
	inFlight int
	answered int
	refused  int
	area     float64 // of inFlight over time, in requests × seconds
	changed  time.Time
}

func newSimulated(slots int, takes func() time.Duration) *endpoint {
	return &endpoint{slots: make(chan struct{}, slots), takes: takes, changed: time.Now()}
}

func (e *endpoint) count(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	e.area += float64(e.inFlight) * now.Sub(e.changed).Seconds()
	e.changed = now
	e.inFlight += n
}

func (e *endpoint) request() sender.Outcome {
	sent := time.Now()
	e.count(1)
	defer e.count(-1)
	o := sender.Outcome{SentAt: sent, Verdict: sender.Delivered, Class: sender.ClassOK, Status: http.StatusOK}
	e.mu.Lock()
	slots, takes, refuses := e.slots, e.takes, e.refuses
	e.mu.Unlock()
	if e.serve != nil {
		return e.served(sent)
	}
	if refuses {
		select {
		case slots <- struct{}{}:
		default:
			time.Sleep(time.Millisecond)
			e.mu.Lock()
			e.refused++
			e.mu.Unlock()
			return sender.Outcome{SentAt: sent, Verdict: sender.Retry, Class: sender.ClassStatus, Status: http.StatusTooManyRequests}
		}
	} else {
		slots <- struct{}{}
	}
	time.Sleep(takes())
	<-slots
	e.mu.Lock()
	e.answered++
	e.mu.Unlock()
	o.Wait = time.Since(sent)
	o.Duration = o.Wait
	return o
}

func (e *endpoint) served(sent time.Time) sender.Outcome {
	o := sender.Outcome{SentAt: sent, Verdict: sender.Delivered, Class: sender.ClassOK}
	o.Status, o.RetryAfter = e.serve()
	o.Wait = time.Since(sent)
	o.Duration = o.Wait
	e.mu.Lock()
	defer e.mu.Unlock()
	if o.Status != http.StatusOK {
		o.Verdict, o.Class = sender.Retry, sender.ClassStatus
		e.refused++
	} else {
		e.answered++
	}
	return o
}

// figures are taken over a part of a simulation.
type figures struct {
	rate     float64 // answered in a second
	inFlight float64 // on average
	refused  int
}

// load sends to the endpoint through a queue that always has something to send, and gives the figures of each phase; between
// phases the endpoint may be changed.
func load(e *endpoint, w config.Webhook, phases ...phase) []figures {
	q := bench(&w, nil)
	q.attempt = func(q *queue, work work) {
		m := work.mark
		o := e.request()
		q.learn(m, work.first.ID, &o, time.Now())
		q.push(fresh(0), time.Now(), enough)
	}
	for i := range w.Concurrency + 10 {
		q.push(fresh(i), time.Now(), enough)
	}
	var all []figures
	for _, p := range phases {
		if p.change != nil {
			p.change(e)
		}
		time.Sleep(p.settle)
		e.count(0)
		e.mu.Lock()
		answered, refused, area := e.answered, e.refused, e.area
		e.mu.Unlock()
		time.Sleep(p.measure)
		e.count(0)
		e.mu.Lock()
		all = append(all, figures{
			rate:     float64(e.answered-answered) / p.measure.Seconds(),
			inFlight: (e.area - area) / p.measure.Seconds(), refused: e.refused - refused,
		})
		e.mu.Unlock()
	}
	q.shut(gateStopped)
	q.workers.Wait()
	return all
}

// phase is a time in which a simulation settles, and one in which it is measured.
type phase struct {
	settle, measure time.Duration
	change          func(*endpoint)
}

func constant(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

// varying takes the given time on average, exponentially distributed, as from a seed that doesn't change.
func varying(d time.Duration) func() time.Duration {
	source := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	return func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(source.ExpFloat64() * float64(d))
	}
}

// sometimes takes long, one time of ten.
func sometimes(usually, long time.Duration) func() time.Duration {
	source := rand.New(rand.NewPCG(3, 4))
	var mu sync.Mutex
	return func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		if source.IntN(10) == 0 {
			return long
		}
		return usually
	}
}

func TestAdaptiveFindsTheBestConcurrency(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		slots    int
		takes    func() time.Duration
		mean     time.Duration
		most     float64 // in flight, as a multiple of the slots
		refuses  bool
		duration time.Duration
	}{
		{name: "1 ms, 4 slots", slots: 4, takes: constant(time.Millisecond), mean: time.Millisecond, most: 3, duration: 2 * time.Second},
		{name: "1 ms, 32 slots", slots: 32, takes: constant(time.Millisecond), mean: time.Millisecond, most: 1.7, duration: time.Second},
		{name: "200 ms, 4 slots", slots: 4, takes: constant(200 * time.Millisecond), mean: 200 * time.Millisecond, most: 2.5, duration: 60 * time.Second},
		{name: "200 ms, 100 slots", slots: 100, takes: constant(200 * time.Millisecond), mean: 200 * time.Millisecond, most: 1.4, duration: 30 * time.Second},
		{name: "200 ms, more slots than we may use", slots: 1000, takes: constant(200 * time.Millisecond), mean: 200 * time.Millisecond, most: 1, duration: 20 * time.Second},
		{name: "1 slot", slots: 1, takes: constant(20 * time.Millisecond), mean: 20 * time.Millisecond, most: 7, duration: 30 * time.Second},
		{name: "varying 20 ms, 40 slots", slots: 40, takes: varying(20 * time.Millisecond), mean: 20 * time.Millisecond, most: 1.7, duration: 20 * time.Second},
		{name: "varying 200 ms, 10 slots", slots: 10, takes: varying(200 * time.Millisecond), mean: 200 * time.Millisecond, most: 2.5, duration: 120 * time.Second},
		{name: "some slow, 20 slots", slots: 20, takes: sometimes(9*time.Millisecond, 119*time.Millisecond), mean: 20 * time.Millisecond, most: 1.7, duration: 30 * time.Second},
		{name: "refuses beyond 50 slots", slots: 50, takes: constant(50 * time.Millisecond), mean: 50 * time.Millisecond, most: 1.05, refuses: true, duration: 60 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const bound = 256
				e := newSimulated(tc.slots, tc.takes)
				e.refuses = tc.refuses
				got := load(e, config.Webhook{Concurrency: bound, Auto: true}, phase{settle: tc.duration / 4, measure: tc.duration})[0]
				usable := float64(min(tc.slots, bound))
				best := usable / tc.mean.Seconds() // what any fixed concurrency from the slots on makes
				t.Logf("%.0f/s, %.2f of the best; %.1f in flight, %.2f of the slots; %d refused", got.rate, got.rate/best, got.inFlight, got.inFlight/usable, got.refused)
				if got.rate < 0.9*best {
					t.Errorf("%.0f/s is %.2f of the best, %.0f/s", got.rate, got.rate/best, best)
				}
				if got.inFlight > tc.most*usable+0.01 {
					t.Errorf("%.1f in flight at %d slots", got.inFlight, tc.slots)
				}
				if got.refused > int(got.rate*tc.duration.Seconds())/200 {
					t.Errorf("%d refused of %.0f", got.refused, got.rate*tc.duration.Seconds())
				}
			})
		})
	}
}

// An endpoint changes: it becomes slower as a whole, gets fewer slots and more, refuses what it took before.
func TestAdaptiveFollowsTheEndpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newSimulated(40, constant(20*time.Millisecond))
		to := func(slots int, takes time.Duration, refuses bool) func(*endpoint) {
			return func(e *endpoint) {
				e.mu.Lock()
				defer e.mu.Unlock()
				e.slots, e.takes, e.refuses = make(chan struct{}, slots), constant(takes), refuses
			}
		}
		want := []struct {
			slots   int
			takes   time.Duration
			refuses bool
			settle  time.Duration
		}{
			{40, 20 * time.Millisecond, false, 5 * time.Second},
			{40, 80 * time.Millisecond, false, 40 * time.Second},
			{40, 20 * time.Millisecond, false, 20 * time.Second},
			{8, 20 * time.Millisecond, false, 20 * time.Second},
			{120, 20 * time.Millisecond, false, 20 * time.Second},
			{30, 20 * time.Millisecond, true, 20 * time.Second},
			{90, 20 * time.Millisecond, false, 90 * time.Second}, // which it tries when the ceiling is lifted
		}
		phases := make([]phase, len(want))
		for i, w := range want {
			phases[i] = phase{settle: w.settle, measure: 5 * time.Second, change: to(w.slots, w.takes, w.refuses)}
		}
		for i, got := range load(e, config.Webhook{Concurrency: 256, Auto: true}, phases...) {
			best := float64(want[i].slots) / want[i].takes.Seconds()
			t.Logf("%d slots, %s: %.2f of the best, %.2f of the slots in flight, %d refused", want[i].slots, want[i].takes, got.rate/best, got.inFlight/float64(want[i].slots), got.refused)
			least := 0.9
			if want[i].refuses {
				least = 0.8 // it stays below where it was refused
			}
			if got.rate < least*best || got.inFlight > 1.7*float64(want[i].slots) {
				t.Errorf("phase %d: %.0f/s of %.0f/s, %.1f in flight", i, got.rate, best, got.inFlight)
			}
		}
	})
}

// starts runs a queue that always has something to send for a while, and gives when attempts started. answer says what the
// n-th comes to.
func starts(w config.Webhook, d time.Duration, answer func(n int) sender.Outcome) (at []time.Duration, slots int) {
	begin := time.Now()
	var mu sync.Mutex
	q := bench(&w, nil)
	q.attempt = func(q *queue, work work) {
		m, sent := work.mark, time.Now()
		mu.Lock()
		n := len(at)
		at = append(at, sent.Sub(begin))
		mu.Unlock()
		o := answer(n)
		o.SentAt, o.Wait = sent, time.Since(sent)
		q.learn(m, work.first.ID, &o, time.Now())
		q.push(fresh(n+1000), time.Now(), enough)
	}
	for i := range w.Concurrency + 10 {
		q.push(fresh(i), time.Now(), enough)
	}
	time.Sleep(d)
	q.mu.Lock()
	slots = q.slots()
	q.mu.Unlock()
	q.shut(gateStopped)
	q.workers.Wait()
	return at, slots
}

func good() sender.Outcome {
	time.Sleep(250 * time.Millisecond)
	return sender.Outcome{Verdict: sender.Delivered, Class: sender.ClassOK, Status: http.StatusOK}
}

func bad(status int, after time.Duration) sender.Outcome {
	time.Sleep(250 * time.Millisecond)
	return sender.Outcome{Verdict: sender.Retry, Class: sender.ClassStatus, Status: status, RetryAfter: after}
}

// A minute is the most that it waits for one answer.
func TestAdaptiveWaitsAsAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		at, slots := starts(config.Webhook{Concurrency: 32, Auto: true}, 5*time.Minute, func(n int) sender.Outcome {
			if n == 500 {
				return bad(http.StatusTooManyRequests, 40*time.Second)
			}
			return good()
		})
		var longest time.Duration
		for i := range at[1:] {
			longest = max(longest, at[i+1]-at[i])
		}
		if longest < 40*time.Second-250*time.Millisecond || longest > 41*time.Second {
			t.Errorf("asked to wait for 40 s, it waited for %s", longest)
		}
		if slots < 30 {
			t.Errorf("%d slots long after it", slots)
		}
	})
}

func TestAdaptiveBacksOffToNextToNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		at, slots := starts(config.Webhook{Concurrency: 32, Auto: true}, 10*time.Minute, func(n int) sender.Outcome {
			if n > 500 {
				return bad(http.StatusTooManyRequests, 0)
			}
			return good()
		})
		if slots != 1 {
			t.Errorf("%d slots for an endpoint that refuses everything", slots)
		}
		// From 32 by thirds to one, an attempt for each slot; then a pause that doubles up to a minute.
		if n := len(at) - 500; n < 10 || n > 300 {
			t.Errorf("%d attempts in ten minutes", n)
		}
		if last := at[len(at)-1] - at[len(at)-2]; last < pauseMost || last > pauseMost+time.Second {
			t.Errorf("the last pause was %s", last)
		}
	})
}

// What an endpoint that is dead gets must not depend on a limit that can't be the reason.
func TestAdaptiveGoesOnTryingTheDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		at, slots := starts(config.Webhook{Concurrency: 500, Auto: true}, 10*time.Minute, func(int) sender.Outcome {
			return bad(http.StatusServiceUnavailable, 0)
		})
		if slots != startAt {
			t.Errorf("%d slots for an endpoint that answers 503 to everything", slots)
		}
		if n := len(at); n < 8000 { // four at a time, four times a second
			t.Errorf("%d attempts in ten minutes", n)
		}
	})
}

// Endpoints that never answer are not tried at the same moment: with hundreds of them each timeout would be a wave of new
// connections.
func TestAdaptiveSpreadsAttemptsAtTheDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const timeout = 10 * time.Second
		last := map[time.Duration]bool{}
		for range 20 {
			at, slots := starts(config.Webhook{Concurrency: 500, Auto: true}, 2*time.Minute, func(int) sender.Outcome {
				time.Sleep(timeout)
				return sender.Outcome{Verdict: sender.Retry, Class: sender.ClassTimeout, Duration: timeout}
			})
			if most := startAt * int(2*time.Minute/timeout); slots != startAt || len(at) > most || len(at) < most/2 {
				t.Errorf("%d attempts, %d at a time", len(at), slots)
			}
			last[at[len(at)-1]] = true
		}
		if len(last) < 15 {
			t.Errorf("%d moments of the last attempt at 20 endpoints", len(last))
		}
	})
}

func TestAdaptiveRecoversFromTimeouts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, slots := starts(config.Webhook{Concurrency: 32, Auto: true}, 10*time.Minute, func(int) sender.Outcome {
			if dead := time.Since(began); dead > time.Minute && dead < 2*time.Minute {
				time.Sleep(10 * time.Second)
				return sender.Outcome{Verdict: sender.Retry, Class: sender.ClassTimeout}
			}
			return good()
		})
		if slots < 30 {
			t.Errorf("%d slots eight minutes after the endpoint recovered", slots)
		}
	})
}
