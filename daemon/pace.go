package daemon

import (
	"context"
	"time"

	"github.com/walpost/walpost/config"
)

// pace says when a queue may start its next attempt, beside the number of those that run. The queue's mu guards it. It
// has neither a goroutine nor a timer: the queue's alarm wakes the queue when the time has come.
type pace struct {
	limit *limit // nil: there is no rate limit
}

// claimAhead is how far ahead deliveries are claimed for a limited webhook: they must start before their lease ends.
const claimAhead = 2 * time.Second

// follow makes the pace that of the webhook, as it is now in the configuration.
func (p *pace) follow(w *config.Webhook, now time.Time) {
	if p.limit == nil || p.limit.rate != w.RateLimit {
		p.limit = newLimit(w.RateLimit, p.limit, now)
	}
}

// free reports whether an attempt may start now.
func (p *pace) free() bool { return p.limit == nil || p.limit.open(time.Now()) }

// at is when an attempt may start; zero: at any time.
func (p *pace) at(now time.Time) time.Time {
	if p.limit == nil {
		return time.Time{}
	}
	return p.limit.at(now)
}

// timed reports whether there may be a time to wait for.
func (p *pace) timed() bool { return p.limit != nil }

// started counts an attempt that starts now, which may be.
func (p *pace) started() {
	if p.limit != nil {
		p.limit.book(time.Now())
	}
}

// claimable bounds how many deliveries to claim, so that they don't wait here for longer than they are leased.
func (p *pace) claimable(n int) int {
	if p.limit == nil {
		return n
	}
	return min(n, p.limit.within(time.Now(), claimAhead))
}

// held reports whether it is the pace, and not the endpoint, that keeps deliveries waiting. Reading slower would not help
// against that: what the queue has no room for is recorded.
func (q *queue) held(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pace.at(now).After(now)
}

// maxTurn is the longest that a worker waits for the turn of a further request.
const maxTurn = 5 * time.Second

// turn counts a further request of an attempt, such as half of a batch that was refused, and waits until it may be made. At
// a very low rate it does not wait for so long that the claim ends: what it takes too early, others get later.
func (q *queue) turn(ctx context.Context) {
	q.mu.Lock()
	limit := q.pace.limit
	var wait time.Duration
	if limit != nil {
		now := time.Now()
		wait = min(limit.book(now).Sub(now), maxTurn)
	}
	q.mu.Unlock()
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
