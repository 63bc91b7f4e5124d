package daemon

import (
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walpost/walpost/config"
)

// answering is an endpoint that the constants in adaptive.go were not chosen by.
type answering func() (status int, retryAfter time.Duration)

// queued has so many slots before which requests wait.
func queued(slots int, takes func() time.Duration) answering {
	free := make(chan struct{}, slots)
	return func() (int, time.Duration) {
		free <- struct{}{}
		time.Sleep(takes())
		<-free
		return http.StatusOK, 0
	}
}

// random makes a source of what answers take that can be used by all at once.
func random(seed uint64, draw func(*rand.Rand) time.Duration) func() time.Duration {
	source := rand.New(rand.NewPCG(seed, seed))
	var mu sync.Mutex
	return func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return draw(source)
	}
}

// lognormal has a tail as networks and databases have it.
func lognormal(median time.Duration, sigma float64) func() time.Duration {
	return random(5, func(r *rand.Rand) time.Duration {
		return time.Duration(float64(median) * math.Exp(sigma*r.NormFloat64()))
	})
}

// bySize takes longer for larger payloads: a few are a hundred times as large as most.
func bySize() func() time.Duration {
	return random(6, func(r *rand.Rand) time.Duration {
		kib := r.ExpFloat64()
		if r.IntN(50) == 0 {
			kib *= 100
		}
		return 5*time.Millisecond + time.Duration(kib*float64(time.Millisecond))
	})
}

// hard refuses what finds no slot.
func hard(slots int, takes func() time.Duration) answering {
	free := make(chan struct{}, slots)
	return func() (int, time.Duration) {
		select {
		case free <- struct{}{}:
		default:
			time.Sleep(2 * time.Millisecond)
			return http.StatusTooManyRequests, 0
		}
		time.Sleep(takes())
		<-free
		return http.StatusOK, 0
	}
}

// rated allows so many a second, from a bucket of a tenth of them, as API gateways do.
func rated(perSecond int, takes, retryAfter time.Duration) answering {
	var mu sync.Mutex
	burst := float64(perSecond) / 10
	tokens, at := burst, time.Now()
	return func() (int, time.Duration) {
		time.Sleep(takes)
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		tokens = min(burst, tokens+now.Sub(at).Seconds()*float64(perSecond))
		at = now
		if tokens < 1 {
			return http.StatusTooManyRequests, retryAfter
		}
		tokens--
		return http.StatusOK, 0
	}
}

// locked does most of its work beside others, and some of it alone.
func locked(beside, alone time.Duration) answering {
	one := queued(1, constant(alone))
	return func() (int, time.Duration) {
		time.Sleep(beside)
		return one()
	}
}

// collapsing does less the more it has to do at a time, beyond some number.
func collapsing(best int, takes time.Duration) answering {
	var running atomic.Int64
	return func() (int, time.Duration) {
		n := float64(running.Add(1)) / float64(best)
		time.Sleep(time.Duration(float64(takes) * (1 + n*n)))
		running.Add(-1)
		return http.StatusOK, 0
	}
}

// stalling stands still now and then, as a program that collects garbage, or a machine with more work than cores.
func stalling(slots int, takes, every, stall time.Duration) answering {
	inner := queued(slots, constant(takes))
	began := time.Now()
	return func() (int, time.Duration) {
		status, after := inner()
		if phase := time.Since(began) % every; phase < stall {
			time.Sleep(stall - phase)
		}
		return status, after
	}
}

// flaky answers 503 to one request of a hundred, as a load balancer before many programs.
func flaky(inner answering) answering {
	source := random(7, func(r *rand.Rand) time.Duration { return time.Duration(r.IntN(100)) })
	return func() (int, time.Duration) {
		status, after := inner()
		if source() == 0 {
			status = http.StatusServiceUnavailable
		}
		return status, after
	}
}

func TestAdaptiveOnEndpointsItWasNotMadeFor(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		make     func() answering
		fixed    []int // concurrencies of which the best is compared with
		duration time.Duration
		least    float64 // of the best
		refused  int     // at most, from the start on
	}{
		{name: "lognormal 15 ms, 60 slots", make: func() answering { return queued(60, lognormal(15*time.Millisecond, 0.8)) }, fixed: []int{30, 60, 120, 240}, duration: 10 * time.Second, least: 0.8},
		{name: "by payload, 50 slots", make: func() answering { return queued(50, bySize()) }, fixed: []int{25, 50, 100, 200}, duration: 6 * time.Second, least: 0.8},
		{name: "bimodal, 30 slots", make: func() answering { return queued(30, sometimes(5*time.Millisecond, 200*time.Millisecond)) }, fixed: []int{15, 30, 60, 120}, duration: 20 * time.Second, least: 0.8},
		{name: "hard 8 slots", make: func() answering { return hard(8, lognormal(20*time.Millisecond, 0.3)) }, fixed: []int{4, 8, 16}, duration: 30 * time.Second, least: 0.8, refused: 40},
		{name: "200/s, asks to wait for a second", make: func() answering { return rated(200, 10*time.Millisecond, time.Second) }, fixed: []int{1, 2, 3, 4}, duration: 60 * time.Second, least: 0.8, refused: 40},
		{name: "one 503 of a hundred, 100 slots", make: func() answering { return flaky(queued(100, constant(20*time.Millisecond))) }, fixed: []int{50, 100, 200}, duration: 10 * time.Second, least: 0.8, refused: 1000},
		{name: "1 ms of 10 in a mutex", make: func() answering { return locked(9*time.Millisecond, time.Millisecond) }, fixed: []int{5, 10, 20, 40}, duration: 10 * time.Second, least: 0.8},
		{name: "collapses beyond 50", make: func() answering { return collapsing(50, 10*time.Millisecond) }, fixed: []int{25, 35, 50, 70, 100}, duration: 5 * time.Second, least: 0.75},
		{name: "stalls, 100 slots", make: func() answering {
			return stalling(100, 20*time.Millisecond, time.Second, 150*time.Millisecond)
		}, fixed: []int{50, 100, 200}, duration: 10 * time.Second, least: 0.8},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				best, at := 0.0, 0
				for _, n := range tc.fixed {
					e := newSimulated(1, nil)
					e.serve = tc.make()
					got := load(e, config.Webhook{Concurrency: n}, phase{settle: tc.duration / 10, measure: tc.duration / 2})[0]
					if got.rate > 1.01*best {
						best, at = got.rate, n
					}
				}
				e := newSimulated(1, nil)
				e.serve = tc.make()
				got := load(e, config.Webhook{Concurrency: 1000, Auto: true},
					phase{settle: 0, measure: tc.duration / 4}, phase{measure: tc.duration})
				t.Logf("%.0f/s, %.2f of the best, which is %.0f/s at %d; %.1f in flight; %d refused, %d at the start",
					got[1].rate, got[1].rate/best, best, at, got[1].inFlight, got[1].refused, got[0].refused)
				if got[1].rate < tc.least*best {
					t.Errorf("%.0f/s is %.2f of the best", got[1].rate, got[1].rate/best)
				}
				if refused := got[0].refused + got[1].refused; refused > tc.refused {
					t.Errorf("%d refused", refused)
				}
			})
		})
	}
}
