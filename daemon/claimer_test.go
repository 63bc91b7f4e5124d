package daemon

import (
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/outbox"
)

// The first of what a claim has brought of a key fails at once: nothing that came with it goes, however late it came.
func TestWhatIsClaimedOfAKeyGoesInAsOne(t *testing.T) {
	t.Parallel()
	var attempted atomic.Int64
	q := bench(&config.Webhook{Concurrency: 4}, func(q *queue, w work) {
		attempted.Add(1)
		q.recording.Lock()
		defer q.recording.Unlock()
		q.stop(w.first)
		q.written(w.first.Key)
	})
	q.crowd = &crowd{}
	const keys, most = 4, 50_000 // so many that who waits for the queue gets it between two of them, if it is let go
	for i := range keys {
		key := strconv.Itoa(i)
		run := make([]*delivery, most)
		for n := range run {
			run[n] = &delivery{Delivery: route.Delivery{Key: key, Row: &outbox.Row{}}, attempt: 1, fence: 1, n: int64(n)}
		}
		q.pushClaimed(run, time.Now())
	}
	q.workers.Wait()
	if n := attempted.Load(); n != keys {
		t.Errorf("%d were attempted of %d keys whose first fails", n, keys)
	}
	if n := q.waiting.len() + len(q.waiting.lanes.of); n != 0 || q.bytes != 0 {
		t.Errorf("%d still wait, of %d bytes", n, q.bytes)
	}
	if !q.keys.wide && !q.keys.has("0") {
		t.Error("a key that failed isn't held")
	}
}
