package daemon

import (
	"math/rand/v2"
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
// The start is TCP's: few at a time, and half as many again as soon as those have been answered as quickly as the others. So
// an endpoint that takes 20 ms is at 500 after a quarter of a second. One that had nothing to do for a while is started anew: it
// may be another one by now.
//
// An endpoint that says that it is too much (429, 502, 503, 504, no answer in time) is believed at once: the limit falls by
// a third, or to what got through if that is less, and stays below where that happened for a while, as each such answer costs a
// delivery an attempt.
type adaptive struct {
	most  float64
	limit float64
	// growing is the start: the limit grows in large steps until something waits at the endpoint.
	growing bool
	floor   time.Duration // the mean when nothing waits
	known   int           // answers of the start that the floor is the mean of
	used    time.Time     // when the limit kept something waiting last

	window   uint64          // its number: only attempts that started in it count
	settling int             // attempts to end before it begins: they started under another limit
	waits    []time.Duration // what the window's answers took
	busy     bool            // something waited for one of our attempts to end

	// probing is the limit to go back to, while the floor is measured; 0: it is not.
	probing float64
	probed  time.Duration // the first measure, if it is to be taken twice
	since   int           // windows since the floor was measured
	cuts    int           // windows in a row that cut the limit
	calm    int           // windows in a row in which nothing waited
	rate    float64       // answers in a second before the last large step
	// doubt is what seemed to wait in the last window, if that was too much for the first time: 0 if it wasn't.
	doubt float64

	// cut is the window that the endpoint's word ended last, room how many attempts at a time it seems to have had room for.
	cut  uint64
	room float64

	ceiling float64 // where the endpoint said that it is too much, until it is lifted
	lift    time.Time
	hold    time.Duration
	resume  time.Time     // nothing starts before
	pause   time.Duration // before resume, when there is nothing left to cut
	alone   int           // failures since there was nothing left to cut

	failures int // in the window
	// answered and failed are what the latest attempts came to, half of latest at least and latest at most once there were as many.
	answered, failed float64
}

const (
	// startAt is the limit for an endpoint of which nothing is known.
	startAt = 4
	// restAfter is how long an endpoint may have nothing to wait for before nothing is known of it.
	restAfter = time.Minute
	// growingWindow and steadyWindow are the least numbers of answers that a window judges by.
	growingWindow, steadyWindow = 4, 24
	// quick is a difference between means that means nothing, whatever the floor.
	quick = 250 * time.Microsecond
	// probeEvery is the number of windows after which the floor is measured again if something seems to wait; probeSoon if the
	// limit was cut again and again, which a floor that is no longer true would do.
	probeEvery, probeSoon, probeCuts = 16, 4, 3
	// leastGain is what a large step, by half, must bring, from paysFrom on: few answers say little, and few connections cost little.
	leastGain, paysFrom = 1.15, 32
	// sureOf is how many answers a floor must be the mean of before it is one that others are compared with.
	sureOf = 64
	// calmGrows is the number of windows in a row in which nothing waits, after which the start is resumed.
	calmGrows = 4
	// holdLeast and holdMost are how long a limit stays below the ceiling.
	holdLeast, holdMost = 10 * time.Second, 5 * time.Minute
	// caution is for how long after that an endpoint is only tried by small steps.
	caution = time.Hour
	// pauseLeast and pauseMost are the pauses of an endpoint that says 429 to one attempt at a time.
	pauseLeast, pauseMost = time.Second, 5 * time.Second
	// retryAfterMost bounds what one answer can ask of the whole webhook, since it may be about its own event only.
	retryAfterMost = time.Minute
	// aloneMost is how many attempts fail, one at a time, until it isn't their number that is wrong.
	aloneMost = 3
	// apart is the part of a timeout within which the next attempts begin at random: hundreds of endpoints that never answer must not
	// do so at the same moment, for as long as they are dead.
	apart = 8
	// failuresLeast and failuresShare are how many failures a window must have, and which share of the limit and of the latest
	// attempts, to be more than chance; latest is how many attempts those are.
	failuresLeast, failuresShare, latest = 3, 0.05, 400
)

func newAdaptive(most int) *adaptive {
	a := &adaptive{growing: true, limit: startAt}
	a.bound(most)
	return a
}

// begin takes note of work for an endpoint that has none.
func (a *adaptive) begin(now time.Time) {
	if a.limit <= startAt || now.Sub(a.used) < restAfter {
		return
	}
	a.growing, a.limit, a.floor, a.known, a.rate = !a.warned(now, caution), startAt, 0, 0, 0
	a.probing, a.probed, a.since, a.cuts, a.calm, a.doubt = 0, 0, 0, 0, 0, 0
	a.next()
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
	if busy {
		a.busy, a.used = true, now
	}
	if !overloaded(o) {
		a.alone = 0
		a.answered++
		a.forget()
	}
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

// enough is how many answers a window judges by: in the start as many as began when the limit was raised.
func (a *adaptive) enough() int {
	if a.growing {
		return max(growingWindow, a.slots()/3)
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
	case a.probing > 0 && a.probed == 0 && mean > a.floor*3/2:
		a.probed = mean // if that is so, it is so twice
		a.busy = false
	case a.probing > 0:
		if a.probed > 0 {
			mean = min(mean, a.probed)
		}
		a.learnFloor(mean)
		a.limit, a.probing, a.probed, a.since = a.probing, 0, 0, 0
		a.busy = false // that says nothing of the limit
	case a.floor == 0 || a.growing && mean < a.floor:
		a.sharpenFloor(mean, len(a.waits))
	case !a.busy && mean < a.floor*2/3:
		a.learnFloor(mean)
	}
	if a.busy {
		a.adjust(mean, now)
	}
	a.pause = 0
	a.next()
}

// sharpenFloor has the start's floor be a mean of all answers that say it: the first ones are few, and slow where an endpoint
// has to wake up.
func (a *adaptive) sharpenFloor(mean time.Duration, answers int) {
	a.floor = (a.floor*time.Duration(a.known) + mean*time.Duration(answers)) / time.Duration(a.known+answers)
	a.known += answers
}

// next begins another window: in the start with the next attempt, later once those have ended that started before.
func (a *adaptive) next() {
	a.window++
	a.settling = a.slots()
	if a.growing {
		a.settling = 0
	}
	a.waits, a.failures = a.waits[:0], 0
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
	if a.known < sureOf {
		a.sharpenFloor(mean, len(a.waits))
		return
	}
	if mean > a.floor*3/2 || mean < a.floor*2/3 {
		a.floor = min(mean, 2*a.floor)
		return
	}
	a.floor = (a.floor + mean) / 2
}

// adjust follows what a window says, in which the limit was what kept attempts waiting. That too many wait must be seen twice in a
// row: when our own machine, or the network, stands still for a moment, all that is in flight takes longer.
func (a *adaptive) adjust(mean time.Duration, now time.Time) {
	a.since++
	least := a.floor + a.floor/20 + quick
	waiting := a.limit * max(0, 1-float64(least)/float64(mean))
	low, high := 1+a.limit/24, 3+a.limit/12
	if a.growing && !a.pays(mean) {
		waiting = max(waiting, high+1)
	}
	switch {
	case waiting <= low:
		a.doubt, a.cuts = 0, 0
		a.calm++
		if !a.growing && a.calm >= calmGrows && !a.warned(now, caution) {
			a.growing, a.rate = true, a.limit/mean.Seconds()
		}
		a.grow(now)
		return
	case waiting <= high:
		a.growing, a.doubt, a.cuts = false, 0, 0
	case a.doubt == 0:
		a.doubt = waiting
	case a.growing:
		a.growing = false
		a.limit = max(1, a.limit-min(waiting, a.doubt)+low)
		a.doubt = 0
	default:
		a.cuts++
		a.limit = max(1, a.limit-min(waiting-low, a.limit/8))
	}
	a.calm = 0
	if !a.growing && (a.since >= probeEvery || a.since >= probeSoon && a.cuts >= probeCuts) {
		a.cuts = 0
		a.probing, a.limit = a.limit, max(1, a.limit/2)
	}
}

// pays reports whether the last large step has brought more answers in a second, whatever the floor is taken for: a step that
// hasn't only brought connections.
func (a *adaptive) pays(mean time.Duration) bool {
	rate := a.limit / mean.Seconds()
	if a.limit >= paysFrom && rate < a.rate*leastGain {
		return false
	}
	a.rate = rate
	return true
}

// warned reports whether the endpoint said that it is too much, and for how long after the ceiling was lifted that counts.
func (a *adaptive) warned(now time.Time, within time.Duration) bool {
	return a.hold > 0 && now.Before(a.lift.Add(within))
}

// grow raises the limit by a step.
func (a *adaptive) grow(now time.Time) {
	if !now.Before(a.lift) {
		a.ceiling = a.most
	}
	step := max(1, a.limit/8)
	if a.growing {
		step = max(2, a.limit/2)
	}
	a.limit = min(a.limit+step, a.ceiling, a.most)
}

// backOff cuts the limit, once for all attempts of a window.
func (a *adaptive) backOff(window uint64, o *sender.Outcome, now time.Time) {
	if asked := min(o.RetryAfter, retryAfterMost); asked > 0 {
		a.resume = later(a.resume, now.Add(asked))
	}
	if window == a.cut && a.room >= 2 {
		// It started beside the one that the limit was cut for: what got through is what there was room for.
		a.room--
		a.limit = min(a.limit, a.room)
	}
	if window != a.window {
		return // it started before the last change, which is the answer to it, or has nothing to do with it
	}
	a.cut, a.room = a.window, a.limit-1
	if a.limit < 2 && o.Status == http.StatusTooManyRequests {
		a.pause = min(max(2*a.pause, pauseLeast), pauseMost)
		a.resume = later(a.resume, now.Add(a.pause))
	}
	if o.Status != http.StatusTooManyRequests && (a.hopeless() || a.chance()) {
		if o.Class == sender.ClassTimeout {
			a.resume = later(a.resume, now.Add(rand.N(max(1, o.Duration/apart))))
		}
		return
	}
	switch {
	case !a.warned(now, 4*a.hold):
		a.hold = holdLeast
	case now.After(a.lift): // it was tried again, and too soon
		a.hold = min(2*a.hold, holdMost)
	}
	a.lift = now.Add(a.hold)
	a.ceiling = max(1, 0.9*a.limit)
	a.limit = max(1, a.limit*2/3)
	a.growing, a.probing, a.probed, a.calm, a.doubt = false, 0, 0, 0, 0
	a.next()
}

// hopeless notes that an endpoint neither answers nor takes what comes one at a time, and reports whether the number can't be what
// is wrong. Then it is sent to as one of which nothing is known, so that every delivery has its attempts when they are due,
// as without limits that adapt; not doing that is the breaker's task.
func (a *adaptive) hopeless() bool {
	if a.limit >= 2 && a.alone < aloneMost {
		return false
	}
	if a.alone++; a.alone >= aloneMost {
		a.limit, a.growing = min(startAt, a.most), false
		return true
	}
	return false
}

// chance notes a failure that isn't the endpoint's own word, and reports whether there are so few of them that they needn't say
// anything of how much it is sent: few in the window, or fewer than answers and rare for a while, as one in a hundred comes three
// times in some window or other.
func (a *adaptive) chance() bool {
	a.failures++
	a.failed++
	a.forget()
	few := float64(a.failures) < max(failuresLeast, a.limit*failuresShare)
	rare := a.failures < len(a.waits) && a.failed < failuresShare*(a.answered+a.failed)
	return few || rare
}

// forget keeps to the latest attempts.
func (a *adaptive) forget() {
	if a.answered+a.failed > latest {
		a.answered, a.failed = a.answered/2, a.failed/2
	}
}

// later is the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
