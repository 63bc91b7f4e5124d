package daemon

import (
	"time"

	"github.com/walpost/walpost/sender"
)

// mark is what learning from an attempt's end needs to know of its start.
type mark struct {
	auto    *adaptive
	window  uint64 // of auto
	breaker *breaker
	open    bool // the breaker was
}

// paced makes the request, and has the queue's pace learn from it. A probe that finds the endpoint dead is interrupted: it is no
// attempt of the delivery's schedule.
func (p *pipeline) paced(q *queue, t *target, m mark, a sender.Attempt) sender.Outcome {
	if !t.webhook.Auto && !t.webhook.Breaker {
		return p.send(t, a)
	}
	o := p.send(t, a)
	p.learn(q, m, a.DeliveryID, &o)
	if m.open && health(&o) == dead {
		o.Verdict = sender.Interrupted
	}
	return o
}

// mark is for an attempt that starts now. The caller holds mu.
func (q *queue) mark() mark {
	m := mark{auto: q.pace.auto, breaker: q.pace.breaker}
	if m.auto != nil {
		m.window = m.auto.window
	}
	m.open = m.breaker != nil && m.breaker.open
	return m
}

func (p *pipeline) learn(q *queue, m mark, id string, o *sender.Outcome) {
	now := time.Now()
	c, opened := q.learn(m, id, o, now)
	switch c {
	case tripped:
		p.log.Warn().Str(keyWebhook, q.name).Str(keyClass, o.Class.String()).Int(keyStatus, o.Status).AnErr(keyError, o.Err).
			Msg("endpoint seems dead: it is probed, and its deliveries are owed meanwhile")
		p.emptyQueue(q)
	case closed:
		p.log.Info().Str(keyWebhook, q.name).Dur(keyDuration, now.Sub(opened)).Msg("endpoint answers again: what is owed drains")
	}
}

// learn tells the pace what an attempt came to. What it forgot in a reload meanwhile learns nothing. opened is when the breaker
// that closed had opened.
func (q *queue) learn(m mark, id string, o *sender.Outcome, now time.Time) (c change, opened time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if m.auto != nil && m.auto == q.pace.auto {
		m.auto.ended(m.window, q.running >= q.slots() && (q.waiting.len() > 0 || q.backlog), o, now)
	}
	if m.breaker != nil && m.breaker == q.pace.breaker {
		opened = m.breaker.opened
		c = m.breaker.ended(id, o, q.pace.slots(q.target.webhook.Concurrency), now)
	}
	if c == closed {
		signal(q.wake)
	}
	q.start() // there may be more slots now
	return c, opened
}

// emptyQueue records what waits, so that it doesn't wait for an endpoint that is dead.
func (p *pipeline) emptyQueue(q *queue) {
	q.recording.Lock()
	defer q.recording.Unlock()
	q.mu.Lock()
	waiting, _ := q.empty()
	q.mu.Unlock()
	p.oweInOrder(q, waiting)
}
