package route

import (
	"encoding/json"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/walpost/walpost/outbox"
)

// Explanation says why an event has the deliveries that it has. Unlike a [Problem], it
// has values of the event in it; it has no secrets.
type Explanation struct {
	EventTypes []string         `json:"event_types"` // the names of the row's event type that topics are looked up by
	Rules      []ExplainedRule  `json:"rules"`       // all, in file order
	Topics     []ExplainedTopic `json:"topics"`      // those that the event has, or lost to a problem
	Deliveries []Delivery       `json:"-"`           // as Route gives them
}

// Result is what came of a condition, or of a rule.
type Result string

// The results.
const (
	Matched    Result = "matched"
	NotMatched Result = "not matched"
	Failed     Result = "problem"    // a problem
	Superseded Result = "superseded" // of a rule that isn't asked, as an earlier one has its topic; else it might match
	Disabled   Result = "disabled"   // of a webhook: it takes the topic, but has enabled = false
)

// ExplainedRule is a rule with what it makes of the event.
type ExplainedRule struct {
	Name    string    `json:"name"`
	Where   string    `json:"where"` // file:line
	Topic   string    `json:"topic"`
	Result  Result    `json:"result"`
	Reads   []Reading `json:"reads"` // what its `when` reads
	Problem *Problem  `json:"problem,omitempty"`
}

// ExplainedTopic is a topic of the event.
type ExplainedTopic struct {
	Name      string             `json:"name"`
	Rule      string             `json:"rule,omitempty"`       // the rule that gives it
	EventType string             `json:"event_type,omitempty"` // or else the event type
	Data      json.RawMessage    `json:"data,omitempty"`       // nil: lost to the rule's problem
	Webhooks  []ExplainedWebhook `json:"webhooks"`             // those that take it, in file order
}

// ExplainedWebhook is a webhook that takes a topic of the event.
type ExplainedWebhook struct {
	Name     string    `json:"name"`
	Where    string    `json:"where"` // file:line
	Result   Result    `json:"result"`
	Reads    []Reading `json:"reads"` // what its `when` reads
	Problem  *Problem  `json:"problem,omitempty"`
	Delivery string    `json:"delivery,omitempty"` // its id; empty: there is none
}

// Reading is something that a condition reads.
type Reading struct {
	Name   string          `json:"name"`            // as it is written, such as "event.type"
	Value  json.RawMessage `json:"value,omitempty"` // nil: secret, or not to be had
	Secret bool            `json:"secret,omitempty"`
}

// reading is a compiled Reading.
type reading struct {
	name   string
	value  jsonExpr
	secret bool
}

// readings compiles what an expression reads of the event and of locals.
func (r *rewriter) readings(expr hcl.Expression) []reading {
	var all []reading
	for _, t := range expr.Variables() {
		name := sourceOf(t)
		if slices.ContainsFunc(all, func(other reading) bool { return other.name == name }) {
			continue
		}
		within := rewriter{functions: r.functions, locals: r.locals}
		read := within.expression(&hclsyntax.ScopeTraversalExpr{Traversal: t, SrcRange: t.SourceRange()})
		all = append(all, reading{name: name, value: compileJSON(read), secret: within.secret})
	}
	return all
}

// read returns what a condition reads of the scope's event.
func (s *scope) read(c condition) []Reading {
	made := make([]Reading, len(c.reads))
	for i, r := range c.reads {
		made[i] = Reading{Name: r.name, Secret: r.secret}
		if r.secret {
			continue
		}
		s.allow()
		if text, p := s.json(nil, r.value, hcl.Range{}); p == nil {
			made[i].Value = text
		}
	}
	return made
}

// Explain routes the event as Route does and says why.
func (t *Table) Explain(row *outbox.Row) Explanation {
	s := t.scope(row)
	defer t.release(s)
	x := explaining{scope: s, row: row, settled: map[*topic]bool{}}
	x.Rules, x.Topics = []ExplainedRule{}, []ExplainedTopic{} // never null in JSON
	for _, r := range t.rules {
		x.rule(r)
	}
	x.EventTypes = []string{row.Type, row.AggregateType + "." + row.Type}
	for topic, qualified := range t.byEventType(row) {
		if x.settled[topic] {
			continue
		}
		explained := ExplainedTopic{EventType: x.EventTypes[0]}
		if qualified {
			explained.EventType = x.EventTypes[1]
		}
		x.topic(topic, explained, row.Payload)
	}
	return x.Explanation
}

// explaining is the explanation of one event.
type explaining struct {
	Explanation

	scope   *scope
	row     *outbox.Row
	settled map[*topic]bool
}

func (x *explaining) rule(r *rule) {
	explained := ExplainedRule{Name: r.name, Where: where(r.at), Topic: r.topic.name, Result: NotMatched}
	if x.settled[r.topic] {
		x.scope.show(x.row, "", nil)
		if matches, p := x.scope.holds(r.when); matches || p != nil {
			explained.Result = Superseded
		}
		explained.Reads = x.scope.read(r.when)
		x.Rules = append(x.Rules, explained)
		return
	}
	data, matches, p := r.apply(x.scope, x.row)
	explained.Reads = x.scope.read(r.when)
	switch {
	case p != nil:
		explained.Result, explained.Problem = Failed, p
		x.settled[r.topic] = true
		x.Topics = append(x.Topics, ExplainedTopic{Name: r.topic.name, Rule: r.name, Webhooks: []ExplainedWebhook{}})
	case matches:
		explained.Result = Matched
		x.topic(r.topic, ExplainedTopic{Rule: r.name}, data)
	}
	x.Rules = append(x.Rules, explained)
}

func (x *explaining) topic(t *topic, explained ExplainedTopic, data []byte) {
	x.settled[t] = true
	explained.Name, explained.Data, explained.Webhooks = t.name, data, []ExplainedWebhook{}
	x.scope.show(x.row, t.name, data)
	for _, w := range t.takers {
		explained.Webhooks = append(explained.Webhooks, x.webhook(w, t, explained.Rule, data))
	}
	x.Topics = append(x.Topics, explained)
}

func (x *explaining) webhook(w *webhook, t *topic, rule string, data []byte) ExplainedWebhook {
	explained := ExplainedWebhook{Name: w.name, Where: where(w.at), Result: Disabled, Reads: x.scope.read(w.when)}
	if !w.enabled {
		return explained
	}
	holds, p := x.scope.holds(w.when)
	switch {
	case p != nil:
		p.Webhook, p.Topic = w.name, t.name
		explained.Result, explained.Problem = Failed, p
	case holds:
		d := newDelivery(x.row, t, w, rule, data)
		explained.Result, explained.Delivery = Matched, d.ID
		x.Deliveries = append(x.Deliveries, d)
	default:
		explained.Result = NotMatched
	}
	return explained
}
