package daemon

import (
	"math/rand/v2"
	"regexp"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walpost/walpost/config"
)

// TestConcurrencyIsExact plays reloads that change it, fresh deliveries, due retries and batches at random, on a queue whose
// requests take random times: when one starts, there are never more than the configuration in force allows, and in the
// end all were made.
func TestConcurrencyIsExact(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			chance := rand.New(rand.NewPCG(seed, 0))
			times := rand.New(rand.NewPCG(seed, 1)) // of the attempts, under the lock of the queue
			var batch *config.Batch
			if chance.IntN(2) == 0 {
				batch = &config.Batch{Max: 1 + chance.IntN(5), Wait: 20 * time.Millisecond}
			}
			setting := func(n int) *target {
				return &target{webhook: &config.Webhook{Concurrency: n, Queue: 1000, Batch: batch}}
			}
			limit, running, pushed, made := 1+chance.IntN(40), 0, 0, 0
			q := newQueue("hook", setting(limit), nil, make(chan struct{}, 1))
			q.attempt = func(q *queue, w work) {
				q.mu.Lock()
				if running++; running > limit {
					t.Errorf("seed %d: %d at a time, %d are allowed", seed, running, limit)
				}
				took := time.Duration(times.Int64N(int64(50 * time.Millisecond)))
				q.mu.Unlock()
				time.Sleep(took)
				members := []*delivery{w.first}
				if w.batch != nil {
					members = w.batch.members
				}
				q.mu.Lock()
				running--
				made += len(members)
				q.mu.Unlock()
				for _, d := range members {
					q.finish(d)
				}
			}
			for range 200 {
				switch chance.IntN(4) {
				case 0: // a reload
					synctest.Wait()
					q.mu.Lock()
					limit = 1 + chance.IntN(40)
					q.mu.Unlock()
					q.aim(setting(limit))
				case 1: // due retries, as many as the queue asks for
					n, _ := q.free()
					owed := make([]*delivery, n)
					for i := range owed {
						owed[i] = fresh(i)
						owed[i].fence = 1
					}
					q.pushClaimed(owed, time.Now())
					pushed += n
				default:
					for i := range chance.IntN(60) {
						if q.push(fresh(i), time.Now(), enough) == admitted {
							pushed++
						}
					}
				}
				time.Sleep(time.Duration(chance.Int64N(int64(10 * time.Millisecond))))
			}
			time.Sleep(time.Hour)
			q.mu.Lock()
			if made != pushed || running != 0 {
				t.Errorf("seed %d: %d of %d were made, %d run", seed, made, pushed, running)
			}
			q.mu.Unlock()
			q.shut(gateStopped)
			q.workers.Wait()
		})
	}
}

var bubbleOf = regexp.MustCompile(`synctest bubble \d+`)

// goroutines counts those of the test's bubble.
func goroutines() (n int) {
	own := make([]byte, 200)
	own = bubbleOf.Find(own[:runtime.Stack(own, false)])
	all := make([]byte, 64<<20)
	for _, found := range bubbleOf.FindAll(all[:runtime.Stack(all, true)], -1) {
		if string(found) == string(own) {
			n++
		}
	}
	return n
}

// TestRateIsExactWithoutAGoroutineForEach: fresh deliveries and due retries of a webhook with a rate limit go at it, in every
// window of that length wherever it begins, from the start on and after an idle time, while thousands that wait cost no
// goroutine.
func TestRateIsExactWithoutAGoroutineForEach(t *testing.T) {
	t.Parallel()
	for _, rate := range []config.Rate{{N: 50, Per: time.Second}, {N: 1, Per: time.Second}, {N: 120, Per: time.Minute}, {N: 60, Per: time.Hour}} {
		synctest.Test(t, func(t *testing.T) {
			var arrived []time.Duration
			begin := time.Now()
			q := bench(&config.Webhook{Concurrency: 100, RateLimit: rate}, nil)
			q.attempt = func(q *queue, w work) {
				q.mu.Lock()
				arrived = append(arrived, time.Since(begin))
				q.mu.Unlock()
				time.Sleep(30 * time.Millisecond)
				q.finish(w.first)
			}
			before := goroutines()
			push := func(n int) {
				for i := range n {
					if q.push(fresh(i), time.Now(), enough) != admitted {
						t.Fatal("not admitted")
					}
				}
			}
			push(5000)
			synctest.Wait()
			atOnce := 1 + (rate.N*int(40*time.Millisecond)+int(rate.Per)-1)/int(rate.Per) // what runs at a time at this rate
			if n := goroutines() - before; n > atOnce {
				t.Errorf("%s: %d goroutines while 5000 wait, %d attempts may run", rate, n, atOnce)
			}
			for range 30 { // retries come due beside them
				time.Sleep(rate.Per / 10)
				n, _ := q.free()
				owed := make([]*delivery, n)
				for i := range owed {
					owed[i] = fresh(i)
					owed[i].fence = 1
				}
				q.pushClaimed(owed, time.Now())
				synctest.Wait()
				if n := goroutines() - before; n > atOnce {
					t.Errorf("%s: %d goroutines, %d attempts may run", rate, n, atOnce)
				}
			}
			q.shut(gateStopped)
			q.workers.Wait()
			if n, want := len(arrived), 3*rate.N; n < want*95/100 || n > want+1 {
				t.Errorf("%s: %d in three windows", rate, n)
			}
			if n := most(arrived, rate.Per); n > rate.N {
				t.Errorf("%s: %d in one window", rate, n)
			}
			if n := most(arrived, rate.Per/10); n > rate.N/10+1 {
				t.Errorf("%s: %d in a tenth of one: a burst", rate, n)
			}
		})
	}
}
