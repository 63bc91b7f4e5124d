package daemon

import (
	"testing"
	"time"
)

func TestCrowdLeavesWhoAnswersAlone(t *testing.T) {
	t.Parallel()
	now, long := time.Now().UnixNano(), time.Now().Add(-time.Hour).UnixNano()
	for _, c := range []struct {
		name            string
		queues, running int64
		answered        int64
		slots, want     int
	}{
		{"hardly anybody", 500, 10, 0, 32, 32},
		{"many, and it answers", 500, maxAttempts - 1, now, 32, 32},
		{"many, and it doesn't answer", 500, maxAttempts / 2, 0, 32, 1},
		{"many, and it answered long ago", 500, maxAttempts / 2, long, 32, 1},
		{"few queues with high concurrencies", 4, maxAttempts / 2, 0, 1000, maxAttempts / 8},
		{"a share above its slots", 4, maxAttempts / 2, 0, 32, 32},
		{"full, and it answers", 100, maxAttempts, now, 32, maxAttempts / 200},
		{"more queues than attempts", 5000, 2 * maxAttempts, now, 32, 1},
	} {
		var crowd crowd
		crowd.queues.Store(c.queues)
		crowd.add(c.running)
		if got := crowd.bound(c.slots, c.answered); got != c.want {
			t.Errorf("%s: %d may run, not %d", c.name, got, c.want)
		}
	}
}
