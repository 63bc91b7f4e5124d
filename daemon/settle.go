package daemon

import (
	"errors"
	"time"

	"github.com/walpost/walpost/internal/failpoint"
	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/sender"
)

// outcome is what becomes of a delivery.
type outcome struct {
	state ledger.State
	dueIn time.Duration // of the next attempt
}

// outcome says what the attempt means for the delivery.
func (t *target) outcome(d *delivery, r *result) outcome {
	switch r.Verdict {
	case sender.Delivered:
		return outcome{state: ledger.Delivered}
	case sender.Gone:
		return outcome{state: ledger.Parked}
	case sender.Rejected:
		return outcome{state: ledger.Failed}
	case sender.Retry:
		if delay, again := t.endpoint.Policy().Next(d.attempt, r.Outcome); again {
			return outcome{state: ledger.Retrying, dueIn: delay}
		}
		return outcome{state: ledger.Failed}
	default: // interrupted
		return outcome{state: ledger.Pending}
	}
}

// settle ends an attempt: it turns what it came to into the delivery's next state, and records that where there is something
// to record.
func (p *pipeline) settle(q *queue, t *target, d *delivery, r *result) {
	o := t.outcome(d, r)
	if d.Key != "" {
		p.settleInOrder(q, d, r, o)
		return
	}
	q.finish(d)
	p.conclude(q, d, r, o)
}

// conclude records what became of a delivery whose attempt is no longer watched.
func (p *pipeline) conclude(q *queue, d *delivery, r *result, o outcome) {
	p.count(o.state)
	if o.state == ledger.Delivered && !d.recorded() && !p.keepsSuccesses() && len(r.captures) == 0 {
		d.event.resolve(1)
		return
	}
	if o.state == ledger.Pending && !d.recorded() {
		_ = p.owe(q, d, o.state, 0) // only fails when we are told to stop working: then the attempt is repeated
		return
	}
	entry := ledger.Attempted{
		ID: d.ID, Event: d.reference(), Topic: d.Topic, Webhook: d.Webhook, Attempt: d.attempt, Fence: d.fence, Order: d.order(),
		State: o.state, DueIn: o.dueIn, Verdict: r.Verdict.String(), Class: r.classText(), Status: r.Status,
		Duration: r.Duration, Excerpt: r.excerpt(), Captures: r.captures, Done: q.concluded(d, o, p.settled(d)),
	}
	if !d.recorded() {
		entry.Epoch = d.event.term.epoch
	}
	if r.Verdict == sender.Gone {
		entry.Disable = &ledger.Reason{By: "endpoint", Why: "answered 410 Gone"}
		disabled, settled := r.disabled, entry.Done
		entry.Done = func(err error) {
			failpoint.Hit(failpoint.WebhookDisabled)
			disabled()
			settled(err)
		}
	}
	_ = p.submit(entry) // as above
}

func (p *pipeline) count(s ledger.State) {
	switch s {
	case ledger.Delivered:
		p.counters.delivered.Add(1)
	case ledger.Parked:
		p.counters.parked.Add(1)
	case ledger.Retrying:
		p.counters.retried.Add(1)
	case ledger.Failed:
		p.counters.failed.Add(1)
	}
}

// gone disables the queue of an endpoint that answered 410. The result is to be called once the ledger knows it.
func (p *pipeline) gone(q *queue) (durable func()) {
	p.log.Warn().Str(keyWebhook, q.name).Str(keyTry, "walpost enable --replay "+q.name).
		Msg("webhook disabled: its endpoint answered 410 Gone")
	durable = q.gone()
	p.shutQueue(q, gateDisabled)
	return durable
}

// settled is what happens once an outcome is durable.
func (p *pipeline) settled(d *delivery) func(error) {
	if !d.recorded() {
		return p.resolves(d.event, 1)
	}
	return func(err error) {
		if err != nil && !errors.Is(err, ledger.ErrFenced) && !errors.Is(err, ledger.ErrStopped) {
			p.fail(err)
		}
	}
}

// misrendered handles a delivery whose request the rules can't make of its event.
func (p *pipeline) misrendered(q *queue, d *delivery, problem route.Problem) {
	if !d.recorded() {
		_ = p.quarantine(d.event, problem)
		return
	}
	if err := p.submit(quarantined(d.Row, problem, nil)); err != nil {
		return
	}
	p.counters.quarantined.Add(1)
	_ = p.submit(ledger.Attempted{
		ID: d.ID, Event: d.Row, Topic: d.Topic, Webhook: d.Webhook, Attempt: d.attempt, Fence: d.fence, Order: d.order(),
		State: ledger.Cancelled, Verdict: sender.Rejected.String(), Class: classRule,
		Done: q.concluded(d, outcome{state: ledger.Cancelled}, p.settled(d)),
	})
}

func (p *pipeline) keepsSuccesses() bool {
	return string(p.plan.Load().config.Ledger.Record) == string(ledger.RecordAll)
}
