package route

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/walpost/walpost/config"
)

// Compile makes the table of a checked configuration, which it doesn't change. The
// diagnostics are what only the whole shows, such as a rule that no webhook listens to; the
// table is nil if one of them is an error.
func Compile(cfg *config.Config, options ...Option) (*Table, hcl.Diagnostics) {
	c := &compiler{
		rewriter: rewriter{functions: cfg.Functions},
		table: &Table{
			functions:  cfg.Functions,
			work:       workLimit,
			topics:     map[string]*topic{},
			eventTypes: map[string][]*topic{},
			webhooks:   map[string]*webhook{},
		},
	}
	for _, option := range options {
		option(c.table)
	}
	c.locals = c.newLocals(nil, cfg.Locals)
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

// Option is a setting of [Compile].
type Option func(*Table)

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
		if !slices.ContainsFunc(w.Topics, func(pattern string) bool { return config.MatchTopic(pattern, name) }) {
			continue
		}
		t.takers = append(t.takers, c.table.webhooks[w.Name])
		if w.Enabled {
			t.webhooks = append(t.webhooks, c.table.webhooks[w.Name])
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
		at:    r.DeclRange,
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
	shared := c.locals
	defer func() { c.locals = shared }()
	c.locals = c.newLocals(shared, w.Locals)
	compiled := &webhook{
		name:     w.Name,
		enabled:  w.Enabled,
		when:     c.condition(w.When),
		waitFor:  c.condition(w.WaitFor),
		method:   w.Method,
		url:      c.url(w.URL),
		query:    c.params(w.Query),
		headers:  make([]header, len(w.Headers)),
		params:   c.params(w.BodyParams),
		envelope: w.Envelope,
		batch:    w.Batch,
		judge:    c.judge(w),
		order:    c.order(w),
		at:       w.DeclRange,
	}
	for i, h := range w.Headers {
		compiled.headers[i] = header{name: http.CanonicalHeaderKey(h.Name), value: c.expression(h.Value)}
	}
	compiled.taken = takenKeys(compiled)
	if w.Form != nil {
		compiled.form = &form{params: c.params(w.Form)}
	}
	if w.Body != nil {
		compiled.body = newBody(c.expression(w.Body))
	}
	return compiled
}

// params compiles named values.
func (c *compiler) params(declared []config.Param) []param {
	compiled := make([]param, len(declared))
	for i, p := range declared {
		compiled[i] = param{
			name:  attrStep(p.Name),
			key:   append(appendString(nil, p.Name), ':'),
			value: compileJSON(c.expression(p.Value)),
			at:    p.Value.Range(),
		}
	}
	return compiled
}

// condition compiles a `when`; nil is always true.
func (c *compiler) condition(when hcl.Expression) condition {
	if when == nil {
		return condition{}
	}
	return condition{expr: c.expression(when), reads: c.readings(when)}
}
