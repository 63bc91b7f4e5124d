package daemon

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/sender"
)

// queue is the bulkhead of one webhook: its waiting deliveries, bounded in number and bytes, and the attempts
// that run, bounded by the webhook's concurrency. Nothing that its endpoint does reaches another queue.
//
// A goroutine exists per running attempt, never per waiting delivery.
type queue struct {
	name    string
	crowd   *crowd
	budget  *budget // of claimed payloads
	attempt func(*queue, work)
	workers sync.WaitGroup
	// room is signalled when a full queue may take again, wake when a claim from the ledger would find room.
	room, wake chan struct{}
	// recording is held by who takes ordered deliveries into the ledger; see order.go. It is taken before mu.
	recording sync.Mutex

	mu      sync.Mutex
	target  *target
	gate    gate
	pace    pace
	waiting line
	keys    heldKeys
	bytes   int64
	running int
	claims  claims
	// answered is when the endpoint answered last, in Unix nanoseconds.
	answered atomic.Int64
	// slow is whether the latest attempt took slowAfter or longer.
	slow atomic.Bool
	// before is the queue of the same webhook whose attempts still run, heir the one in this one's place; nil: there is none.
	before, heir *queue
	// unrecorded are the running attempts of deliveries that the ledger doesn't know yet.
	unrecorded map[*delivery]struct{}
	lastPush   time.Time
	// ahead: we disabled the webhook ourselves and the ledger didn't know it until aheadUntil, or doesn't yet.
	ahead      bool
	aheadUntil time.Time
	// backlog says that the ledger has more for this webhook than the last claim took.
	backlog bool
	// alarm goes off at alarmAt, when what waits is to go: a batch that waits for more members, what the pace holds back. It
	// is nil until there is one.
	alarm   *time.Timer
	alarmAt time.Time
}

// target is what a reload replaces in a queue: where to send and within which limits.
type target struct {
	webhook  *config.Webhook
	url      string // source text of the webhook's URL
	table    *route.Table
	judges   bool           // answers are judged by expressions of the webhook
	options  sender.Options // that the endpoint was made with
	endpoint *sender.Endpoint
}

// owedShare is the part of a webhook's concurrency, and of what goes, that owed deliveries get beside a flood of fresh ones.
const owedShare = 8

// maxQueueBytes bounds the payload bytes that wait in one queue, beside its bound in deliveries.
const maxQueueBytes = 8 << 20

// gate says whether a queue starts attempts.
type gate uint8

const (
	gateOpen     gate = iota
	gateDisabled      // the webhook is disabled: deliveries are parked until it is enabled
	gateStopped       // we shut down, or the webhook left the configuration: deliveries stay owed
)

// admission is a queue's answer to a delivery.
type admission uint8

const (
	admitted admission = iota
	refusedFull
	refusedDisabled
	refusedStopped
	refusedHeld // the ledger owes others of its key, which go before it
	refusedDead // the breaker is open
)

func newQueue(name string, t *target, attempt func(*queue, work), wake chan struct{}) *queue {
	q := &queue{
		name: name, attempt: attempt, target: t, wake: wake,
		room:       make(chan struct{}, 1),
		unrecorded: map[*delivery]struct{}{},
	}
	q.pace.follow(t.webhook, t.url, time.Now())
	q.keys.forget()
	return q
}

// push takes a fresh delivery, or says why not.
func (q *queue) push(d *delivery, now time.Time, m memory) admission {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch q.gate {
	case gateDisabled:
		return refusedDisabled
	case gateStopped:
		return refusedStopped
	}
	if !q.pace.takes(q.running+q.waiting.len(), now) {
		return refusedDead
	}
	if d.Key != "" && q.keys.has(d.Key) {
		return refusedHeld
	}
	if !q.fits(d, m) && (!q.hurry() || !q.fits(d, m)) {
		q.backlog = true // or will be soon
		return refusedFull
	}
	if q.pace.auto != nil && q.running+q.waiting.len() == 0 {
		q.pace.auto.begin(now)
	}
	q.waiting.push(d)
	q.bytes += d.size()
	q.lastPush = now
	q.start()
	return admitted
}

// fits reports whether there is room for a fresh delivery. The caller holds mu.
func (q *queue) fits(d *delivery, m memory) bool {
	n, bytes := q.waiting.unknown(), q.bytes+d.size()
	switch {
	case d.Key != "" && q.crowded(d):
		return false
	case m == ample:
		return bytes <= maxQueueBytes
	case n >= q.target.webhook.Queue:
		return false
	case m == short:
		return n == 0 || bytes+int64(n)*deliveryOverhead <= q.crowd.spare()
	default:
		return n == 0 || bytes <= maxQueueBytes
	}
}

