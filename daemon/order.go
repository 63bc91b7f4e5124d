package daemon

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/walpost/walpost/internal/ledger"
)

// Per-key order in a queue (docs/ordering.md). A key is either in memory or in the ledger, as far as its fresh deliveries are
// concerned: as soon as one goes into the ledger, all that wait behind it go, and all that come later (held). So the ledger
// gets a key's deliveries in commit order, and whatever it has of a key is ahead of all that comes.
//
// Whoever takes a fresh ordered delivery out of the queue, or past it, into the ledger, holds the queue's `recording` from
// before he decides that until the entries are with the ledger's writer: then they are in order there, too.

const (
	// keyShare is how many fresh deliveries may wait behind one of their key.
	keyShare = 32
	// keyStall is how long the first of them may wait before they no longer are a reason to read slower.
	keyStall = time.Second
	// keyRun is how many deliveries of a key a claim brings at a time.
	keyRun = 64
	// keyMost is how many deliveries a claim brings of a webhook, those included that go after others.
	keyMost = 1024
)

// order is the delivery's place as the ledger keeps it.
func (d *delivery) order() ledger.Order { return ledger.Order{Key: d.Key, N: d.n} }

// capacity is what a claim may bring the queue: n deliveries that can start at once, and more that go after them.
func (q *queue) capacity(n int, lease time.Duration) ledger.Capacity {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := ledger.Capacity{Webhook: q.name, Limit: n, Lease: lease, Run: keyRun, Most: max(n, min(n*keyRun, keyMost))}
	if q.target.webhook.Batch != nil {
		c.Run, c.Most = q.batchSize(), n
	}
	return c
}

// crowded reports whether too many wait behind the one of the delivery's key. The caller holds mu.
func (q *queue) crowded(d *delivery) bool {
	k := q.waiting.lanes.of[d.Key]
	return k != nil && k.length >= min(keyShare, q.target.webhook.Queue)
}

// keyStalled reports whether what waits of the delivery's key has waited for too long to wait for it.
func (q *queue) keyStalled(d *delivery, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	k := q.waiting.lanes.of[d.Key]
	return k != nil && k.first != nil && now.Sub(k.first.since) > keyStall
}

// pushClaimed takes what a claim has brought, all at once: an attempt of the first of a key that fails at once must find those
// that are to wait for it. If the gate is shut they are dropped: their leases end, and they come again.
func (q *queue) pushClaimed(claimed []*delivery, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.gate != gateOpen {
		return
	}
	for _, d := range claimed {
		q.waiting.push(d)
		q.bytes += d.size()
		q.hold(d.claimedSize())
	}
	q.claims.at = now
	q.lastPush = now
	q.start()
}

// leaving takes deliveries out of the queue's account, and notes that those which the ledger doesn't know are on their way
// to it; these it gives back. The caller holds mu and recording.
func (q *queue) leaving(gone []*delivery) (fresh []*delivery) {
	for _, d := range gone {
		q.bytes -= d.size()
		q.hold(-d.claimedSize())
		if d.Key != "" {
			q.keys.writing(d.Key)
		}
		if d.recorded() { // the ledger has it, and owes it
			if d.Key != "" {
				q.keys.written(d.Key)
			}
			continue
		}
		fresh = append(fresh, d)
	}
	signal(q.room)
	return fresh
}

// advance gives the turn to the next of the key of a delivery that is final. stranded: the gate is shut, so that it must go
// into the ledger.
func (q *queue) advance(d *delivery) (stranded bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	k := q.waiting.lanes.of[d.Key]
	if q.gate != gateOpen && k.first != nil && len(k.running) == 1 {
		return true
	}
	q.waiting.ended(d)
	if q.waiting.len() > 1 {
		q.start() // the worker that has asked takes one itself
	}
	return false
}

// stop ends a delivery's attempt that didn't bring it to an end, and takes out what waits behind it.
func (q *queue) stop(d *delivery) (behind []*delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.unrecorded, d)
	q.keys.writing(d.Key)
	if k := q.keys.of[d.Key]; k != nil {
		k.failing = true
	}
	return q.leaving(q.waiting.lanes.stop(d))
}

