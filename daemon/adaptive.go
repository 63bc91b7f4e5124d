package daemon

import (
	"net/http"
	"slices"
	"time"

	"github.com/walpost/walpost/sender"
)

// adaptive finds how many attempts at a time an endpoint answers best: concurrency = "auto". It is used under a lock.
//
// As long as answers take no longer than they do when nothing waits at the endpoint, more attempts at a time bring more; beyond
// that they only wait there, and Little's law says how many: limit × (1 − floor/mean). The limit keeps a few waiting, so that
// the endpoint is never idle (TCP Vegas, Netflix's concurrency-limits). What answers take varies, often by more than what
// is looked for. So it works in windows of as many answers as there are attempts at a time, a window's steps are small once the
// start is over, and the floor is measured again, at half the limit, when it matters (as BBR does).
//
// An endpoint that says that it is too much (429, 502, 503, 504, no answer in time) is believed at once: the limit falls by
// a third, and stays below where that happened for a while, as each such answer costs a delivery an attempt.
type adaptive struct {
	most  float64
	limit float64
	// growing is the start: the limit doubles until something waits at the endpoint.
	growing bool
	floor   time.Duration // the mean when nothing waits

	window   uint64          // its number: only attempts that started in it count
	settling int             // attempts to end before it begins: they started under another limit
	waits    []time.Duration // what the window's answers took
	busy     bool            // something waited for one of our attempts to end

	// probing is the limit to go back to, while the floor is measured; 0: it is not.
	probing float64
	since   int // windows since the floor was measured
	cuts    int // windows in a row that cut the limit

	ceiling float64 // where the endpoint said that it is too much, until it is lifted
	lift    time.Time
	hold    time.Duration
	resume  time.Time     // nothing starts before
	pause   time.Duration // before resume, when there is nothing left to cut
}

const (
	// growingWindow and steadyWindow are the least numbers of answers that a window judges by.
	growingWindow, steadyWindow = 5, 24
	// quick is a difference between means that means nothing, whatever the floor.
	quick = 250 * time.Microsecond
	// probeEvery is the number of windows after which the floor is measured again if something seems to wait; probeSoon if the
	// limit was cut again and again, which a floor that is no longer true would do.
	probeEvery, probeSoon, probeCuts = 16, 4, 3
	// holdLeast and holdMost are how long a limit stays below the ceiling.
	holdLeast, holdMost = 10 * time.Second, 5 * time.Minute
	// pauseLeast and pauseMost are the pauses of an endpoint for which one attempt at a time is too much.
	pauseLeast, pauseMost = time.Second, time.Minute
	// retryAfterMost bounds what one answer can ask of the whole webhook.
	retryAfterMost = time.Hour
)

func newAdaptive(most int) *adaptive {
	a := &adaptive{growing: true, limit: 1}
	a.bound(most)
	return a
}

// bound sets the most that the limit may be.
func (a *adaptive) bound(most int) {
	a.most, a.ceiling = float64(most), float64(most)
	a.limit = min(a.limit, a.most)
}

// slots is how many attempts may run at a time.
func (a *adaptive) slots() int { return int(a.limit) }

// ended takes note of an attempt that started in the given window. busy: another one waited for it to end.
func (a *adaptive) ended(window uint64, busy bool, o *sender.Outcome, now time.Time) {
	a.busy = a.busy || busy
	switch {
	case overloaded(o):
		a.backOff(window, o, now)
	case a.settling > 0:
		if a.settling--; a.settling == 0 {
			a.window++
		}
	case o.Verdict == sender.Delivered && window == a.window:
		if a.waits = append(a.waits, o.Wait); len(a.waits) >= a.enough() {
			a.judge(now)
		}
	}
}

// enough is how many answers a window judges by.
func (a *adaptive) enough() int {
	if a.growing {
		return max(growingWindow, a.slots())
	}
	return max(steadyWindow, a.slots())
}

// overloaded reports whether the endpoint, or something before it, says that this is too much.
func overloaded(o *sender.Outcome) bool {
	switch o.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return o.Verdict == sender.Retry
	}
	return o.Class == sender.ClassTimeout
}

// judge ends a window.
func (a *adaptive) judge(now time.Time) {
	mean := trimmed(a.waits)
	switch {
	case a.probing > 0:
		a.learnFloor(mean)
		a.limit, a.probing, a.since = a.probing, 0, 0
	case a.floor == 0:
		a.floor = mean
		a.grow(now)
	case a.busy:
		a.adjust(mean, now)
	}
	a.pause = 0
	a.next()
}

// next begins another window, once what started before has ended.
func (a *adaptive) next() {
	a.window++
	a.settling = a.slots()
	a.waits = a.waits[:0]
	a.busy = false
}

// trimmed is the mean without the slowest tenth, which says more of what was asked than of who answers.
func trimmed(waits []time.Duration) time.Duration {
	slices.Sort(waits)
	waits = waits[:len(waits)-len(waits)/10]
	var sum time.Duration
	for _, w := range waits {
		sum += w
	}
	return sum / time.Duration(len(waits))
}

// learnFloor takes a new measure of the floor: for itself if the endpoint is another one than it was, else into the average.
func (a *adaptive) learnFloor(mean time.Duration) {
	if mean > a.floor*3/2 || mean < a.floor*2/3 {
		a.floor = mean
		return
	}
	a.floor = (a.floor + mean) / 2
}

// adjust follows what a window says, in which the limit was what kept attempts waiting.
func (a *adaptive) adjust(mean time.Duration, now time.Time) {
	a.since++
	least := a.floor + a.floor/20 + quick
	waiting := a.limit * max(0, 1-float64(least)/float64(mean))
	low, high := 1+a.limit/24, 3+a.limit/12
	switch {
	case waiting <= low:
		a.cuts = 0
		a.grow(now)
		return
	case waiting <= high:
		a.cuts = 0
	case a.growing:
		a.limit = max(1, a.limit-waiting+low)
	default:
		a.cuts++
		a.limit = max(1, a.limit-min(waiting-low, a.limit/8))
	}
	a.growing = false
	if a.since >= probeEvery || a.since >= probeSoon && a.cuts >= probeCuts {
		a.cuts = 0
		a.probing, a.limit = a.limit, max(1, a.limit/2)
	}
}

// grow raises the limit by a step.
func (a *adaptive) grow(now time.Time) {
	if !now.Before(a.lift) {
		a.ceiling = a.most
	}
	step := max(1, a.limit/8)
	if a.growing {
		step = a.limit
	}
	a.limit = min(a.limit+step, a.ceiling, a.most)
}

// backOff cuts the limit, once for all attempts of a window.
func (a *adaptive) backOff(window uint64, o *sender.Outcome, now time.Time) {
	if asked := min(o.RetryAfter, retryAfterMost); asked > 0 {
		a.resume = later(a.resume, now.Add(asked))
	}
	if window != a.window {
		return // it started before the last change, which is the answer to it, or has nothing to do with it
	}
	if a.limit < 2 && o.Class != sender.ClassTimeout {
		a.pause = min(max(2*a.pause, pauseLeast), pauseMost)
		a.resume = later(a.resume, now.Add(a.pause))
	}
	switch {
	case a.hold == 0 || now.After(a.lift.Add(4*a.hold)):
		a.hold = holdLeast
	case now.After(a.lift): // it was tried again, and too soon
		a.hold = min(2*a.hold, holdMost)
	}
	a.lift = now.Add(a.hold)
	a.growing, a.probing = false, 0
	a.ceiling = max(1, 0.9*a.limit)
	a.limit = max(1, a.limit*2/3)
	a.next()
}

// later is the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
