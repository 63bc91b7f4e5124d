package daemon

import (
	"sync/atomic"
	"time"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/outbox"
)

// event is one outbox row on its way: it holds the row until every delivery that it gave is resolved, and only
// then tells the stream that the row's part of the WAL is no longer needed.
type event struct {
	row    outbox.Row
	source cdc.Row
	size   int64 // bytes that the row keeps in memory, its deliveries aside
	open   atomic.Int32
	budget *budget
	term   *term // in which it was received
	left   atomic.Bool
}

// expect sets how many deliveries must be resolved before the event is; it is called once, before any of them
// can be.
func (e *event) expect(deliveries int) {
	e.open.Store(int32(deliveries))
	e.budget.take(int64(deliveries) * deliveryOverhead)
}

// resolve counts n deliveries as delivered or durably recorded. The last one releases the event.
func (e *event) resolve(n int) {
	if e.open.Add(int32(-n)) > 0 {
		e.budget.release(int64(n) * deliveryOverhead)
		return
	}
	e.budget.release(int64(n)*deliveryOverhead + e.size)
	if !e.left.Load() {
		e.source.Resolve()
	}
}

// leave counts n deliveries as left to who leads now. The event is never resolved: no position of ours may pass it.
func (e *event) leave(n int) {
	e.left.Store(true)
	e.resolve(n)
}

// place is the place of the event's ith delivery among those of its transaction.
func (e *event) place(i int) int64 { return int64(e.source.Ordinal)<<16 | int64(i) }

// delivery is a route.Delivery in memory. The queue that holds it guards its mutable fields.
type delivery struct {
	route.Delivery
	table   *route.Table // that made it
	attempt int          // number of the next attempt, from 1
	since   time.Time    // when it was received, or claimed
	n       int64        // place among the deliveries of its transaction; 0 if that doesn't matter
	next    *delivery    // that waits behind it, of the same key
	more    bool         // the ledger has others of its key

	// event is nil for a delivery claimed from the ledger: its row left the WAL long ago.
	event *event
	// fence proves to the ledger that we still own the delivery; 0 while the ledger doesn't know it.
	fence int64
	// recording is closed when the record that gave the fence is on its way to the ledger; nil unless that
	// happened during the attempt.
	recording chan struct{}
	// expires is when the ledger may hand a claimed delivery to somebody else.
	expires time.Time
}

// size is what the delivery counts for in its queue's byte bound.
func (d *delivery) size() int64 { return int64(len(d.Row.Payload) + len(d.Row.Headers)) }

// claimedSize is what its payload counts for in the bound on claimed ones: 0 if it came from the stream.
func (d *delivery) claimedSize() int64 {
	if d.event != nil {
		return 0
	}
	return d.size()
}

// reference is its event for an outcome: without the payload if the ledger has that, so that what waits to be written doesn't
// keep it in memory.
func (d *delivery) reference() *outbox.Row {
	if d.event != nil {
		return d.Row
	}
	row := *d.Row
	row.Payload, row.Headers = nil, nil
	return &row
}

// expired reports whether an attempt that starts now could outlive the claim. Such a delivery is dropped
// unsent: the ledger gives it out again, so it isn't lost, and nobody else can be sending it meanwhile.
func (d *delivery) expired(now time.Time, timeout time.Duration) bool {
	return !d.expires.IsZero() && now.Add(timeout).After(d.expires)
}

// under is the delivery as the table makes it: one that was routed before a reload is made anew, under the rules that are
// in force now.
func (d *delivery) under(t *route.Table) (*route.Delivery, *route.Problem) {
	if d.table == t {
		return &d.Delivery, nil
	}
	found, ok, problem := t.Find(d.Row, d.Topic, d.Webhook)
	if !ok {
		return &d.Delivery, nil // rendering says that there is no such webhook
	}
	return &found, problem
}

// outdated reports whether the event is too old to be sent: more than expire after its commit. 0: never.
func (d *delivery) outdated(now time.Time, expire time.Duration) bool {
	return expire > 0 && now.Sub(d.Row.CommittedAt) > expire
}

// recorded reports whether the ledger has the delivery.
func (d *delivery) recorded() bool { return d.fence != 0 }

// entry is the delivery as the ledger first learns of it, in the given state.
func (d *delivery) entry(state ledger.State) ledger.Delivery {
	return ledger.Delivery{ID: d.ID, Topic: d.Topic, Webhook: d.Webhook, State: state, Order: d.order()}
}
