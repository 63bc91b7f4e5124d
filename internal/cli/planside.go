package cli

import (
	"context"
	"fmt"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/internal/ruletest"
	"github.com/walpost/walpost/outbox"
)

// planSide is one of the two configurations that a plan compares.
type planSide struct {
	config  *config.Config
	table   *route.Table
	secrets *ruletest.Secrets
}

func (p *planning) newSide(cfg *config.Config, book *ledger.Ledger) (*planSide, error) {
	table, diagnostics := route.Compile(cfg, route.WithCaptures(capturesOf(book)))
	if diagnostics.HasErrors() {
		return nil, p.refuse(cfg.Files, diagnostics)
	}
	return &planSide{config: cfg, table: table, secrets: ruletest.NewSecrets(cfg)}, nil
}

// capturesOf answers captured() from the ledger. Where there is none yet, nothing was captured.
func capturesOf(book *ledger.Ledger) func(ctx context.Context, webhook, key string) ([]byte, bool, error) {
	return func(ctx context.Context, webhook, key string) ([]byte, bool, error) {
		value, found, err := book.Captured(ctx, webhook, key)
		if hasNoLedger(err) {
			return nil, false, nil
		}
		return []byte(value), found, err
	}
}

// notLookedUp is the error of a request that needs something captured which could not be looked up.
func notLookedUp(p *route.Problem) error {
	return fmt.Errorf("look up what was captured: %w", p.Err)
}

// target is where a delivery of a row goes.
type target struct{ webhook, topic string }

// outcome is what becomes of a delivery. Two are the same if they are equal.
type outcome struct {
	request string // method, URL, headers and body, as they are sent
	shown   string // the same for people, without secrets
	problem string // why there is none
}

// outcomes are what the configuration makes of a row.
func (s *planSide) outcomes(ctx context.Context, row *outbox.Row) (map[target]outcome, error) {
	all := map[target]outcome{}
	deliveries, problems := s.table.Route(row)
	for _, p := range problems {
		all[target{p.Webhook, p.Topic}] = outcome{problem: p.Error()}
	}
	for i := range deliveries {
		d := &deliveries[i]
		request, problem := s.table.RenderBatch(ctx, []*route.Delivery{d})
		if problem != nil && problem.Temporary {
			return nil, notLookedUp(problem)
		}
		all[target{d.Webhook, d.Topic}] = s.outcome(d, request, problem)
	}
	return all, nil
}

func (s *planSide) outcome(d *route.Delivery, request route.Request, problem *route.Problem) outcome {
	switch {
	case problem != nil && problem.Waiting:
		return outcome{request: "waiting", shown: "waits: its wait_for is not true\n"}
	case problem != nil:
		return outcome{problem: problem.Error()}
	}
	text := request.Method + " " + request.URL + "\n"
	for name, values := range sorted(request.Header) {
		for _, value := range values {
			text += name + ": " + value + "\n"
		}
	}
	return outcome{
		request: text + "\n" + string(request.Body),
		shown:   ruletest.Describe(s.secrets, s.config.Webhook(d.Webhook), request),
	}
}
