package daemon

import (
	"context"
	"time"

	"github.com/walpost/walpost/config"
)

// pace says when a queue may start its next attempt: how many may run, how often they may start, and whether the endpoint is
// worth one. The queue's mu guards it. It has neither a goroutine nor a timer: the queue's alarm wakes the queue when the time
// has come.
type pace struct {
	limit   *limit    // nil: there is no rate limit
	auto    *adaptive // nil: the concurrency is fixed
	breaker *breaker  // nil: there is none
	url     string    // source text of the webhook's URL
}

// claimAhead is how far ahead deliveries are claimed for a limited webhook: they must start before their lease ends.
const claimAhead = 2 * time.Second

// follow makes the pace that of the webhook, as the configuration is now. What was learnt of the endpoint stays unless the URL
// is another one; a breaker that is open then probes at once, as the reload may be what mends it.
func (p *pace) follow(w *config.Webhook, url string, now time.Time) {
	moved := p.url != url
	p.url = url
	if p.limit == nil || p.limit.rate != w.RateLimit {
		p.limit = newLimit(w.RateLimit, p.limit, now)
	}
	switch {
	case !w.Auto:
		p.auto = nil
	case p.auto == nil || moved:
		p.auto = newAdaptive(w.Concurrency)
	default:
		if p.auto.most != float64(w.Concurrency) {
			p.auto.bound(w.Concurrency)
		}
		p.auto.resume = time.Time{} // the reload may be what was waited for
	}
	switch {
	case !w.Breaker:
		p.breaker = nil
	case p.breaker == nil || moved:
		p.breaker = newBreaker()
	case p.breaker.open:
		p.breaker.probe = now
	}
}

// slots is how many of the given number of attempts may run at a time.
func (p *pace) slots(most int) int {
	if p.auto != nil {
		most = min(most, p.auto.slots())
	}
	if p.breaker != nil {
		most = p.breaker.bound(most)
	}
	return most
}

// timed reports whether there may be a time to wait for.
func (p *pace) timed() bool { return p.limit != nil || p.auto != nil || p.breaker != nil }

// free reports whether an attempt may start now beside those that run.
func (p *pace) free(running int) bool {
	if !p.timed() {
		return true
	}
	now := time.Now()
	return (p.limit == nil || p.limit.open(now)) &&
		(p.auto == nil || !now.Before(p.auto.resume)) &&
		(p.breaker == nil || p.breaker.admits(running, now))
}

// at is when an attempt may start, as far as that is a matter of time.
func (p *pace) at(now time.Time) (at time.Time) {
	if p.limit != nil {
		at = p.limit.at(now)
	}
	if p.auto != nil {
		at = later(at, p.auto.resume)
	}
	if p.breaker != nil && p.breaker.open {
		at = later(at, p.breaker.probe)
	}
	return at
}

// started counts an attempt that starts now, which may be.
func (p *pace) started() {
	if p.limit != nil {
		p.limit.book(time.Now())
	}
}

// takes reports whether a delivery may wait here beside the given number of others. While the endpoint is dead, the only one
// that may is the one that probes it.
func (p *pace) takes(others int, now time.Time) bool {
	return p.breaker == nil || p.breaker.admits(others, now)
}

// claimable bounds how many deliveries to claim, so that they don't wait here for longer than they are leased.
func (p *pace) claimable(n, running int) int {
	if !p.timed() {
		return n
	}
	now := time.Now()
	if p.auto != nil && now.Before(p.auto.resume) {
		return 0
	}
	if p.breaker != nil && p.breaker.open {
		if !p.breaker.admits(running, now) {
			return 0
		}
		n = min(n, 1)
	}
	if p.limit != nil {
		n = min(n, p.limit.within(now, claimAhead))
	}
	return n
}

// describe writes what is to be shown.
func (p *pace) describe(s *QueueStatus, now time.Time) {
	if at := p.at(now); at.After(now) {
		s.HeldUntil = at.UTC()
	}
	b := p.breaker
	switch {
	case b == nil:
	case b.open:
		s.Breaker, s.BreakerSince, s.BreakerWhy = "open", b.opened.UTC(), b.why
	case b.ramp > 0:
		s.Breaker = "ramping"
	default:
		s.Breaker = "closed"
	}
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
