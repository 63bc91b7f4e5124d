package daemon

import (
	"context"
	"slices"
	"time"

	"github.com/walpost/walpost/internal/ledger"
)

// claims are the payloads in a queue, waiting and being attempted, that came from the ledger. The queue's mu guards them.
type claims struct {
	bytes int64
	at    time.Time // of the latest claim that brought something
}

// slowAfter is how long attempts take at an endpoint that holds the memory for what it was sent, as one that never answers does.
const slowAfter = time.Second

// hold counts bytes of claimed payloads, negative when they leave. The caller holds mu.
func (q *queue) hold(n int64) {
	q.claims.bytes += n
	if q.budget.hold(n) {
		signal(q.wake)
	}
}

// wanted is what a queue can take from the ledger.
type wanted struct {
	*queue
	capacity ledger.Capacity
	tick     uint64
	has      claims
}

// wants are what the plan's queues can take. Attempts of all webhooks are bounded, so that it makes no sense to claim more
// than may start: the rest would wait until its leases end.
func (c *claimer) wants(p *plan) (list []wanted) {
	for _, q := range p.queues {
		if n, lease := q.free(); n > 0 {
			list = append(list, wanted{q, q.capacity(n, lease), q.ticked(), q.holds()})
		}
	}
	if len(list) == 0 {
		return nil
	}
	each := max(1, c.crowd.room()/len(list))
	for i := range list {
		if of := &list[i].capacity; of.Run == 1 { // the others are not attempted at a time
			of.Limit = min(of.Limit, each)
			of.Most = of.Limit
		}
	}
	return list
}

func (q *queue) holds() claims {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.claims
}

// claim takes as many due deliveries as can start at once, and as there is memory for: the longest due of all webhooks, as
// long as less than a quarter of the memory is used.
func (c *claimer) claim(ctx context.Context, p *plan) error {
	list := c.wants(p)
	tight := c.budget.tight.Swap(false)
	if loose := c.budget.claimRoom() - c.budget.claimMost()*3/4; loose > 0 && !tight || len(list) == 0 {
		return c.claimFor(ctx, p, list, loose)
	}
	return c.takeTurns(ctx, p, list)
}

// takeTurns is claim where memory is tight: each queue gets no more than its part of the first half, and one payload in any case.
// Who has waited longest is first, and slow endpoints leave a quarter to others, so that those that don't answer keep nobody
// else's retries out.
func (c *claimer) takeTurns(ctx context.Context, p *plan, list []wanted) error {
	slices.SortFunc(list, func(a, b wanted) int { return a.has.at.Compare(b.has.at) })
	sharing := int64(0) // who wants some, or has some
	for _, q := range p.queues {
		if q.holds().bytes > 0 {
			sharing++
		}
	}
	for _, w := range list {
		if w.has.bytes == 0 {
			sharing++
		}
	}
	share := c.budget.claimMost() / 2 / max(1, sharing)
	for i, w := range list {
		room := share - w.has.bytes
		if w.has.bytes == 0 {
			room = max(1, room) // one payload, however large
		}
		free := c.budget.claimRoom()
		if w.slow.Load() {
			free -= c.budget.claimMost() / 4
		}
		turn := list[i : i+1]
		if room = min(room, free); room <= 0 {
			c.cut(turn)
			continue
		}
		if err := c.claimFor(ctx, p, turn, room); err != nil {
			return err
		}
	}
	return nil
}

// cut notes that there may be more for these queues than there is memory for.
func (c *claimer) cut(group []wanted) {
	c.budget.tight.Store(true)
	for _, w := range group {
		w.claimed(true)
	}
}
