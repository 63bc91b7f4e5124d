package daemon

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/walpost/walpost/config"
)

// TestDueRetriesDrainBesideLiveTraffic: retries that came due at once, as after an outage, take what live traffic leaves. A
// live delivery waits for one attempt to end at most, or for its turn at the rate, and the endpoint sees no more than its limits.
func TestDueRetriesDrainBesideLiveTraffic(t *testing.T) {
	t.Parallel()
	const takes, every = 5 * time.Millisecond, 5 * time.Millisecond // to answer; between live deliveries
	for name, tc := range map[string]struct {
		rate    config.Rate
		retries int
		waits   time.Duration // a live delivery, at most
		within  time.Duration // the retries are drained
	}{
		"by concurrency": {config.Rate{}, 10_000, takes, 2 * time.Second},
		"by rate":        {config.Rate{N: 400, Per: time.Second}, 2000, 10 * time.Millisecond, 12 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var arrived []time.Duration
				var waited time.Duration
				begin, running, owed, live := time.Now(), 0, 0, 0
				q := bench(&config.Webhook{Concurrency: 32, RateLimit: tc.rate}, nil)
				q.attempt = func(q *queue, w work) {
					q.mu.Lock()
					arrived = append(arrived, time.Since(begin))
					if running++; running > 32 {
						t.Errorf("%d at a time", running)
					}
					if w.first.recorded() {
						owed++
					} else {
						live--
						waited = max(waited, time.Since(w.first.since))
					}
					q.mu.Unlock()
					time.Sleep(takes)
					q.mu.Lock()
					running--
					q.mu.Unlock()
					q.finish(w.first)
				}
				left := tc.retries
				for i := 0; owed < tc.retries; i++ {
					if i%5 == 0 { // a live one each 5 ms; the claimer looks each millisecond
						q.push(fresh(i), time.Now(), enough)
						q.mu.Lock()
						live++
						q.mu.Unlock()
					}
					n, _ := q.free()
					n = min(n, left)
					claimed := make([]*delivery, n)
					for i := range claimed {
						claimed[i] = fresh(i)
						claimed[i].fence = 1
					}
					left -= n
					q.pushClaimed(claimed, time.Now())
					time.Sleep(every / 5)
					synctest.Wait()
				}
				if live > 2 {
					t.Errorf("%d live deliveries wait until the retries are drained", live)
				}
				if waited > tc.waits {
					t.Errorf("a live delivery waited for %s, %s are allowed", waited, tc.waits)
				}
				if took := time.Since(begin); took > tc.within {
					t.Errorf("%d retries drained in %s", tc.retries, took)
				}
				if n := most(arrived, time.Second); tc.rate.N > 0 && n > tc.rate.N {
					t.Errorf("%d in a second", n)
				}
				q.shut(gateStopped)
				q.workers.Wait()
			})
		})
	}
}
