package route

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// eventRef says which event an expression reads.
type eventRef struct {
	variable string // of a `for` over events; empty: none
	position int    // in events; -1: it is `event`
}

// theEvent is `event`, which `response` belongs to as well.
var theEvent = eventRef{position: -1}

// find returns the event, nil if there is none at the position. known is false where
// HCL asks what it can about the condition of a `for` before there is an element.
func (r eventRef) find(ctx *hcl.EvalContext) (e *event, known bool) {
	if r.variable == "" {
		switch s := scopeOf(ctx); {
		case r.position < 0:
			return &s.event, true
		case r.position < len(s.events):
			return &s.events[r.position], true
		}
		return nil, true
	}
	for ; ctx != nil; ctx = ctx.Parent() {
		if value, ok := ctx.Variables[r.variable]; ok {
			if value.Type() != eventType {
				break
			}
			return value.EncapsulatedValue().(*event), true
		}
	}
	return nil, false
}

// eventType carries an *event through HCL's variables.
var eventType = cty.Capsule("event", reflect.TypeFor[event]())

// eventExpr reads one path of an event.
type eventExpr struct {
	hclsyntax.Expression // the traversal as written

	ref  eventRef
	path eventPath
	// strict: a path that isn't there is an error, as in plain HCL. So it is within
	// try() and can(), which exist to ask that.
	strict bool
}

// Value implements hcl.Expression.
func (e *eventExpr) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	event, known := e.ref.find(ctx)
	switch {
	case !known:
		return cty.DynamicVal, nil
	case event != nil && !event.has(e.path.field):
		return cty.DynamicVal, hcl.Diagnostics{e.noEvent()}
	}
	value, found, err := null, false, error(nil)
	if event != nil {
		value, found, err = event.at(scopeOf(ctx), e.path)
	}
	switch {
	case err != nil:
		return cty.DynamicVal, hcl.Diagnostics{failure("Unreadable JSON",
			"The value of "+e.source()+" can't be used: "+err.Error()+".", e.Range())}
	case !found && e.strict:
		return cty.DynamicVal, hcl.Diagnostics{failure("Unsupported attribute",
			"There is no "+e.source()+".", e.Range())}
	}
	return value, nil
}

// noEvent is the failure of an expression that wants one event where there are several.
func (e *eventExpr) noEvent() *hcl.Diagnostic {
	return failure("No event", "There is no single event here, as a batch has several: "+e.source()+" can't be read.", e.Range())
}

// source returns the path as it is written in HCL, more or less.
func (e *eventExpr) source() string {
	variables := e.Variables()
	if len(variables) == 0 {
		return "it" // an element of events[*]
	}
	return sourceOf(variables[0])
}

// sourceOf returns a traversal as it is written in HCL, more or less.
func sourceOf(traversal hcl.Traversal) string {
	var b strings.Builder
	for _, part := range traversal {
		switch part := part.(type) {
		case hcl.TraverseRoot:
			b.WriteString(part.Name)
		case hcl.TraverseAttr:
			b.WriteString("." + part.Name)
		case hcl.TraverseIndex:
			key, _ := appendJSON(nil, part.Key)
			fmt.Fprintf(&b, "[%s]", key)
		}
	}
	return b.String()
}
