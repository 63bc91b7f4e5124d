// Package route compiles the rules and webhooks of a configuration into a [Table],
// which makes of an event its deliveries and of a delivery its HTTP request.
//
// Both depend on the event and the configuration alone, never on the time or on
// chance: the same event gives the same deliveries with the same ids and the same
// bytes, in this process or a later one.
package route

import (
	"slices"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/walpost/walpost/outbox"
)

// Table is a compiled configuration. It may be used by many goroutines.
type Table struct {
	rules      []*rule   // file order
	index      ruleIndex // of the rules whose topic a webhook takes
	topics     map[string]*topic
	eventTypes map[string][]*topic // by the names of event types, normalized
	webhooks   map[string]*webhook // the disabled ones too
	functions  map[string]function.Function
	locals     int    // how many there are, of all sets
	lookup     Lookup // nil: nothing is captured
	work       int    // see workLimit
	scopes     sync.Pool
}

// topic is a topic with those who want it.
type topic struct {
	name     string
	webhooks []*webhook // enabled ones, in file order
	takers   []*webhook // the disabled ones too
	rules    []*rule    // those that give it, in file order
}

// rule is a compiled rule.
type rule struct {
	name   string
	topic  *topic
	when   condition
	data   jsonExpr // nil: the payload
	dataAt hcl.Range
	at     hcl.Range
}

// Delivery is one event to bring to one webhook under one topic.
type Delivery struct {
	ID      string // see DeliveryID
	Topic   string
	Webhook string
	Rule    string // the rule that gave topic and data; empty: the row's event type did
	Row     *outbox.Row
	// Key says which of the webhook's deliveries this one must not overtake: those with the
	// same key. Empty: none. It is what order_by made of the event when it was routed.
	Key string

	data []byte // what the rule made of the payload, or the payload: JSON text
}

// Route returns the deliveries of the event: none and no problem means that nobody
// wants it.
//
// Every matching rule gives its topic, in file order; then the row's event type gives
// those topics that have it among their event types, under its own name or as
// aggregate_type.type. An event has each topic at most once, and the first to give it
// shapes the data. A webhook gets a topic if it takes it, is enabled, and its `when`
// holds.
//
// What fails is left out and told as a problem: a webhook's `when` costs that one
// delivery. A rule's `when` or `data` costs its topic, as what should have been sent is
// unknown, and neither a later rule nor the event type may send the data in another
// shape instead; the other topics are delivered.
func (t *Table) Route(row *outbox.Row) ([]Delivery, []Problem) {
	s := t.scope(row)
	defer t.release(s)
	r := routing{scope: s, row: row}
	for position := range t.index.candidates(row) {
		r.applyRule(t.rules[position])
	}
	for topic := range t.byEventType(row) {
		if !slices.Contains(r.settled, topic) {
			r.deliver(topic, "", row.Payload)
		}
	}
	return r.deliveries, r.problems
}

// byEventType calls yield with the topics that the row's event type gives, and whether
// that is under aggregate_type.type.
func (t *Table) byEventType(row *outbox.Row) func(yield func(topic *topic, qualified bool) bool) {
	return func(yield func(topic *topic, qualified bool) bool) {
		for _, topic := range t.eventTypes[cty.NormalizeString(row.Type)] {
			if !yield(topic, false) {
				return
			}
		}
		var space [128]byte
		name := append(append(append(space[:0], row.AggregateType...), '.'), row.Type...)
		topics := t.eventTypes[string(name)]
		if topics == nil && !literal(name) {
			topics = t.eventTypes[cty.NormalizeString(string(name))]
		}
		for _, topic := range topics {
			if !yield(topic, true) {
				return
			}
		}
	}
}

// routing is the routing of one event.
type routing struct {
	scope      *scope
	row        *outbox.Row
	settled    []*topic // given, or lost to a problem
	deliveries []Delivery
	problems   []Problem
}

func (r *routing) applyRule(rule *rule) {
	if slices.Contains(r.settled, rule.topic) {
		return
	}
	data, matches, p := rule.apply(r.scope, r.row)
	switch {
	case p != nil:
		r.problems = append(r.problems, *p)
		r.settled = append(r.settled, rule.topic)
	case matches:
		r.deliver(rule.topic, rule.name, data)
	}
}

// apply asks whether the rule matches the scope's event, and makes its data.
func (r *rule) apply(s *scope, row *outbox.Row) (data []byte, matches bool, p *Problem) {
	s.show(row, "", nil)
	matches, p = s.holds(r.when)
	switch {
	case p != nil || !matches:
	case r.data == nil:
		data = row.Payload
	default:
		data, p = s.json(nil, r.data, r.dataAt)
	}
	if p != nil {
		p.Rule, p.Topic = r.name, r.topic.name
	}
	return data, matches, p
}

// deliver makes the deliveries of a topic.
func (r *routing) deliver(topic *topic, rule string, data []byte) {
	r.settled = append(r.settled, topic)
	s := r.scope
	s.show(r.row, topic.name, data)
	for _, w := range topic.webhooks {
		holds, p := s.holds(w.when)
		if p != nil {
			p.Webhook, p.Topic = w.name, topic.name
			r.problems = append(r.problems, *p)
		}
		if !holds {
			continue
		}
		d := newDelivery(r.row, topic, w, rule, data)
		if w.order != nil {
			if d.Key, p = s.key(w.order); p != nil {
				p.Webhook, p.Topic = w.name, topic.name
				r.problems = append(r.problems, *p)
				continue
			}
		}
		if r.deliveries == nil {
			r.deliveries = make([]Delivery, 0, len(topic.webhooks))
		}
		r.deliveries = append(r.deliveries, d)
	}
}

func newDelivery(row *outbox.Row, topic *topic, w *webhook, rule string, data []byte) Delivery {
	return Delivery{
		ID:    DeliveryID(row.ID, topic.name, w.name),
		Topic: topic.name, Webhook: w.name, Rule: rule, Row: row, data: data,
	}
}

// Find returns a delivery that is owed according to the ledger, as Route made it when
// the event came: the webhook's `topics` and `when` are not asked again, nor whether it
// is enabled. Its data is what the current rules make; if nothing gives the topic any
// more, the payload. ok is false if there is no such webhook. A problem is that of the
// rule that would have shaped the data.
func (t *Table) Find(row *outbox.Row, topic, webhook string) (d Delivery, ok bool, p *Problem) {
	if t.webhooks[webhook] == nil {
		return Delivery{}, false, nil
	}
	d = Delivery{
		ID:    DeliveryID(row.ID, topic, webhook),
		Topic: topic, Webhook: webhook, Row: row, data: row.Payload,
	}
	given := t.topics[topic]
	if given == nil {
		return d, true, nil
	}
	s := t.scope(row)
	defer t.release(s)
	for _, rule := range given.rules {
		data, matches, p := rule.apply(s, row)
		if p != nil {
			p.Webhook = webhook
			return d, true, p
		}
		if matches {
			d.Rule, d.data = rule.name, data
			break
		}
	}
	return d, true, nil
}
