package daemon

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walpost/walpost/config"
)

// TestConcurrencyIsExactThroughChanges: fresh and claimed deliveries, reloads that change the concurrency, and a webhook that
// leaves and comes back while its attempts run: there are never more of them at a time than the highest number allowed.
func TestConcurrencyIsExactThroughChanges(t *testing.T) {
	t.Parallel()
	const most = 50
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // no secret
		var running, peak, made atomic.Int64
		attempt := func(*queue, work) {
			if n := running.Add(1); n > peak.Load() {
				peak.Store(n)
			}
			time.Sleep(time.Duration(1+made.Add(1)%50) * time.Millisecond)
			running.Add(-1)
		}
		q := bench(&config.Webhook{Concurrency: most}, attempt)
		queues := []*queue{q}
		for i := range 20_000 {
			d := fresh(i)
			if i%5 == 0 {
				d.fence = 1 // claimed
				q.pushClaimed([]*delivery{d}, time.Now())
			} else {
				q.push(d, time.Now(), enough)
			}
			switch n := random.IntN(500); {
			case n < 5:
				w := &config.Webhook{Concurrency: 1 + random.IntN(most), Queue: 1_000_000}
				if n == 0 {
					w.Batch = &config.Batch{Max: 3, Wait: 10 * time.Millisecond}
				}
				q.aim(&target{webhook: w})
			case n == 5:
				q.shut(gateStopped)
				next := bench(&config.Webhook{Concurrency: most}, attempt)
				next.succeed(q)
				q = next
				queues = append(queues, q)
			}
			if i%20 == 0 {
				time.Sleep(time.Duration(random.IntN(10)) * time.Millisecond)
			}
		}
		time.Sleep(time.Hour)
		for _, q := range queues {
			if n := q.status().Waiting; n > 0 {
				t.Errorf("%d wait for ever", n)
			}
			q.shut(gateStopped)
			q.workers.Wait()
		}
		if peak.Load() > most || peak.Load() < most/2 {
			t.Errorf("up to %d attempts at a time, %d are allowed", peak.Load(), most)
		}
		t.Logf("%d attempts in %d queues, up to %d at a time", made.Load(), len(queues), peak.Load())
	})
}
