package daemon

import (
	"testing"
	"time"

	"github.com/walpost/walpost/config"
)

// What a queue takes depends on its own bounds, and on how much memory there is for all.
func TestQueueTakesByMemory(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name           string
		memory         memory
		queues, queue  int
		takes, atLeast int // of deliveries without a payload
	}{
		{"its bound", enough, 2, 10, 10, 10},
		{"a burst", ample, 2, 10, 5000, 5000},
		{"a part of the rest", short, 2, 10_000, spareBytes / 2 / deliveryOverhead, 1000},
		{"of many, hardly more than the first", short, 5000, 10_000, 3, 1},
		{"its bound, whatever the rest", short, 1, 10, 10, 10},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			q := bench(&config.Webhook{Concurrency: 1, Queue: tc.queue}, nil)
			q.gate = gateOpen
			q.crowd = &crowd{}
			q.crowd.queues.Store(int64(tc.queues))
			q.running = 1 // so that all wait
			taken := 0
			for taken < 5000 && q.push(fresh(taken), time.Now(), tc.memory) == admitted {
				taken++
			}
			if taken > tc.takes+1 || taken < tc.atLeast {
				t.Errorf("took %d, want %d to %d", taken, tc.atLeast, tc.takes)
			}
		})
	}
}