// stopped reports whether one before the delivery, which was taken with it, must be attempted again.
func (q *queue) stopped(d *delivery) bool {
	if d.Key == "" {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting.lanes.of[d.Key].stopped
}

// clear takes all out of the queue that waits of a key, to be recorded before one that the caller records. What is being
// attempted is to be recorded too.
func (q *queue) clear(key string) (running, waiting []*delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.keys.writing(key)
	if k := q.waiting.lanes.of[key]; k != nil {
		running = q.lend(k.running)
	}
	return running, q.leaving(q.waiting.extract(key))
}

// lend prepares running attempts that the ledger doesn't know to be recorded while they go on. The caller holds mu and
// closes recording of each once it has handed it to the ledger.
func (q *queue) lend(running []*delivery) (lent []*delivery) {
	for _, d := range running {
		if _, ok := q.unrecorded[d]; ok {
			d.fence, d.recording = d.event.term.fence(), make(chan struct{})
			delete(q.unrecorded, d)
			lent = append(lent, d)
		}
	}
	return lent
}

// lateBehind takes out the fresh deliveries that have waited for too long behind others, with all that waits for them. The
// caller holds mu and recording.
func (q *queue) lateBehind(now time.Time, patience time.Duration) (late, lent []*delivery) {
	for _, k := range q.waiting.lanes.of {
		d := k.first
		for d != nil && d.recorded() {
			d = d.next
		}
		if d == nil || now.Sub(d.since) <= patience {
			continue
		}
		lent = append(lent, q.lend(k.running)...)
		late = append(late, q.waiting.lanes.unknown(k)...)
	}
	return late, lent
}

// claimedKey notes that something of the key was claimed.
func (q *queue) claimedKey(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if k := q.keys.of[key]; k != nil {
		k.failing = false
	}
}

// written is called when an entry of the key has arrived in the ledger, or never will.
func (q *queue) written(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.keys.written(key)
}

// ticked is the present tick of what is recorded in order.
func (q *queue) ticked() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.keys.tick
}

// whole notes that the queue has got all that the ledger owed of a key, at that tick: what comes now waits behind it here.
func (q *queue) whole(key string, tick uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting.lanes.of[key] != nil {
		q.keys.free(key, tick)
	}
}

// settleInOrder is settle for a delivery that has a key: what waits behind it goes on if it is final, else into the ledger.
func (p *pipeline) settleInOrder(q *queue, d *delivery, r *result, o outcome) {
	if o.state.Final() {
		q.finish(d)
		p.conclude(q, d, r, o)
		p.advance(q, d)
		return
	}
	q.recording.Lock()
	defer q.recording.Unlock()
	behind := q.stop(d)
	p.conclude(q, d, r, o)
	p.oweInOrder(q, behind)
}

// advance gives the turn to the next of the key of a delivery that is final.
func (p *pipeline) advance(q *queue, d *delivery) {
	if d.Key == "" || !q.advance(d) {
		return
	}
	q.recording.Lock()
	defer q.recording.Unlock()
	q.mu.Lock()
	behind := q.leaving(q.waiting.lanes.stop(d))
	q.mu.Unlock()
	p.oweInOrder(q, behind)
}

// giveBack ends a taken delivery that is not to be attempted now: others of its key go before it.
func (p *pipeline) giveBack(q *queue, d *delivery) {
	q.recording.Lock()
	defer q.recording.Unlock()
	behind := q.stop(d)
	if d.recorded() {
		q.written(d.Key) // the ledger has it
	} else {
		behind = append([]*delivery{d}, behind...)
	}
	p.oweInOrder(q, behind)
}

// oweInOrder records fresh deliveries that have left the queue, each of which is noted as on its way. The caller holds
// recording.
func (p *pipeline) oweInOrder(q *queue, fresh []*delivery) {
	if len(fresh) == 0 {
		return
	}
	state := ledger.Pending
	if q.closed() {
		state = ledger.Parked
	}
	for _, d := range fresh {
		if p.owe(q, d, state, 0) != nil {
			return // told to stop working: the rows are unresolved, the slot sends them again
		}
	}
}

// owe records a fresh delivery; due is when, if its attempt runs.
func (p *pipeline) owe(q *queue, d *delivery, state ledger.State, due time.Duration) error {
	entry := d.entry(state)
	entry.Fence, entry.DueIn = d.fence, due
	done := p.resolves(d.event, 1)
	p.counters.parked.Add(1)
	return p.submit(ledger.Owed{Epoch: d.event.term.epoch, Event: d.Row, Deliveries: []ledger.Delivery{entry}, Done: q.arrives(d, done)})
}

// arrives is done, and notes of a delivery with a key that it has arrived in the ledger.
func (q *queue) arrives(d *delivery, done func(error)) func(error) {
	if d.Key == "" {
		return done
	}
	return func(err error) {
		q.written(d.Key)
		done(err)
		q.wakeFor(d)
	}
}

