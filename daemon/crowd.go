package daemon

import (
	"sync/atomic"
	"time"
)

// crowd bounds the attempts of all webhooks together. Each costs some 20 KiB, with its connection and its goroutine, so hundreds of
// endpoints that never answer would cost more than all events that wait for them. The bound doesn't touch who can
// answer: as long as less than half of it is used, every queue has its whole concurrency; beyond, a queue whose endpoint has
// not answered lately keeps to its share; and at the bound, each queue does.
type crowd struct {
	running atomic.Int64
	queues  atomic.Int64
}

const (
	// maxAttempts is the bound. Shares may exceed it by half.
	maxAttempts = 1024
	// answeredLately is how long ago an endpoint must have answered to take more than its share.
	answeredLately = 10 * time.Second
	// spareBytes is what all queues together take although memory is short.
	spareBytes = 4 << 20
)

// share is how many attempts a queue may run whatever the others do.
func (c *crowd) share() int { return int(max(1, maxAttempts/2/max(1, c.queues.Load()))) }

// room is how many attempts may begin beside those that run.
func (c *crowd) room() int { return int(max(0, maxAttempts-c.running.Load())) }

// spare is how many bytes a queue may have waiting although memory is short. A queue without a crowd has none.
func (c *crowd) spare() int64 {
	if c == nil {
		return 0
	}
	return spareBytes / max(1, c.queues.Load())
}

// add counts attempts that begin, or with -1 one that has ended. A queue without a crowd, as in tests, is alone.
func (c *crowd) add(n int64) {
	if c != nil {
		c.running.Add(n)
	}
}

// bound is how many of the slots a queue may use whose endpoint answered last at the given time, in Unix nanoseconds.
func (c *crowd) bound(slots int, answered int64) int {
	if c == nil {
		return slots
	}
	running := c.running.Load()
	if running < maxAttempts/2 {
		return slots
	}
	if running < maxAttempts && time.Since(time.Unix(0, answered)) < answeredLately {
		return slots
	}
	return min(slots, c.share())
}
