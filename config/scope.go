package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// The variables that there are, each in some places only.
const (
	rootEvent    = "event"
	rootEvents   = "events"
	rootResponse = "response"
	rootLocal    = "local"
)

// aSecret is what an expression uses that calls env() or file().
const aSecret = "a secret"

// captured is the function that reads what a `capture` block kept.
const captured = "captured"

// scope is what an expression can refer to.
type scope struct {
	// roots has each variable but `local` with what is known of it: the type of each
	// attribute, and dynamic what is JSON.
	roots map[string]cty.Value
	// absent says of variables, and of attributes such as "event.topic", that there
	// are only in other places, why. It has captured, too.
	absent map[string]string
	locals *locals // nil: none
	// uses collects what an expression uses, by the names that absent has; nil: nobody
	// asks.
	uses map[string]bool
}

// webhookScopes are those of one webhook's expressions.
type webhookScopes struct {
	locals       *locals
	when         scope // the webhook's `when`, for each event
	order        scope // its `order_by`
	request      scope // what makes the request
	judge        scope // what looks at the answer
	captureKey   scope
	captureValue scope
}

// eventType is that of `event`. Every expression is evaluated at load against an
// unknown event.
func eventType(webhook bool) cty.Type {
	fields := map[string]cty.Type{"payload": cty.DynamicPseudoType, "headers": cty.DynamicPseudoType}
	for _, name := range []string{"id", "aggregate_type", "aggregate_id", "type", "created_at", "committed_at", "lsn"} {
		fields[name] = cty.String
	}
	if webhook {
		fields["topic"], fields["data"] = cty.String, cty.DynamicPseudoType
	}
	return cty.Object(fields)
}

var (
	ruleEvent    = unknownObject(eventType(false))
	webhookEvent = unknownObject(eventType(true))
	events       = cty.UnknownVal(cty.List(eventType(true))).RefineNotNull()
	response     = unknownObject(cty.Object(map[string]cty.Type{
		"status": cty.Number, "headers": cty.Map(cty.String), "body": cty.String, "json": cty.DynamicPseudoType,
	}))
)

// unknownObject is a known object of unknown attributes.
func unknownObject(ty cty.Type) cty.Value {
	fields := map[string]cty.Value{}
	for name, t := range ty.AttributeTypes() {
		fields[name] = cty.UnknownVal(t)
	}
	return cty.ObjectVal(fields)
}

const (
	onceOnly   = "This is decided once, when the configuration is loaded, and can't depend on an event."
	noResponse = "There is a response only in success_when, permanent_when, a batch's failed and a capture's value."
)

// settingScope is that of everything that is decided once, at load.
func (l *loader) settingScope() scope {
	return scope{locals: l.locals, absent: map[string]string{
		rootEvent: onceOnly, rootEvents: onceOnly, rootResponse: onceOnly, captured: onceOnly,
	}}
}

func (l *loader) ruleScope() scope {
	return scope{
		roots:  map[string]cty.Value{rootEvent: ruleEvent},
		locals: l.locals,
		absent: map[string]string{
			"event.topic": "A rule decides the topic, so that there is no event.topic here: it is in webhooks. event.type is the row's event type.",
			"event.data":  "A rule makes the data, so that there is no event.data here: it is in webhooks. event.payload is the row's payload.",
			rootEvents:    "A rule looks at one event: write event.",
			rootResponse:  noResponse,
			captured:      "A rule looks at the event alone. captured() is for webhooks.",
		},
	}
}

// requestScope is that of what makes a request for one event.
func (l *loader) requestScope(own *locals) scope {
	return scope{
		roots:  map[string]cty.Value{rootEvent: webhookEvent},
		locals: own,
		absent: map[string]string{
			rootEvents:   "There are several events only in a webhook that has a batch block: write event.",
			rootResponse: noResponse,
		},
	}
}

// webhookScopes reads the webhook's locals and returns the scopes of its expressions.
func (b *block) webhookScopes() webhookScopes {
	batch := false
	for _, src := range b.src.Body.Blocks {
		batch = batch || src.Type == "batch"
	}
	own := b.ownLocals()
	one := b.requestScope(own)
	request := one
	if batch {
		request = scope{
			roots:  map[string]cty.Value{rootEvents: events},
			locals: own,
			absent: map[string]string{
				rootEvent:    "A batch has several events: write events, as in [for e in events : e.data].",
				rootResponse: noResponse,
			},
		}
	}
	scopes := webhookScopes{locals: own, request: request, captureKey: one}
	scopes.when = one.without(captured, "Whether a webhook gets an event is decided by the event alone. Use wait_for, or captured() in the request.")
	scopes.order = one.without(captured, "The order of an event is decided when it comes, by the event alone.")
	scopes.judge = request.with(rootResponse, response)
	scopes.captureValue = one.with(rootResponse, response)
	return scopes
}

// with returns the scope with one variable more.
func (s scope) with(name string, value cty.Value) scope {
	roots := map[string]cty.Value{name: value}
	for other, v := range s.roots {
		roots[other] = v
	}
	s.roots = roots
	return s
}

// without returns the scope with a reason why there is no such thing in it.
func (s scope) without(name, why string) scope {
	absent := map[string]string{name: why}
	for other, w := range s.absent {
		absent[other] = w
	}
	s.absent = absent
	return s
}

// context is what an expression is evaluated in, at load.
func (s scope) context(functions map[string]function.Function) *hcl.EvalContext {
	variables := map[string]cty.Value{}
	for name, value := range s.roots {
		variables[name] = value
	}
	if s.locals != nil {
		variables[rootLocal] = s.locals.value()
	}
	return &hcl.EvalContext{Variables: variables, Functions: functions}
}