// start gives the waiting deliveries workers, as far as the concurrency allows. The caller holds mu.
func (q *queue) start() {
	for q.ready(q.running) && q.due() {
		q.launch()
	}
	q.await()
}

// ready reports whether an attempt may start beside those that run. The caller holds mu.
func (q *queue) ready(running int) bool {
	return q.gate == gateOpen && running < q.slots() && q.waiting.len() > 0 && q.pace.free(running)
}

// slots is how many attempts may run at a time. The caller holds mu.
func (q *queue) slots() int {
	fair := q.crowd.bound(q.target.webhook.Concurrency, q.answered.Load())
	return q.pace.slots(fair) - q.before.remaining()
}

// launch starts a worker. The caller holds mu and knows that a delivery waits.
func (q *queue) launch() {
	w := q.take()
	q.running++
	q.crowd.add(1)
	q.workers.Go(func() { q.run(w) })
}

// run attempts deliveries, or batches of them, one after the other until none is due.
func (q *queue) run(w work) {
	for w.first != nil {
		held := w.claimedSize()
		q.attempt(q, w)
		w = q.next(held)
	}
	q.pass()
}

// next takes a worker's next work; none ends the worker. held are the bytes of claimed payloads that the last one held.
func (q *queue) next(held int64) work {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.hold(-held)
	if q.ready(q.running-1) && q.due() {
		w := q.take()
		if q.running < q.target.webhook.Concurrency {
			q.start() // the crowd may have thinned out
		}
		return w
	}
	q.running--
	q.crowd.add(-1)
	if q.backlog && q.waiting.len() < q.batchSize() {
		signal(q.wake)
	}
	q.await()
	return work{}
}

// take moves the front, or a batch from the front on, from waiting to running. The caller holds mu and knows that
// one waits.
func (q *queue) take() work {
	q.pace.started()
	w := work{target: q.target, first: q.takeFront(), mark: q.mark()}
	if q.target.webhook.Batch != nil {
		w.batch = q.takeBatch(w.first)
		w.batch.mark = w.mark
	}
	signal(q.room)
	return w
}

func (q *queue) takeFront() *delivery {
	d := q.waiting.pop()
	q.took(d)
	return d
}

func (q *queue) took(d *delivery) {
	q.bytes -= d.size()
	switch {
	case !d.recorded():
		q.unrecorded[d] = struct{}{}
	case q.backlog && q.waiting.owed.len() == 0:
		signal(q.wake)
	}
}

// heard notes whether the endpoint has answered an attempt, whatever it said, and how long it took.
func (q *queue) heard(o *sender.Outcome) {
	q.slow.Store(o.Duration >= slowAfter)
	if o.Status != 0 {
		q.answered.Store(o.SentAt.Add(o.Duration).UnixNano())
	}
}

// finish ends the delivery's attempt for the watch on late ones. When the watch has recorded the delivery
// meanwhile, finish waits until that record is on its way, so that the outcome is written after it.
func (q *queue) finish(d *delivery) {
	q.mu.Lock()
	delete(q.unrecorded, d)
	recording := d.recording
	q.mu.Unlock()
	if recording != nil {
		<-recording
	}
}

// late takes out what is older than parkAfter: the waiting deliveries, which leave the queue, and the running ones, which
// go on under their term's fence. Both are to be recorded, the running ones first; the caller closes recording of these once it has
// handed them to the ledger, and holds the queue's recording until then. What waits for the rest of a batch is not late for
// that.
func (q *queue) late(now time.Time, parkAfter time.Duration) (waiting, running []*delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	patience := parkAfter
	if batch := q.target.webhook.Batch; batch != nil {
		patience = max(patience, batch.Wait+watchEvery)
	}
	for d := q.waiting.fresh.front(); d != nil && now.Sub(d.since) > patience; d = q.waiting.fresh.front() {
		waiting = append(waiting, q.waiting.drop(&q.waiting.fresh)...)
	}
	behind, running := q.lateBehind(now, patience)
	for d := range q.unrecorded {
		if now.Sub(d.since) > parkAfter {
			running = append(running, q.lend([]*delivery{d})...)
		}
	}
	return q.leaving(append(waiting, behind...)), running
}

