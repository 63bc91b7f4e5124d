package daemon

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/outbox"
)

// most is the highest number of times in any window of that length.
func most(times []time.Duration, window time.Duration) (n int) {
	first := 0
	for i, t := range times {
		for t-times[first] >= window {
			first++
		}
		n = max(n, i-first+1)
	}
	return n
}

func TestLimitHoldsInEveryWindow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		start := time.Now()
		rates := []config.Rate{{N: rapid.IntRange(1, 300).Draw(t, "n"), Per: time.Second}}
		if rapid.Bool().Draw(t, "reloaded") {
			rates = append(rates, config.Rate{N: rapid.IntRange(1, 300).Draw(t, "then"), Per: time.Second})
		}
		var l *limit
		now := start
		times := make([][]time.Duration, len(rates))
		for i, rate := range rates {
			l = newLimit(rate, l, now)
			for range rapid.IntRange(1, 3*rate.N).Draw(t, "starts") {
				// What waits starts when its timer goes off, which is late by a bit; what comes later than that starts at once.
				now = l.at(now).Add(rapid.SampledFrom([]time.Duration{0, 50 * time.Microsecond, 3 * time.Millisecond, 40 * time.Millisecond, time.Second}).Draw(t, "late"))
				if !l.open(now) {
					t.Fatalf("closed at the time that it gave")
				}
				if at := l.book(now); !at.Equal(now) {
					t.Fatalf("booked %s later", at.Sub(now))
				}
				times[i] = append(times[i], now.Sub(start))
			}
			if n := most(times[i], rate.Per); n > rate.N {
				t.Fatalf("%d starts in a window of %s, %d are allowed", n, rate.Per, rate.N)
			}
		}
		all := slices.Concat(times...)
		if n := most(all, time.Second); n > max(rates[0].N, rates[len(rates)-1].N) {
			t.Fatalf("%d starts in a window about the reload, of rates %v", n, rates)
		}
	})
}

func TestLimitBooksAhead(t *testing.T) {
	t.Parallel()
	now := time.Now()
	l := newLimit(config.Rate{N: 2, Per: time.Second}, nil, now)
	var booked []time.Duration
	for range 5 {
		booked = append(booked, l.book(now).Sub(now))
	}
	if n := most(booked, time.Second); n > 2 || booked[0] != 0 {
		t.Errorf("booked at %v", booked)
	}
	if l.open(now) || l.open(now.Add(booked[4])) {
		t.Error("open at a time that is booked")
	}
	if n := l.within(now, time.Second); n != 0 {
		t.Errorf("%d within a second that is booked", n)
	}
	if n := l.within(now.Add(10*time.Second), time.Second); n != 2 {
		t.Errorf("%d within a second that is free, want 2", n)
	}
}

// fresh is a delivery from the stream, for queues whose attempts don't look at it.
func fresh(i int) *delivery {
	return &delivery{
		Delivery: route.Delivery{ID: fmt.Sprint(i), Row: &outbox.Row{}}, attempt: 1, since: time.Now(),
	}
}

// bench is a queue alone, in a bubble: its attempts take as long as the test says.
func bench(w *config.Webhook, attempt func(*queue, work)) *queue {
	if w.Queue == 0 {
		w.Queue = 1_000_000
	}
	return newQueue("hook", &target{webhook: w}, attempt, make(chan struct{}, 1))
}

// TestLimitedQueueStartsEvenly: deliveries that wait go out at the rate, with one timer for all of them.
func TestLimitedQueueStartsEvenly(t *testing.T) {
	t.Parallel()
	for _, rate := range []config.Rate{{N: 100, Per: time.Second}, {N: 3000, Per: time.Second}, {N: 30, Per: time.Minute}} {
		for _, batch := range []*config.Batch{nil, {Max: 4, Wait: time.Second}} {
			t.Run(fmt.Sprintf("%s in batches %v", rate, batch != nil), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var starts []time.Duration
					begin, deliveries := time.Now(), 3*rate.N
					q := bench(&config.Webhook{Concurrency: 500, RateLimit: rate, Batch: batch}, func(*queue, work) {})
					q.attempt = func(q *queue, w work) {
						q.mu.Lock()
						starts = append(starts, time.Since(begin))
						q.mu.Unlock()
						time.Sleep(50 * time.Millisecond)
					}
					if batch != nil {
						deliveries *= batch.Max
					}
					for i := range deliveries {
						q.push(fresh(i), time.Now(), enough)
					}
					if n := q.status().Running; n > 1+rate.N*int(catchUp)/int(rate.Per) {
						t.Errorf("%d goroutines for what waits", n)
					}
					time.Sleep(3*rate.Per + time.Second)
					synctest.Wait()
					if len(starts) < 3*rate.N*98/100 {
						t.Errorf("%d starts in three windows of %s", len(starts), rate)
					}
					if n := most(starts, rate.Per); n > rate.N {
						t.Errorf("%d starts in one of them", n)
					}
					if n := most(starts, rate.Per/10); n > rate.N/10+1 {
						t.Errorf("%d starts in a tenth of one", n)
					}
					q.shut(gateStopped)
					q.workers.Wait()
				})
			})
		}
	}
}