// concluded is done, and notes of a delivery with a key that its outcome has arrived in the ledger.
func (q *queue) concluded(d *delivery, o outcome, done func(error)) func(error) {
	switch {
	case d.Key == "":
		return done
	case !o.state.Final():
		return q.arrives(d, done)
	}
	return func(err error) {
		done(err)
		q.wakeFor(d)
	}
}

// wakeFor wakes the claimer if the next of the delivery's key may be due, and the queue has none of it.
func (q *queue) wakeFor(d *delivery) {
	q.mu.Lock()
	k := q.keys.of[d.Key]
	due := q.waiting.lanes.of[d.Key] == nil && (d.more || q.keys.wide || k != nil && !k.failing)
	q.mu.Unlock()
	if due {
		signal(q.wake)
	}
}

// recordInOrder brings a fresh delivery that its queue didn't take into the ledger, behind all others of its key; or into the
// queue, if it can take it now.
func (p *pipeline) recordInOrder(q *queue, d *delivery) error {
	q.recording.Lock()
	defer q.recording.Unlock()
	if q.push(d, time.Now(), p.budget.pressure()) == admitted {
		return nil
	}
	p.clear(q, d.Key)
	state := ledger.Pending
	if q.closed() {
		state = ledger.Parked
	}
	return p.owe(q, d, state, 0)
}

// clear records all of a key that the queue has, and notes that the caller is to record one more. It holds recording.
func (p *pipeline) clear(q *queue, key string) {
	running, waiting := q.clear(key)
	p.lent(q, running)
	p.oweInOrder(q, waiting)
}

// clearFor clears the keys of deliveries that the caller is to record, until the result is called.
func (p *pipeline) clearFor(plan *plan, owed []ledger.Delivery) (recorded func()) {
	var ends []func()
	for _, d := range owed {
		q, key := plan.queues[d.Webhook], d.Order.Key
		if q == nil || key == "" {
			continue
		}
		q.recording.Lock()
		p.clear(q, key)
		q.recording.Unlock()
		ends = append(ends, func() { q.written(key) })
	}
	return func() {
		for _, end := range ends {
			end()
		}
	}
}

// lent records attempts that go on.
func (p *pipeline) lent(q *queue, running []*delivery) {
	for _, d := range running {
		if d.Key != "" {
			q.mu.Lock()
			q.keys.writing(d.Key)
			q.mu.Unlock()
		}
		_ = p.owe(q, d, ledger.Pending, q.lease()) // only fails when we are told to stop working
		close(d.recording)
	}
}

// inCommitOrder sorts a batch's members, of which several may have the same key.
func inCommitOrder(members []*delivery) {
	slices.SortStableFunc(members, func(a, b *delivery) int {
		return cmp.Or(cmp.Compare(a.Row.LSN, b.Row.LSN), cmp.Compare(a.n, b.n))
	})
}

// readHeld learns from the ledger which keys it owes something of, where that isn't known, and which it no longer does.
func (p *pipeline) readHeld(ctx context.Context, plan *plan) error {
	for name, q := range plan.queues {
		if !plan.table.Orders(name) {
			continue
		}
		if err := q.readKeys(ctx, p.ledger); err != nil {
			return err
		}
	}
	return nil
}

// forgetHeld makes the ledger's keys unknown: another daemon may have led.
func (p *pipeline) forgetHeld() {
	for _, q := range p.plan.Load().queues {
		q.mu.Lock()
		q.keys.forget()
		q.mu.Unlock()
	}
}

func (q *queue) readKeys(ctx context.Context, book *ledger.Ledger) error {
	q.mu.Lock()
	now := time.Now()
	unread, doubtful, tick := q.keys.unread(now), q.keys.doubtful(now), q.keys.tick
	q.mu.Unlock()
	switch {
	case unread:
		const most = maxHeldBytes / heldOverhead
		keys, err := book.OrderKeys(ctx, q.name, most)
		q.mu.Lock()
		defer q.mu.Unlock()
		q.keys.learn(now, keys, err == nil && len(keys) < most)
		return err
	case len(doubtful) > 0:
		open, err := book.OrderOpen(ctx, q.name, doubtful)
		if err != nil {
			return err
		}
		q.mu.Lock()
		defer q.mu.Unlock()
		for _, key := range doubtful {
			if !slices.Contains(open, key) && q.waiting.lanes.of[key] == nil {
				q.keys.free(key, tick)
			}
		}
	}
	return nil
}
