package cdc

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/rs/zerolog"
)

// standbyPause is the longest wait for a slot that another process holds: it bounds the time to take over.
const standbyPause = 2 * time.Second

// backoff yields the waits between connects: doubling from min to max, each jittered by half so that many
// daemons don't come back at once.
type backoff struct {
	min, max time.Duration
	doubled  time.Duration
}

// next returns the wait after err.
func (b *backoff) next(err error) time.Duration {
	if errors.Is(err, errStalled) {
		return 0 // there is room by the time of the wait
	}
	b.doubled = min(max(2*b.doubled, b.min), b.max)
	limit := b.doubled
	if errors.Is(err, ErrSlotActive) {
		limit = min(limit, standbyPause)
	}
	return limit/2 + rand.N(limit/2+1)
}

// reset starts over after a connection that lasted.
func (b *backoff) reset() { b.doubled = 0 }

// outageLogInterval is how often an outage that goes on is logged.
const outageLogInterval = time.Minute

// outage logs a run of failed connections: the first failure, a change of its cause, then once a minute, and
// its end in one line.
type outage struct {
	log      zerolog.Logger
	counters *counters

	since    time.Time // of the first failure
	logged   time.Time
	cause    string // logged last
	attempts int
	stalled  time.Time // last time that a stall was logged
}

// failed notes one failure.
func (o *outage) failed(err error, pause time.Duration) {
	now := time.Now()
	text := err.Error()
	o.counters.lastError.Store(&outageError{text: text, at: now})
	if errors.Is(err, errStalled) { // no outage: we closed, and come back when there is room
		o.counters.stalls.Add(1)
		if now.Sub(o.stalled) >= outageLogInterval {
			o.stalled = now
			o.log.Warn().Err(err).Msg("replication paused")
		}
		return
	}
	if o.attempts == 0 {
		o.since = now
	}
	o.attempts++
	if text == o.cause && now.Sub(o.logged) < outageLogInterval {
		return
	}
	o.cause, o.logged = text, now
	o.log.Warn().Err(err).Int("attempts", o.attempts).Dur("retry_in", pause).Msg("replication interrupted")
}

// forget ends an outage without a word: another process leads, and whether the server can be reached is its matter.
func (o *outage) forget() { o.attempts, o.cause = 0, "" }

// recovered ends the outage, if there was one.
func (o *outage) recovered() {
	if o.attempts == 0 {
		return
	}
	o.log.Info().Int("attempts", o.attempts).Dur("after", time.Since(o.since)).Msg("replication recovered")
	o.attempts, o.cause = 0, ""
}
