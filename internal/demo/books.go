package demo

import (
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/outbox"
)

// books account for every row that the application inserts and every request that the receiver gets.
// They are kept on both ends of walpost and know nothing of its insides but how a delivery's id is made.
type books struct {
	webhooks []*config.Webhook

	mu         sync.Mutex
	rows       []*row
	deliveries map[string]*delivery // by webhook-id
	strays     []string             // webhook-ids of requests that belong to no row
	forged     int                  // requests without the right signature
	gone       map[string]bool      // webhooks whose endpoint has answered 410
	changed    chan struct{}        // closed and replaced at each change
}

// row is an outbox row that the application has inserted.
type row struct {
	topics     []string // that it gives
	deliveries []*delivery
	fate       fate
	committed  time.Time // just before the commit
}

// fate is what became of a row's transaction.
type fate uint8

const (
	fateOpen fate = iota
	fateCommitted
	fateRolledBack
)

// delivery is one that is due if its row is committed.
type delivery struct {
	row            *row
	id             string // webhook-id
	topic, webhook string
	requests       []request
}

// request is one that the receiver got.
type request struct {
	attempt int // as its header says
	status  int // that was answered
	body    [sha256.Size]byte
}

func newBooks(webhooks []*config.Webhook) *books {
	return &books{
		webhooks: webhooks, deliveries: map[string]*delivery{}, gone: map[string]bool{}, changed: make(chan struct{}),
	}
}

// besides has the topics that some topics' rows give, too (DESIGN §11).
var besides = map[string]string{
	"user.created":           "contact.created",
	"lead.created":           "contact.created",
	"conversation.initiated": "conversation.message_received",
}

// topicsOf are the topics that an event is expected to give.
func topicsOf(e outbox.Event) []string {
	topic := e.Type
	if !strings.Contains(topic, ".") {
		topic = e.AggregateType + "." + e.Type
	}
	if also, ok := besides[topic]; ok {
		return []string{topic, also}
	}
	return []string{topic}
}

// open enters a row that is about to be inserted, with every delivery that it would give.
func (b *books) open(e outbox.Event) *row {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &row{topics: topicsOf(e)}
	for _, topic := range r.topics {
		for _, w := range b.webhooks {
			if !slices.ContainsFunc(w.Topics, func(pattern string) bool { return config.MatchTopic(pattern, topic) }) {
				continue
			}
			d := &delivery{row: r, id: route.DeliveryID(e.ID, topic, w.Name), topic: topic, webhook: w.Name}
			r.deliveries = append(r.deliveries, d)
			b.deliveries[d.id] = d
		}
	}
	b.rows = append(b.rows, r)
	return r
}

// committing notes the time from which a delivery's latency counts: it may arrive before commit has returned.
func (b *books) committing(r *row) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.committed = time.Now()
}

func (b *books) committed(r *row) { b.decide(r, fateCommitted) }

func (b *books) rolledBack(r *row) { b.decide(r, fateRolledBack) }

func (b *books) decide(r *row, f fate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.fate = f
	b.signal()
}

// signal wakes who waits. The caller holds mu.
func (b *books) signal() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// arrived enters a request and gives the commit time of its row, zero if no such row was to be delivered.
func (b *books) arrived(a *arrival) (committed time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.signal()
	if a.forged {
		b.forged++
		return time.Time{}
	}
	d, known := b.deliveries[a.id]
	if !known || d.webhook != a.webhook {
		b.strays = append(b.strays, a.id)
		return time.Time{}
	}
	d.requests = append(d.requests, request{attempt: a.attempt, status: a.status, body: a.body})
	if a.status == statusGone {
		b.gone[d.webhook] = true
	}
	return d.row.committed
}

// wait waits until every delivery of a committed row is as asked, or its webhook's endpoint has answered 410. It
// returns an error after the given time, or when ctx ends.
func (b *books) wait(ctx context.Context, patience time.Duration, asked func(*delivery) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		changed, done := b.look(asked)
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *books) look(asked func(*delivery) bool) (changed <-chan struct{}, done bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.rows {
		if r.fate != fateCommitted {
			continue
		}
		for _, d := range r.deliveries {
			if !asked(d) && !b.gone[d.webhook] {
				return b.changed, false
			}
		}
	}
	return b.changed, true
}

// settled asks for a good answer, attempted for any.
func settled(d *delivery) bool { return d.delivered() }

func attempted(d *delivery) bool { return len(d.requests) > 0 }

// delivered says whether the receiver has answered a request of the delivery well.
func (d *delivery) delivered() bool {
	return slices.ContainsFunc(d.requests, func(r request) bool { return r.status/100 == 2 })
}

// retried says whether there was more than one request.
func (d *delivery) retried() bool { return len(d.requests) > 1 }

// same says whether all requests had the same body.
func (d *delivery) same() bool {
	return !slices.ContainsFunc(d.requests, func(r request) bool { return r.body != d.requests[0].body })
}
