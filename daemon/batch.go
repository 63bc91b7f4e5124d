package daemon

import (
	"slices"
	"strings"
	"time"

	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/sender"
)

// batch is deliveries of one webhook on their way in one request.
type batch struct {
	queue   *queue
	target  *target
	mark    mark // of its first request
	members []*delivery
	routed  []*route.Delivery // the members under the target's table, once they are asked for
}

// keep leaves only those members in the batch of which good says so; the order stays.
func (b *batch) keep(good func(i int, d *delivery) bool) {
	kept := b.members[:0]
	for i, d := range b.members {
		if good(i, d) {
			kept = append(kept, d)
		}
	}
	b.members = kept
}

// halves are two batches of the members.
func (b *batch) halves() [2]*batch {
	half := len(b.members) / 2
	return [2]*batch{
		{queue: b.queue, target: b.target, mark: b.mark, members: b.members[:half:half]},
		{queue: b.queue, target: b.target, mark: b.mark, members: b.members[half:]},
	}
}

// topics names each topic of the members once.
func (b *batch) topics() string {
	var names []string
	for _, d := range b.members {
		if !slices.Contains(names, d.Topic) {
			names = append(names, d.Topic)
		}
	}
	return strings.Join(names, ",")
}

// attempt is the highest number of an attempt among the members.
func (b *batch) attempt() int {
	highest := 0
	for _, d := range b.members {
		highest = max(highest, d.attempt)
	}
	return highest
}

// attemptBatch makes one attempt for several deliveries, in one request, and settles each of them.
func (p *pipeline) attemptBatch(b *batch) {
	now := time.Now()
	b.routed = make([]*route.Delivery, 0, len(b.members))
	b.keep(func(_ int, d *delivery) bool {
		if p.leaves(b.queue, d) {
			return false
		}
		if b.queue.stopped(d) {
			p.giveBack(b.queue, d)
			return false
		}
		if d.expired(now, b.target.webhook.Timeout) {
			p.expired(b.queue, b.target, d)
			return false
		}
		if d.outdated(now, b.target.webhook.Expire) {
			p.outdated(b.queue, b.target, d)
			return false
		}
		routed, problem := d.under(b.target.table)
		if problem != nil {
			p.unrendered(b.queue, b.target, d, *problem)
			return false
		}
		b.routed = append(b.routed, routed)
		return true
	})
	if len(b.members) == 0 {
		return
	}
	request, problem := b.target.table.RenderBatch(p.sending, b.routed)
	if problem != nil {
		p.unrenderedBatch(b, *problem)
		return
	}
	p.sendBatch(b, request)
}

// unrenderedBatch looks for the members of which no request can be made, and sends the rest.
func (p *pipeline) unrenderedBatch(b *batch, problem route.Problem) {
	whole := len(b.members)
	b.keep(func(i int, d *delivery) bool {
		own := &problem
		if whole > 1 && !problem.Temporary {
			_, own = b.target.table.RenderBatch(p.sending, b.routed[i:i+1])
		}
		if own != nil {
			p.unrendered(b.queue, b.target, d, *own)
		}
		return own == nil
	})
	if len(b.members) < whole {
		p.attemptBatch(b)
		return
	}
	p.attemptHalves(b) // each is good by itself, so they are too many, or disagree: on the URL, for example
}

// attemptHalves sends in two requests what can't go in one.
func (p *pipeline) attemptHalves(b *batch) {
	for _, half := range b.halves() {
		b.queue.turn(p.sending)
		p.attemptBatch(half)
	}
}

func (p *pipeline) logBatch(b *batch, a *sender.Attempt, r *result, failed int) {
	p.logged(r).Str(keyDelivery, a.DeliveryID).Str(keyTopic, a.Topic).Str(keyWebhook, b.queue.name).
		Int(keyAttempt, a.Number).Int(keyCount, len(b.members)).Int(keyFailed, failed).Msg("batch attempt")
}

func (p *pipeline) sendBatch(b *batch, request route.Request) {
	ids := make([]string, len(b.members))
	for i, d := range b.members {
		ids[i] = d.ID
	}
	a := sender.Attempt{
		DeliveryID: route.BatchID(ids), Topic: b.topics(), Number: b.attempt(),
		Method: request.Method, URL: request.URL, Header: request.Header, Body: request.Body,
	}
	j := &judge{target: b.target, deliveries: b.routed}
	a.Judge = j.in(p.sending)
	common := result{Outcome: p.paced(b.queue, b.target, b.mark, a)}
	if common.Verdict == sender.Rejected && common.Status != 0 && len(b.members) > 1 {
		p.logBatch(b, &a, &common, 0)
		p.attemptHalves(b) // one bad event makes the endpoint refuse all: the others must not fail for it
		return
	}
	b.queue.heard(&common.Outcome)
	j.explain(&common)
	p.uncaptured(&common, j)
	if common.Verdict == sender.Gone {
		common.disabled = p.gone(b.queue)
	}
	failed := j.failed(&common)
	p.logBatch(b, &a, &common, len(failed))
	for i, d := range b.members {
		r := common
		if failed[i] {
			r.Verdict, r.class = sender.Retry, classPartial
		} else {
			r.captures = p.captures(&r, j, i)
		}
		p.settle(b.queue, b.target, d, &r)
	}
}
