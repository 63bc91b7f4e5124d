package route

import (
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// batch has the events of one request.
type batch []event

// Batch says how many events a request of the webhook carries at most, and how long the
// first of them waits for more. ok is false if each event has a request of its own.
func (t *Table) Batch(webhook string) (most int, wait time.Duration, ok bool) {
	w := t.webhooks[webhook]
	if w == nil || w.batch == nil {
		return 0, 0, false
	}
	return w.batch.Max, w.batch.Wait, true
}

// eventsExpr is `events`.
type eventsExpr struct {
	hclsyntax.Expression // the traversal as written

	// lazy: the elements are not converted. It is for a `for` whose variable's paths
	// are eventExprs.
	lazy bool
}

// Value implements hcl.Expression.
func (e *eventsExpr) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	s := scopeOf(ctx)
	if !e.lazy && s.memory.events != cty.NilVal {
		return s.memory.events, nil
	}
	if len(s.events) == 0 {
		return cty.EmptyTupleVal, nil
	}
	elements := make([]cty.Value, len(s.events))
	for i := range s.events {
		if e.lazy {
			elements[i] = cty.CapsuleVal(eventType, &s.events[i])
			continue
		}
		value, err := s.events[i].value(s)
		if err != nil {
			return cty.DynamicVal, hcl.Diagnostics{failure("Unreadable JSON", "An event can't be used as a whole: "+err.Error()+".", e.Range())}
		}
		elements[i] = value
	}
	value := cty.TupleVal(elements)
	if !e.lazy {
		s.memory.events = value
	}
	return value, nil
}

// isEvents reports whether the expression is `events` itself.
func isEvents(expr hclsyntax.Expression, at place) bool {
	e, ok := expr.(*hclsyntax.ScopeTraversalExpr)
	return ok && len(e.Traversal) == 1 && e.Traversal.RootName() == rootEvents && !at.binds(rootEvents)
}
