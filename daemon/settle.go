package daemon

import (
	"errors"

	"github.com/walpost/walpost/internal/failpoint"
	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/sender"
)

// settle turns what an attempt came to into the delivery's next state and records it where there is something to
// record.
func (p *pipeline) settle(t *target, d *delivery, r *result) {
	if r.Verdict == sender.Delivered {
		p.counters.delivered.Add(1)
		if !d.recorded() && !p.keepsSuccesses() && len(r.captures) == 0 {
			d.event.resolve(1)
			return
		}
	}
	entry := ledger.Attempted{
		ID: d.ID, Event: d.Row, Topic: d.Topic, Webhook: d.Webhook, Attempt: d.attempt, Fence: d.fence,
		Verdict: r.Verdict.String(), Class: r.classText(), Status: r.Status,
		Duration: r.Duration, Excerpt: r.excerpt(), Captures: r.captures, Done: p.settled(d),
	}
	if !d.recorded() {
		entry.Epoch = d.event.term.epoch
	}
	switch r.Verdict {
	case sender.Delivered:
		entry.State = ledger.Delivered
	case sender.Gone:
		p.counters.parked.Add(1)
		entry.State = ledger.Parked
		entry.Disable = &ledger.Reason{By: "endpoint", Why: "answered 410 Gone"}
		disabled, settled := r.disabled, entry.Done
		entry.Done = func(err error) {
			failpoint.Hit(failpoint.WebhookDisabled)
			disabled()
			settled(err)
		}
	case sender.Rejected:
		p.counters.failed.Add(1)
		entry.State = ledger.Failed
	case sender.Interrupted:
		if !d.recorded() {
			p.returnOwed(ledger.Pending, []*delivery{d})
			return
		}
		entry.State = ledger.Pending
	case sender.Retry:
		delay, again := t.endpoint.Policy().Next(d.attempt, r.Outcome)
		if again {
			p.counters.retried.Add(1)
			entry.State, entry.DueIn = ledger.Retrying, delay
		} else {
			p.counters.failed.Add(1)
			entry.State = ledger.Failed
		}
	}
	_ = p.submit(entry) // only fails when we are told to stop working: then the attempt is repeated
}

// gone disables the queue of an endpoint that answered 410. The result is to be called once the ledger knows it.
func (p *pipeline) gone(q *queue) (durable func()) {
	p.log.Warn().Str(keyWebhook, q.name).Str(keyTry, "walpost enable --replay "+q.name).
		Msg("webhook disabled: its endpoint answered 410 Gone")
	waiting, durable := q.gone()
	p.returnOwed(ledger.Parked, waiting)
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
func (p *pipeline) misrendered(d *delivery, problem route.Problem) {
	if !d.recorded() {
		_ = p.quarantine(d.event, problem)
		return
	}
	if err := p.submit(quarantined(d.Row, problem, nil)); err != nil {
		return
	}
	p.counters.quarantined.Add(1)
	_ = p.submit(ledger.Attempted{
		ID: d.ID, Event: d.Row, Topic: d.Topic, Webhook: d.Webhook, Attempt: d.attempt, Fence: d.fence,
		State: ledger.Cancelled, Verdict: sender.Rejected.String(), Class: classRule, Done: p.settled(d),
	})
}

func (p *pipeline) keepsSuccesses() bool {
	return string(p.plan.Load().config.Ledger.Record) == string(ledger.RecordAll)
}
