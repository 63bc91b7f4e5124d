package daemon

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/walpost/walpost/sender"
)

// breaker keeps a webhook from sending to an endpoint that is dead, and tries from time to time whether it still is. It is
// used under a lock. Only what says something of the endpoint counts, and not of an event: no answer, or a 5xx.
//
// It opens after failures of different deliveries in a row. While it is open, deliveries stay owed without an attempt, but for
// one at a time, the probe, whose failure doesn't count. When one is answered, the breaker closes, and as many attempts
// may run as were answered since, so that the backlog doesn't hit the endpoint all at once.
type breaker struct {
	open   bool
	opened time.Time
	why    string        // class, and status, of the failure that opened it
	probe  time.Time     // when the next one may start
	wait   time.Duration // before it
	// ramp is how many attempts may run since it closed; 0: there is no bound.
	ramp int
	// failing are the deliveries that failed since the endpoint last answered, the first of which was sent at since.
	failing map[string]struct{}
	since   time.Time
}

const (
	// breakerFailures of different deliveries within breakerTime at least, from the first's start, open it.
	breakerFailures = 10
	breakerTime     = 5 * time.Second
	// relapse is how many do while it ramps up.
	relapse = 3
	// probeLeast and probeMost bound the time between probes, which doubles.
	probeLeast, probeMost = 30 * time.Second, 5 * time.Minute
)

func newBreaker() *breaker { return &breaker{failing: map[string]struct{}{}} }

// admits reports whether an attempt may start beside those that run.
func (b *breaker) admits(running int, now time.Time) bool {
	return !b.open || running == 0 && !now.Before(b.probe)
}

// bound is how many of the slots may be used.
func (b *breaker) bound(slots int) int {
	if b.ramp == 0 {
		return slots
	}
	return min(slots, b.ramp)
}

// change is what an outcome made of a breaker.
type change uint8

const (
	unchanged change = iota
	tripped
	closed
)

// ended takes note of an attempt of a delivery. slots is how many there are without the breaker.
func (b *breaker) ended(delivery string, o *sender.Outcome, slots int, now time.Time) change {
	switch health(o) {
	case answered:
		clear(b.failing)
		if b.open {
			b.open, b.ramp = false, 1
			return closed
		}
		if b.ramp > 0 {
			if b.ramp++; b.ramp > slots {
				b.ramp, b.wait = 0, 0
			}
		}
	case dead:
		return b.failed(delivery, o, now)
	}
	return unchanged
}

func (b *breaker) failed(delivery string, o *sender.Outcome, now time.Time) change {
	if b.open {
		if !now.Before(b.probe) {
			b.postpone(now)
		}
		return unchanged
	}
	if len(b.failing) == 0 {
		b.since = o.SentAt
	}
	if len(b.failing) < breakerFailures {
		b.failing[delivery] = struct{}{}
	}
	n := len(b.failing)
	if b.ramp > 0 && n >= relapse || n >= breakerFailures && now.Sub(b.since) >= breakerTime {
		b.open, b.opened, b.ramp, b.why = true, now, 0, o.Class.String()
		if o.Status != 0 {
			b.why += " " + strconv.Itoa(o.Status)
		}
		clear(b.failing)
		b.postpone(now)
		return tripped
	}
	return unchanged
}

// postpone sets the next probe. A tenth of the wait is random, so that the probes of many webhooks of one endpoint spread.
func (b *breaker) postpone(now time.Time) {
	b.wait = min(max(2*b.wait, probeLeast), probeMost)
	b.probe = now.Add(b.wait - rand.N(b.wait/10))
}

// vitality is what an attempt says of its endpoint.
type vitality uint8

const (
	unknown vitality = iota
	answered
	dead
)

func health(o *sender.Outcome) vitality {
	switch {
	case o.Verdict == sender.Interrupted, o.Status == 0 && o.Verdict == sender.Rejected:
		return unknown
	case o.Verdict == sender.Retry && (o.Status == 0 || o.Status >= 500):
		return dead
	default:
		return answered
	}
}
