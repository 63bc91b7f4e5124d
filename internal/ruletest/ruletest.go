// Package ruletest runs the `test` blocks of a configuration: the event goes through the compiled rules, and the
// requests that come of it are compared with those that are expected. Nothing is sent.
//
// What it shows of requests (see [Describe]) has no secret in it.
package ruletest

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/route"
)

// Result is what came of one test.
type Result struct {
	Name     string        `json:"name"`
	Where    string        `json:"where"` // file:line of the block
	Passed   bool          `json:"passed"`
	Duration time.Duration `json:"duration_ns"`
	Failures []Failure     `json:"failures"` // empty if it passed
}

// Failure is one expectation that is not met.
type Failure struct {
	Webhook string `json:"webhook,omitempty"` // whose request it is about; empty: the event as such
	Where   string `json:"where"`             // file:line of the expectation
	Summary string `json:"summary"`           // a sentence; it may go on in further lines
	Diff    string `json:"diff,omitempty"`    // unified, from expected to actual
}

// Run runs those tests of the configuration that want names, in file order; nil is all of them. The diagnostics are those
// of route.Compile: if one of them is an error, nothing was run.
func Run(ctx context.Context, cfg *config.Config, want func(name string) bool) ([]Result, hcl.Diagnostics) {
	table, diagnostics := route.Compile(cfg, route.WithCaptures(captured))
	if diagnostics.HasErrors() {
		return nil, diagnostics
	}
	secrets := NewSecrets(cfg)
	results := []Result{}
	for _, t := range cfg.Tests {
		if want != nil && !want(t.Name) {
			continue
		}
		r := run{Test: t, config: cfg, table: table, secrets: secrets}
		began := time.Now()
		r.check(context.WithValue(ctx, capturesKey{}, t.Captured))
		results = append(results, Result{
			Name: t.Name, Where: where(t.DeclRange), Passed: len(r.failures) == 0,
			Duration: time.Since(began), Failures: append([]Failure{}, r.failures...),
		})
	}
	return results, diagnostics
}

// capturesKey finds what a test says was captured in the context that its requests are made in.
type capturesKey struct{}

// captured answers captured() as the context's test does.
func captured(ctx context.Context, webhook, key string) (value []byte, found bool, err error) {
	all, _ := ctx.Value(capturesKey{}).(map[string]map[string]rawJSON)
	value, found = all[webhook][key]
	return value, found, nil
}

// run is one run of one test.
type run struct {
	*config.Test
	config   *config.Config
	table    *route.Table
	secrets  *Secrets
	failures []Failure

	deliveries []*route.Delivery // of all events, not yet taken by an expectation
	problems   []route.Problem
}

func (r *run) fail(webhook string, at hcl.Range, diff, format string, args ...any) {
	r.failures = append(r.failures, Failure{
		Webhook: webhook, Where: where(at), Summary: fmt.Sprintf(format, args...), Diff: diff,
	})
}

// check routes the events and asks all expectations.
func (r *run) check(ctx context.Context) {
	for _, event := range r.Events {
		deliveries, problems := r.table.Route(event)
		for i := range deliveries {
			r.deliveries = append(r.deliveries, &deliveries[i])
		}
		r.problems = append(r.problems, problems...)
	}
	for _, p := range r.problems {
		r.fail(p.Webhook, r.DeclRange, "", "the event would be quarantined: %s", p.Error())
	}
	all := r.deliveries
	for _, e := range r.Expects {
		r.expect(ctx, e)
	}
	r.deliveries = all
	for _, webhook := range r.ExpectNone {
		r.expectNone(ctx, webhook)
	}
}

// take takes the deliveries of the expectation's next request: one, or of a batch all.
func (r *run) take(e *config.Expect) []*route.Delivery {
	limit := 1
	if most, _, ok := r.table.Batch(e.Webhook); ok {
		limit = most
	}
	given := r.gives(e)
	var taken, left []*route.Delivery
	for _, d := range r.deliveries {
		if len(taken) < limit && d.Webhook == e.Webhook && (e.Topic == "" || d.Topic == e.Topic || !given) {
			taken = append(taken, d)
		} else {
			left = append(left, d)
		}
	}
	r.deliveries = left
	return taken
}

// gives reports whether a delivery to the expectation's webhook has its topic. If none has, it is compared with what
// there is, so that the difference is shown.
func (r *run) gives(e *config.Expect) bool {
	for _, d := range r.deliveries {
		if d.Webhook == e.Webhook && d.Topic == e.Topic {
			return true
		}
	}
	return false
}

// expect compares one request with what it must be.
func (r *run) expect(ctx context.Context, e *config.Expect) {
	deliveries := r.take(e)
	if len(deliveries) == 0 {
		r.fail(e.Webhook, e.DeclRange, "", "%s gets nothing%s", e.Webhook, r.reasons(e.Webhook))
		return
	}
	request, problem := r.table.RenderBatch(ctx, deliveries)
	switch {
	case problem != nil && problem.Waiting:
		r.fail(e.Webhook, e.DeclRange, "", "%s waits: its wait_for is not true", e.Webhook)
		return
	case problem != nil:
		r.fail(e.Webhook, e.DeclRange, "", "the request can't be made: %s", problem.Error())
		return
	}
	c := newComparison(r.secrets, r.config.Webhook(e.Webhook))
	c.request(e, deliveries[0].Topic, request)
	if r.Response != nil {
		r.answer(ctx, c, e, deliveries)
	}
	if diff, note := c.diff(); diff != "" || note != "" {
		r.fail(e.Webhook, e.DeclRange, diff, "%s is not as expected%s", e.Webhook, note)
	}
}

// expectNone makes sure that the webhook gets nothing now.
func (r *run) expectNone(ctx context.Context, webhook string) {
	for _, d := range r.deliveries {
		if d.Webhook != webhook {
			continue
		}
		request, problem := r.table.RenderBatch(ctx, []*route.Delivery{d})
		switch {
		case problem != nil && problem.Waiting:
		case problem != nil:
			r.fail(webhook, r.DeclRange, "", "%s is to get nothing, and gets %s: %s", webhook, d.Topic, problem.Error())
		default:
			r.fail(webhook, r.DeclRange, "", "%s is to get nothing, and gets %s:\n%s", webhook, d.Topic,
				Describe(r.secrets, r.config.Webhook(webhook), request))
		}
	}
}

func where(at hcl.Range) string {
	if at.Filename == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", at.Filename, at.Start.Line)
}
