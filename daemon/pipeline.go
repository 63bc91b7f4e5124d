package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/outbox"
)

// pipeline is what the parts that move deliveries share.
type pipeline struct {
	log      zerolog.Logger
	ledger   *ledger.Ledger
	budget   *budget
	crowd    crowd
	plan     atomic.Pointer[plan]
	leaving  sync.Map // the queues by name whose webhooks left the configuration, until their last attempt ends
	counters counters
	parking  parking
	// sending ends at the second signal, or when draining takes too long: running attempts are interrupted.
	// working ends some seconds later: what didn't reach the ledger by then stays unresolved.
	sending, working context.Context
	// wake, of capacity 1, makes the claimer look at the ledger now.
	wake chan struct{}
	// turned is a test's signal, closed once the claimer has looked at the ledger.
	turned atomic.Pointer[chan struct{}]
	// term is the one in which this daemon leads, nil while it doesn't. overtaken says that another has the slot's epoch.
	// goesOn waits while it is in doubt whether a term does.
	term      atomic.Pointer[term]
	overtaken func(*term)
	goesOn    func(*term) bool
	// fail ends the daemon with an error that must not be passed over.
	fail func(error)
}

// submit hands an entry to the ledger's writer and waits while its buffer is full: this is where a ledger that is
// down holds up the stream.
func (p *pipeline) submit(e ledger.Entry) error { return p.ledger.Submit(p.working, e) }

// park records deliveries of an event as owed, and resolves them when that is durable.
func (p *pipeline) park(e *event, owed []ledger.Delivery) error {
	if len(owed) == 0 {
		return nil
	}
	p.counters.parked.Add(uint64(len(owed)))
	return p.submit(ledger.Owed{Epoch: e.term.epoch, Event: &e.row, Deliveries: owed, Done: p.resolves(e, len(owed))})
}

// quarantine keeps the event, or one delivery of it, with the problem that it gave.
func (p *pipeline) quarantine(e *event, problem route.Problem) error {
	p.counters.quarantined.Add(1)
	p.log.Warn().Str(keyEvent, e.row.ID).Str(keyRule, problem.Rule).Str(keyWebhook, problem.Webhook).
		Str(keyTopic, problem.Topic).Str(keyProblem, problem.Error()).Msg("event quarantined")
	entry := quarantined(&e.row, problem, p.resolves(e, 1))
	entry.Epoch = e.term.epoch
	return p.submit(entry)
}

func quarantined(row *outbox.Row, problem route.Problem, done func(error)) ledger.Quarantined {
	return ledger.Quarantined{
		Event: row, Rule: problem.Rule, Webhook: problem.Webhook, Topic: problem.Topic,
		Diagnostic: problem.Error(), Done: done,
	}
}

// resolves is the Done of an entry that stands for n unresolved deliveries of the event.
func (p *pipeline) resolves(e *event, n int) func(error) {
	return func(err error) {
		if errors.Is(err, ledger.ErrStopped) {
			return // we end: the event stays unresolved, and the slot sends it again
		}
		if errors.Is(err, ledger.ErrFenced) { // who leads now has the event, too
			e.leave(n)
			p.overtaken(e.term)
			return
		}
		if err != nil {
			// Passing over it would lose the event; its transaction stays unconfirmed instead.
			p.fail(fmt.Errorf("record event %s: %w", e.row.ID, err))
			return
		}
		e.resolve(n)
	}
}

// shutQueue shuts a queue and records what waited in it. What the ledger has already is owed anyway.
func (p *pipeline) shutQueue(q *queue, g gate) {
	q.recording.Lock()
	defer q.recording.Unlock()
	fresh, heads := q.shut(g)
	p.oweInOrder(q, fresh)
	for _, d := range heads {
		_ = p.submit(ledger.Attempted{ // only fails when we are told to stop working
			ID: d.ID, Event: d.Row, Topic: d.Topic, Webhook: d.Webhook, Attempt: d.attempt, Fence: d.fence, Order: d.order(),
			State: ledger.Pending, Verdict: ledger.VerdictInterrupted, Done: p.settled(d),
		})
	}
}
