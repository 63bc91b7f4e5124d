package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/walpost/walpost/internal/failpoint"
	"github.com/walpost/walpost/internal/ledger"
)

// claimer brings what is due from the ledger into the queues that have room, and what commands wrote into the
// ledger into force: webhooks enabled and disabled, quarantined events to be routed again.
type claimer struct {
	*pipeline
	every    time.Duration
	state    trouble
	tag      string // of this start of the daemon
	breakers breakerNotes
}

func newClaimer(p *pipeline, every time.Duration, tag string) *claimer {
	return &claimer{pipeline: p, every: every, tag: tag, state: trouble{log: p.log, what: "claim due deliveries"}}
}

func (c *claimer) run(ctx context.Context) error {
	ticker := time.NewTicker(c.every)
	defer ticker.Stop()
	for {
		err := c.turn(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if ledger.Missing(err) { // it asks every second, also where nothing happens
			return fmt.Errorf("%w: %w", ledger.ErrMissing, err)
		}
		c.state.note(err)
		if turned := c.turned.Swap(nil); turned != nil {
			close(*turned)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-c.wake:
		}
	}
}

func (c *claimer) turn(ctx context.Context) error {
	p := c.plan.Load()
	if err := c.syncWebhooks(ctx, p); err != nil {
		return err
	}
	if err := c.breakers.note(ctx, p, c.ledger, c.tag); err != nil {
		return err
	}
	if err := c.readHeld(ctx, p); err != nil {
		return err
	}
	if err := c.requeue(ctx, p); err != nil {
		return err
	}
	return c.claim(ctx, p)
}

// syncWebhooks makes the queues follow the webhooks' durable state.
func (p *pipeline) syncWebhooks(ctx context.Context, plan *plan) error {
	read := time.Now()
	states, err := p.ledger.Webhooks(ctx)
	if err != nil {
		return err
	}
	for name, q := range plan.queues {
		if states[name].DisabledAt.IsZero() {
			q.enable(read)
			continue
		}
		p.shutQueue(q, gateDisabled)
		if err := p.parkWaiting(ctx, states[name]); err != nil {
			return err
		}
	}
	return nil
}

// claimFor claims up to room bytes of payloads, or more by one, and brings them into their queues.
func (c *claimer) claimFor(ctx context.Context, p *plan, group []wanted, room int64) error {
	if len(group) == 0 {
		return nil
	}
	capacities := make([]ledger.Capacity, len(group))
	ticks, left := make(map[string]uint64, len(group)), make(map[string]int, len(group))
	for i, w := range group {
		capacities[i], ticks[w.name], left[w.name] = w.capacity, w.tick, w.capacity.Limit
	}
	asked := time.Now()
	claimed, err := c.ledger.ClaimWithin(ctx, room, capacities)
	if err != nil {
		return err
	}
	if len(claimed) > 0 {
		failpoint.Hit(failpoint.ClaimTaken)
	}
	runs, made := runs{}, make(map[string][]*delivery, len(group))
	for i := range claimed {
		if room -= int64(len(claimed[i].Event.Payload)); runs.add(&claimed[i]) {
			left[claimed[i].Webhook]--
		}
		if d := c.deliveryOf(p, &claimed[i], asked); d != nil {
			made[d.Webhook] = append(made[d.Webhook], d)
		}
	}
	for _, w := range group {
		if deliveries := made[w.name]; deliveries != nil {
			w.pushClaimed(deliveries, asked)
		}
		w.claimed(left[w.name] == 0)
	}
	for run, whole := range runs {
		q := p.queues[run.webhook]
		q.claimedKey(run.key)
		if whole {
			q.whole(run.key, ticks[run.webhook])
		}
	}
	if room <= 0 {
		c.cut(group)
	}
	return nil
}

// deliveryOf makes a claimed delivery what its queue takes, nil if its request can't be made.
func (c *claimer) deliveryOf(p *plan, claimed *ledger.Claimed, asked time.Time) *delivery {
	q := p.queues[claimed.Webhook]
	found, ok, problem := p.table.Find(claimed.Event, claimed.Topic, claimed.Webhook)
	d := &delivery{
		Delivery: found, table: p.table, attempt: claimed.Attempt, since: asked,
		fence: claimed.Fence, expires: asked.Add(q.lease()), n: claimed.Order.N, more: claimed.More,
	}
	d.Key = claimed.Order.Key // as it was recorded, whatever order_by says now
	if problem != nil {
		d.ID, d.Topic, d.Webhook, d.Row = claimed.ID, claimed.Topic, claimed.Webhook, claimed.Event
		c.misrendered(q, d, *problem)
		return nil
	}
	if !ok {
		return nil
	}
	return d
}

// runs are the keys of which a claim has brought something: whether it has brought all that the ledger owed.
type runs map[run]bool

type run struct{ webhook, key string }

// add notes a claimed delivery, and reports whether it goes beside the others: it is the first of its key, or has none.
func (r runs) add(claimed *ledger.Claimed) (first bool) {
	if claimed.Order.Key == "" {
		return true
	}
	k := run{claimed.Webhook, claimed.Order.Key}
	whole, known := r[k]
	r[k] = (whole || !known) && !claimed.More
	return !known
}
