package daemon

import (
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/walpost/walpost/internal/failpoint"
	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/sender"
)

// result is what an attempt came to for one delivery.
type result struct {
	sender.Outcome
	// class is one of ours, where none of the sender's says what happened.
	class    string
	captures []ledger.Capture
	// disabled is to be called once the ledger knows that the webhook is disabled; nil unless the endpoint is gone.
	disabled func()
}

// The classes of what happens beyond the wire, beside sender's.
const (
	// classRule: an expression could not be evaluated.
	classRule = "rule"
	// classWaiting: the webhook's wait_for is false, so that nothing was sent.
	classWaiting = "waiting"
	// classExpired: the event is older than the webhook's `expire`.
	classExpired = "expired"
	// classPartial: the batch was delivered, but its answer did not accept this event.
	classPartial = "partial"
)

func (r *result) classText() string {
	if r.class != "" {
		return r.class
	}
	return r.Class.String()
}

// excerpt is what the endpoint said, or else what went wrong.
func (r *result) excerpt() string {
	if len(r.Excerpt) == 0 && r.Err != nil {
		return r.Err.Error()
	}
	return string(r.Excerpt)
}

// attempt makes one attempt and brings its outcome to where it belongs: nowhere if the first attempt delivered it, else
// into the ledger. It runs in a worker of the queue.
func (p *pipeline) attempt(q *queue, w work) {
	if w.batch != nil {
		p.attemptBatch(w.batch)
		return
	}
	p.attemptOne(q, &w)
}

func (p *pipeline) attemptOne(q *queue, w *work) {
	t, d := w.target, w.first
	if p.leaves(q, d) {
		return
	}
	if d.expired(time.Now(), t.webhook.Timeout) {
		p.expired(q, t, d)
		return
	}
	if d.outdated(time.Now(), t.webhook.Expire) {
		p.outdated(q, t, d)
		return
	}
	routed, problem := d.under(t.table)
	if problem != nil {
		p.unrendered(q, t, d, *problem)
		return
	}
	request, problem := t.table.Render(p.sending, routed)
	if problem != nil {
		p.unrendered(q, t, d, *problem)
		return
	}
	a := sender.Attempt{
		DeliveryID: d.ID, Topic: d.Topic, Number: d.attempt,
		Method: request.Method, URL: request.URL, Header: request.Header, Body: request.Body,
	}
	var j *judge
	if t.judges {
		j = &judge{target: t, deliveries: []*route.Delivery{routed}}
		a.Judge = j.in(p.sending)
	}
	r := result{Outcome: p.paced(q, t, w.mark, a)}
	q.heard(&r.Outcome)
	if j != nil {
		j.explain(&r)
		p.uncaptured(&r, j)
		r.captures = p.captures(&r, j, 0)
	}
	if r.Verdict == sender.Gone {
		r.disabled = p.gone(q)
	}
	p.logAttempt(d, &r)
	p.settle(q, t, d, &r)
}

// send makes the request.
func (p *pipeline) send(t *target, a sender.Attempt) sender.Outcome {
	failpoint.Hit(failpoint.BeforeRequest)
	outcome := t.endpoint.Send(p.sending, a)
	failpoint.Hit(failpoint.AfterResponse)
	return outcome
}

// unrendered handles a delivery whose request can't be made: by no attempt, or not now, which counts as one that
// failed.
func (p *pipeline) unrendered(q *queue, t *target, d *delivery, problem route.Problem) {
	r := result{Outcome: sender.Outcome{Verdict: sender.Retry, SentAt: time.Now(), Err: problem}}
	if problem.Err != nil {
		r.Err = fmt.Errorf("%w: %w", problem, problem.Err)
	}
	switch {
	case !problem.Temporary && !problem.Waiting:
		q.finish(d)
		p.misrendered(q, d, problem)
		p.advance(q, d)
		return
	case p.sending.Err() != nil:
		r.Verdict, r.Class = sender.Interrupted, sender.ClassInterrupted
	case problem.Waiting:
		r.class = classWaiting
	default:
		r.class = classRule
	}
	p.logAttempt(d, &r)
	p.settle(q, t, d, &r)
}

// expired handles a claim that is too old: the ledger gives the delivery out again. It does so at once where others wait for it.
func (p *pipeline) expired(q *queue, t *target, d *delivery) {
	if d.Key != "" {
		p.settle(q, t, d, &result{Outcome: sender.Outcome{Verdict: sender.Interrupted, Class: sender.ClassInterrupted}})
	}
}

var errOutdated = errors.New("not sent: the event is older than the webhook's `expire` allows")

// outdated fails a delivery whose time is over, without a request.
func (p *pipeline) outdated(q *queue, t *target, d *delivery) {
	r := result{Outcome: sender.Outcome{Verdict: sender.Rejected, SentAt: time.Now(), Err: errOutdated}, class: classExpired}
	p.logAttempt(d, &r)
	p.settle(q, t, d, &r)
}

// logAttempt writes one line per attempt: successes at debug level, as there are thousands in a second.
func (p *pipeline) logAttempt(d *delivery, r *result) {
	p.logged(r).Str(keyDelivery, d.ID).Str(keyTopic, d.Topic).Str(keyWebhook, d.Webhook).
		Int(keyAttempt, d.attempt).Msg("attempt")
}

func (p *pipeline) logged(r *result) *zerolog.Event {
	level := zerolog.WarnLevel
	switch {
	case r.Verdict == sender.Delivered:
		level = zerolog.DebugLevel
	case r.class == classWaiting:
		level = zerolog.InfoLevel
	}
	return p.log.WithLevel(level).Stringer(keyVerdict, r.Verdict).Str(keyClass, r.classText()).
		Int(keyStatus, r.Status).Dur(keyDuration, r.Duration).AnErr(keyError, r.Err)
}
