package route

import (
	"fmt"
	"net/http"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/walpost/walpost/config"
)

// Compile makes the table of a checked configuration, which it doesn't change. The
// diagnostics are what only the whole shows, such as a rule that no webhook listens to; the
// table is nil if one of them is an error.
func Compile(cfg *config.Config) (*Table, hcl.Diagnostics) {
	c := &compiler{
		rewriter: rewriter{functions: cfg.Functions},
		table: &Table{
			functions:  cfg.Functions,
			topics:     map[string]*topic{},
			eventTypes: map[string][]*topic{},
			webhooks:   map[string]*webhook{},
		},
	}
	for _, w := range cfg.Webhooks {
		c.table.webhooks[w.Name] = c.webhook(w)
	}
	for _, declared := range cfg.Topics {
		t := c.topic(cfg, declared.Name)
		for _, eventType := range declared.EventTypes {
			key := cty.NormalizeString(eventType)
			c.table.eventTypes[key] = append(c.table.eventTypes[key], t)
		}
	}
	for _, r := range cfg.Rules {
		c.rule(cfg, r)
	}
	if c.diags.HasErrors() {
		return nil, c.diags
	}
	return c.table, c.diags
}

// compiler compiles one configuration.
type compiler struct {
	rewriter

	table *Table
	diags hcl.Diagnostics
}

// topic returns the topic of that name with the webhooks that take it.
func (c *compiler) topic(cfg *config.Config, name string) *topic {
	if t := c.table.topics[name]; t != nil {
		return t
	}
	t := &topic{name: name}
	for _, w := range cfg.Webhooks {
		if !w.Enabled {
			continue
		}
		for _, pattern := range w.Topics {
			if config.MatchTopic(pattern, name) {
				t.webhooks = append(t.webhooks, c.table.webhooks[w.Name])
				break
			}
		}
	}
	c.table.topics[name] = t
	return t
}

// rule adds a rule to the table. One whose topic no webhook takes is left out of the
// index: it would cost time and change nothing.
func (c *compiler) rule(cfg *config.Config, r *config.Rule) {
	compiled := &rule{
		name:  r.Name,
		topic: c.topic(cfg, r.Topic),
		when:  c.condition(r.When),
	}
	if r.Data != nil {
		expr := c.expression(r.Data)
		compiled.data, compiled.dataAt = compileJSON(expr), r.Data.Range()
	}
	compiled.topic.rules = append(compiled.topic.rules, compiled)
	c.table.rules = append(c.table.rules, compiled)
	switch {
	case compiled.when.never():
		c.warn("Rule never matches", r.DeclRange, "The condition of the rule %q is false for every event.", r.Name)
	case len(compiled.topic.webhooks) == 0:
		c.warn("Topic without webhook", r.DeclRange,
			"The rule %q gives the topic %q, which no enabled webhook takes, so that it has no effect.", r.Name, r.Topic)
	default:
		c.table.index.add(len(c.table.rules)-1, compiled.when.expr)
	}
}

func (c *compiler) warn(summary string, at hcl.Range, format string, args ...any) {
	c.diags = append(c.diags, &hcl.Diagnostic{
		Severity: hcl.DiagWarning, Summary: summary, Detail: fmt.Sprintf(format, args...), Subject: &at,
	})
}

func (c *compiler) webhook(w *config.Webhook) *webhook {
	compiled := &webhook{
		name:     w.Name,
		when:     c.condition(w.When),
		method:   w.Method,
		url:      c.url(w.URL),
		headers:  make([]param, len(w.Headers)),
		params:   make([]bodyParam, len(w.BodyParams)),
		envelope: w.Envelope,
		at:       w.DeclRange,
	}
	for i, h := range w.Headers {
		compiled.headers[i] = param{name: http.CanonicalHeaderKey(h.Name), value: c.expression(h.Value)}
	}
	for i, p := range w.BodyParams {
		compiled.params[i] = bodyParam{
			name:  attrStep(p.Name),
			key:   append(appendString(nil, p.Name), ':'),
			value: compileJSON(c.expression(p.Value)),
			at:    p.Value.Range(),
		}
	}
	compiled.taken = takenKeys(compiled)
	if w.Body != nil {
		compiled.body = newBody(c.expression(w.Body))
	}
	return compiled
}

// condition compiles a `when`; nil is always true.
func (c *compiler) condition(when hcl.Expression) condition {
	if when == nil {
		return condition{}
	}
	return condition{expr: c.expression(when)}
}

// expression rewrites an expression of a configuration. Those are native HCL
// (package config says so); of others only a constant can be made.
func (c *compiler) expression(expr hcl.Expression) hclsyntax.Expression {
	if native, ok := expr.(hclsyntax.Expression); ok {
		return c.rewrite(native, place{})
	}
	value, diags := expr.Value(&hcl.EvalContext{Functions: c.functions})
	c.diags = append(c.diags, diags...)
	value, _ = value.UnmarkDeep()
	return &hclsyntax.LiteralValueExpr{Val: value, SrcRange: expr.Range()}
}
