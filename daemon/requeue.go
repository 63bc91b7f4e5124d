package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/failpoint"
	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/outbox"
)

// requeueLimit is how many quarantined events one look at the ledger routes again.
const requeueLimit = 100

// requeue routes quarantined events again whose replay was asked for, under the rules that run now.
func (p *pipeline) requeue(ctx context.Context, plan *plan) error {
	claims, err := p.ledger.ClaimQuarantined(ctx, requeueLimit)
	if err != nil {
		return err
	}
	if len(claims) > 0 {
		failpoint.Hit(failpoint.QuarantineClaimed)
	}
	for i := range claims {
		if err := p.reroute(ctx, plan, &claims[i]); err != nil {
			return err
		}
	}
	return nil
}

// reroute records the deliveries that the entry's scope gives now, and then ends the entry. What fails again goes
// back into quarantine with its new diagnostic.
func (p *pipeline) reroute(ctx context.Context, plan *plan, claim *ledger.QuarantineClaim) error {
	if problem := stillBad(claim, plan.config); problem != nil {
		return p.submitted(ctx, func(done func(error)) ledger.Entry { return requarantined(claim, *problem, done) })
	}
	deliveries, problems := plan.table.Route(claim.Event)
	for _, problem := range problems {
		if inScope(claim, problem.Rule, problem.Webhook, problem.Topic) {
			return p.submitted(ctx, func(done func(error)) ledger.Entry { return requarantined(claim, problem, done) })
		}
	}
	var owed []ledger.Delivery
	for _, d := range deliveries {
		if inScope(claim, d.Rule, d.Webhook, d.Topic) {
			owed = append(owed, ledger.Delivery{
				ID: d.ID, Topic: d.Topic, Webhook: d.Webhook, State: ledger.Pending, Order: ledger.Order{Key: d.Key},
			})
		}
	}
	if len(owed) > 0 {
		defer p.clearFor(plan, owed)()
		err := p.submitted(ctx, func(done func(error)) ledger.Entry {
			return ledger.Owed{Event: claim.Event, Deliveries: owed, Done: done}
		})
		if err != nil {
			return err
		}
		failpoint.Hit(failpoint.QuarantineRouted)
		signal(p.wake)
	}
	if err := p.ledger.ResolveQuarantined(ctx, claim.ID, claim.Fence); !errors.Is(err, ledger.ErrFenced) {
		return err
	}
	return nil
}

// inScope reports whether something that routing gave belongs to what the entry quarantined: all of the event, what a
// rule gives, or one delivery.
func inScope(claim *ledger.QuarantineClaim, rule, webhook, topic string) bool {
	switch {
	case claim.Webhook != "":
		return webhook == claim.Webhook && topic == claim.Topic
	case claim.Rule != "":
		return rule == claim.Rule
	default:
		return true
	}
}

// submitted submits an entry and waits until it is durable.
func (p *pipeline) submitted(ctx context.Context, entry func(done func(error)) ledger.Entry) error {
	done := make(chan error, 1)
	if err := p.ledger.Submit(ctx, entry(func(err error) { done <- err })); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func requarantined(claim *ledger.QuarantineClaim, problem route.Problem, done func(error)) ledger.Quarantined {
	entry := quarantined(claim.Event, problem, done)
	entry.Rule, entry.Webhook, entry.Topic = claim.Rule, claim.Webhook, claim.Topic // the same entry, renewed
	return entry
}

// stillBad is what is wrong with an event that was quarantined as a whole, if it still is.
func stillBad(claim *ledger.QuarantineClaim, cfg *config.Config) *route.Problem {
	if claim.Rule != "" || claim.Webhook != "" {
		return nil
	}
	row := claim.Event
	if !bytes.HasPrefix(bytes.TrimLeft(row.Payload, " \t\r\n"), []byte("{")) || !json.Valid(row.Payload) || row.Type == "" {
		return &route.Problem{Summary: badRow, Detail: "The row as it was kept is no event; insert a correct one instead."}
	}
	return tooLarge(row, cfg)
}

const badRow = "Bad outbox row"

func tooLarge(row *outbox.Row, cfg *config.Config) *route.Problem {
	limit := cfg.Outbox.MaxPayload
	if int64(len(row.Payload)) <= limit {
		return nil
	}
	return &route.Problem{
		Summary: "Payload too large",
		Detail: fmt.Sprintf("The payload has %d bytes; outbox.max_payload allows %d. Raise it, or put large data elsewhere and send a link.",
			len(row.Payload), limit),
	}
}