// forsake takes out the fresh deliveries that wait: another daemon leads, which has them from the stream, too.
func (q *queue) forsake() (waiting []*delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.waiting.fresh.len() > 0 {
		waiting = append(waiting, q.waiting.drop(&q.waiting.fresh)...)
	}
	for _, k := range q.waiting.lanes.of {
		waiting = append(waiting, q.waiting.lanes.unknown(k)...)
	}
	waiting = slices.DeleteFunc(waiting, func(d *delivery) bool {
		q.bytes -= d.size()
		q.hold(-d.claimedSize())
		return d.recorded() // it is owed anyway
	})
	q.await()
	return waiting
}

// shut closes the gate and takes out all that waits, but for what waits behind a running attempt of its key: that leaves when
// the attempt is over. It gives back what the ledger doesn't know. Running attempts go on. The hardest gate wins: what is
// stopped can't become merely disabled. The caller holds recording.
//
// heads are the claimed ones of which others wait for their turn: their leases need not run out.
func (q *queue) shut(g gate) (fresh, heads []*delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.gate = max(q.gate, g)
	fresh, heads = q.empty()
	q.await()
	return fresh, heads
}

// empty takes out all that waits, but for what waits behind a running attempt of its key, and gives back what the ledger
// doesn't know. The caller holds mu and recording.
func (q *queue) empty() (fresh, heads []*delivery) {
	var waiting []*delivery
	for _, ring := range []*ring{&q.waiting.owed, &q.waiting.fresh} {
		for ring.len() > 0 {
			if d := ring.front(); d.Key != "" && d.recorded() {
				heads = append(heads, d)
			}
			waiting = append(waiting, q.waiting.drop(ring)...)
		}
	}
	return q.leaving(waiting), heads
}

// closed reports whether the queue's webhook is disabled, so that its deliveries are to be parked.
func (q *queue) closed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.gate == gateDisabled
}

// gone notes that the queue's endpoint is gone. Until durable is called, and for whatever was read from the
// ledger before that, what the ledger says of the webhook is older than what we know.
func (q *queue) gone() (durable func()) {
	q.disabling(true)
	return func() { q.disabling(false) }
}

func (q *queue) disabling(now bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ahead, q.aheadUntil = now, time.Now()
}

// enable opens the gate of a disabled queue if the ledger, as read at the given time, knows all that we know.
func (q *queue) enable(read time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.gate == gateDisabled && !q.ahead && read.After(q.aheadUntil) {
		q.gate = gateOpen
		q.keys.forget() // enabling may have brought others due
	}
}

// aimed is the current target.
func (q *queue) aimed() *target {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.target
}

// aim replaces the target and gives back the old one.
func (q *queue) aim(t *target) *target {
	q.mu.Lock()
	defer q.mu.Unlock()
	old := q.target
	q.target = t
	q.pace.follow(t.webhook, t.url, time.Now())
	q.start()
	return old
}

// free is how many deliveries a claim from the ledger may bring now: as many as can start at once, and a share of the
// concurrency even if fresh ones fill it. How long it may lease them comes with it.
func (q *queue) free() (n int, lease time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.target.webhook
	if q.gate != gateOpen {
		return 0, leaseOf(w)
	}
	slots := q.slots()
	n, share := q.pace.claimable(slots-q.running, q.running), q.pace.claimable(max(1, slots/owedShare), q.running)
	if w.Batch != nil {
		n, share = min(n*q.batchSize(), w.Queue), share*q.batchSize()
	}
	waiting := q.waiting.heads()
	if w.Batch != nil {
		waiting = q.waiting.len()
	}
	return max(0, n-waiting, share-q.waiting.owed.len()), leaseOf(w)
}

// lease is how long the ledger grants a delivery to the queue.
func (q *queue) lease() time.Duration { return leaseOf(q.aimed().webhook) }

// leaseOf is the longest that a claimed delivery waits and is attempted, with a margin for the outcome's way to the ledger.
func leaseOf(w *config.Webhook) time.Duration {
	lease := w.Timeout + leaseMargin
	if w.Batch != nil {
		lease += w.Batch.Wait
	}
	return lease
}

// claimed notes whether the ledger may have more for this webhook.
func (q *queue) claimed(backlog bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.backlog = backlog
}

// stalled reports whether the delivery that has waited longest has waited for too long for the endpoint to be
// called merely busy.
func (q *queue) stalled(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	d := q.waiting.fresh.front()
	return d != nil && now.Sub(d.since) > stallAfter
}

// starving reports whether the queue had traffic a moment ago and has nothing to do now.
func (q *queue) starving(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.gate == gateOpen && q.waiting.len() == 0 && q.running < q.slots() &&
		now.Sub(q.lastPush) < recentTraffic
}
