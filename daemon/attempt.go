package daemon

import (
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/sender"
)

// attempt makes one attempt for a delivery and brings its outcome to where it belongs: nowhere if the first
// attempt delivered it, else into the ledger. It runs in a worker of the delivery's queue.
func (p *pipeline) attempt(q *queue, t *target, d *delivery) {
	if d.expired(time.Now(), t.webhook.Timeout) {
		return // the claim is too old: the ledger gives the delivery out again
	}
	request, problem := d.table.Render(p.sending, &d.Delivery)
	if problem != nil {
		q.finish(d)
		p.misrendered(d, *problem)
		return
	}
	outcome := t.endpoint.Send(p.sending, sender.Attempt{
		DeliveryID: d.ID, Topic: d.Topic, Number: d.attempt,
		Method: request.Method, URL: request.URL, Header: request.Header, Body: request.Body,
	})
	q.finish(d)
	p.logAttempt(d, outcome)
	p.settle(q, t, d, outcome)
}

// settle turns an outcome into the delivery's next state and records it where there is something to record.
func (p *pipeline) settle(q *queue, t *target, d *delivery, o sender.Outcome) {
	entry := ledger.Attempted{
		ID: d.ID, Event: d.Row, Topic: d.Topic, Webhook: d.Webhook, Attempt: d.attempt, Fence: d.fence,
		Verdict: o.Verdict.String(), Class: o.Class.String(), Status: o.Status,
		Duration: o.Duration, Excerpt: excerpt(o), Done: p.settled(d),
	}
	switch o.Verdict {
	case sender.Delivered:
		p.counters.delivered.Add(1)
		if !d.recorded() && !p.keepsSuccesses() {
			d.event.resolve(1)
			return
		}
		entry.State = ledger.Delivered
	case sender.Gone:
		entry.State = ledger.Parked
		entry.Disable = &ledger.Reason{By: "endpoint", Why: "answered 410 Gone"}
		p.counters.parked.Add(1)
		p.log.Warn().Str(keyWebhook, q.name).Str(keyTry, "walpost enable --replay "+q.name).
			Msg("webhook disabled: its endpoint answered 410 Gone")
		waiting, durable := q.gone()
		p.returnOwed(ledger.Parked, waiting)
		settled := entry.Done
		entry.Done = func(err error) { durable(); settled(err) }
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
		delay, again := t.endpoint.Policy().Next(d.attempt, o)
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
	e := &event{row: *d.Row}
	if err := p.submit(quarantined(e, problem, nil)); err != nil {
		return
	}
	p.counters.quarantined.Add(1)
	_ = p.submit(ledger.Attempted{
		ID: d.ID, Event: d.Row, Topic: d.Topic, Webhook: d.Webhook, Attempt: d.attempt, Fence: d.fence,
		State: ledger.Cancelled, Verdict: sender.Rejected.String(), Class: classRule, Done: p.settled(d),
	})
}

// classRule is the class of a delivery that ended because a rule couldn't be evaluated, beside sender's classes.
const classRule = "rule"

func (p *pipeline) keepsSuccesses() bool {
	return string(p.plan.Load().config.Ledger.Record) == string(ledger.RecordAll)
}

// excerpt is what the endpoint said, or else what went wrong.
func excerpt(o sender.Outcome) string {
	if len(o.Excerpt) == 0 && o.Err != nil {
		return o.Err.Error()
	}
	return string(o.Excerpt)
}

// logAttempt writes one line per attempt: successes at debug level, as there are thousands in a second.
func (p *pipeline) logAttempt(d *delivery, o sender.Outcome) {
	level := zerolog.WarnLevel
	if o.Verdict == sender.Delivered {
		level = zerolog.DebugLevel
	}
	p.log.WithLevel(level).Str(keyDelivery, d.ID).Str(keyTopic, d.Topic).Str(keyWebhook, d.Webhook).
		Int(keyAttempt, d.attempt).Stringer(keyVerdict, o.Verdict).Stringer(keyClass, o.Class).
		Int(keyStatus, o.Status).Dur(keyDuration, o.Duration).AnErr(keyError, o.Err).Msg("attempt")
}
