//go:build unix

package faults

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/walpost/walpost/internal/ledger"
)

// operatorFaults are what somebody does to deliveries of disabled webhooks in the middle of it all. What is cancelled of a
// webhook that is to deliver is replayed later, at the end of the run at the latest.
var operatorFaults = []fault{
	{name: "parked deliveries cancelled", inject: func(ctx context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
		return nil, g.cancelParked(ctx)
	}},
	{name: "cancelled deliveries replayed", inject: func(ctx context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
		ctx, cancel := context.WithTimeout(ctx, operatorPatience)
		defer cancel()
		_ = g.replayCancelled(ctx) // the ledger may be locked, or full; the end of the run does it
		return nil, nil
	}},
}

// operatorPatience is how long an operator waits for a ledger that has a fault.
const operatorPatience = 2 * time.Second

// cancellations are the deliveries that were cancelled, by id.
type cancellations struct {
	mu sync.Mutex
	of map[string]*cancellation
}

// cancellation is when a delivery was seen to be cancelled, and when it was replayed last, if it was.
type cancellation struct{ seen, replayed time.Time }

// cancelParked cancels what is parked, as walpost does after ledger.hold.
func (g *ground) cancelParked(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, operatorPatience)
	defer cancel()
	_, _ = g.ledger.CancelHeld(ctx, 0) // the ledger may be locked, or full
	_, _ = g.noteCancelled(ctx)
	return nil
}

// noteCancelled keeps which deliveries are cancelled now, and gives those that are to arrive.
func (g *ground) noteCancelled(ctx context.Context) (lacking []string, err error) {
	views, err := g.ledger.Deliveries(ctx, ledger.Filter{States: []ledger.State{ledger.Cancelled}, Limit: 1_000_000})
	if err != nil {
		return nil, err
	}
	g.cancelled.mu.Lock()
	defer g.cancelled.mu.Unlock()
	for i := range views {
		v := &views[i]
		if v.LastClass != ledger.ClassHeld {
			continue
		}
		if c := g.cancelled.of[v.ID]; c == nil || c.replayed.After(c.seen) {
			g.cancelled.of[v.ID] = &cancellation{seen: time.Now()}
		}
		if webhookNamed(v.Webhook).outcome != isParked {
			lacking = append(lacking, v.ID)
		}
	}
	return lacking, nil
}

// replayCancelled replays what was cancelled and is to arrive.
func (g *ground) replayCancelled(ctx context.Context) error {
	lacking, err := g.noteCancelled(ctx)
	if err != nil || len(lacking) == 0 {
		return err
	}
	g.cancelled.mu.Lock()
	for _, id := range lacking {
		g.cancelled.of[id].replayed = time.Now()
	}
	g.cancelled.mu.Unlock()
	_, err = g.ledger.Replay(ctx, ledger.Filter{IDs: lacking, States: []ledger.State{ledger.Cancelled}})
	return err
}

// checkCancelled: what is cancelled isn't attempted until it is replayed, but for what a process had on its way.
func (c *checker) checkCancelled() {
	for d, all := range c.receiver.book {
		given := c.cancelled.of[all[0].id]
		if given == nil {
			continue
		}
		for i := range all {
			q := &all[i]
			late := q.received.After(given.seen.Add(goneGrace)) && (given.replayed.IsZero() || q.received.Before(given.replayed))
			if late && len(c.journal.during(given.seen, q.received)) == 0 {
				c.problem("cancelled: %v was sent %s after it was cancelled:\n%s", d, q.received.Sub(given.seen), c.story(d.event))
				return
			}
		}
	}
}

// wasCancelled reports whether a delivery was cancelled at any time.
func (c *checker) wasCancelled(id string) bool { return c.cancelled.of[id] != nil }
