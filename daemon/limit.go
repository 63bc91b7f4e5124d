package daemon

import (
	"time"

	"github.com/walpost/walpost/config"
)

// limit is a webhook's rate limit: at most N starts in any window of its length, wherever that begins, and evenly spread, so
// that neither a start-up nor the end of an idle hour is a burst. It keeps the last N starts. A limit is used under a lock.
//
// Even spacing alone would lose what each timer is late by; a window alone would let N go at once.
type limit struct {
	rate   config.Rate
	window time.Duration
	space  time.Duration // between starts
	base   time.Time     // what times are counted from, by the monotonic clock

	starts []time.Duration // a ring of the last N, the oldest at next once it is full
	next   int
	last   time.Duration // the newest start
	even   time.Duration // when the next one is, by the spacing
}

const (
	// windowMargin is what a window is longer than it has to be, as requests need different times to arrive.
	windowMargin = 10 * time.Millisecond
	// catchUp is how much of its lateness a start makes up for.
	catchUp = 5 * time.Millisecond
)

// newLimit makes the limit of a rate, nil if there is none. before is the limit that it replaces, whose starts count on;
// it may be nil.
func newLimit(rate config.Rate, before *limit, now time.Time) *limit {
	if rate.N == 0 {
		return nil
	}
	l := &limit{rate: rate, window: rate.Per + windowMargin, base: now}
	l.space = l.window / time.Duration(rate.N)
	if before == nil {
		return l
	}
	l.base = before.base
	for i := range before.starts {
		l.start(before.starts[(before.next+i)%len(before.starts)])
	}
	return l
}

// at is when the next start may be, not before now.
func (l *limit) at(now time.Time) time.Time { return l.base.Add(l.after(now.Sub(l.base))) }

// open reports whether a start may be now.
func (l *limit) open(now time.Time) bool {
	t := now.Sub(l.base)
	return l.after(t) <= t
}

func (l *limit) after(t time.Duration) time.Duration {
	if len(l.starts) == 0 {
		return t
	}
	t = max(t, l.even, l.last)
	if len(l.starts) == l.rate.N {
		t = max(t, l.starts[l.next]+l.window)
	}
	return t
}

// book counts a start at the first possible time from now on, which is given back.
func (l *limit) book(now time.Time) time.Time {
	t := l.after(now.Sub(l.base))
	l.start(t)
	return l.base.Add(t)
}

func (l *limit) start(t time.Duration) {
	if len(l.starts) == 0 {
		l.even = t
	}
	l.even = max(l.even, t-catchUp) + l.space
	l.last = t
	if len(l.starts) < l.rate.N {
		l.starts = append(l.starts, t)
		return
	}
	l.starts[l.next] = t
	l.next = (l.next + 1) % l.rate.N
}

// within is about how many starts there can be until some time from now has passed.
func (l *limit) within(now time.Time, d time.Duration) int {
	first := l.at(now).Sub(now)
	if first > d {
		return 0
	}
	return 1 + int((d-first)/l.space)
}
