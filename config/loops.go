package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// HCL doesn't look into a `for` whose collection isn't known, as that of an event
// isn't at load. The inspector remembers what is within it, and which variables there
// are, so that it is evaluated once more, with an unknown element.

// maxSteps is how often the innermost expression of nested `for`s may be evaluated for
// collections that are constant. More would stop the daemon for a while.
const maxSteps = 20_000

// loop is a `for` expression that the inspector is in.
type loop struct {
	expr     *hclsyntax.ForExpr
	measured bool
	known    bool // the collection is
	steps    int  // elements of it; 1 if it comes from an event
	names    map[string]binding
}

// binding is what is known of a variable of a `for`.
type binding struct {
	value cty.Value
	from  payloadPath // where it comes from in an event; nil: not from there
}

// frame is the inside of a `for`.
type frame struct {
	names map[string]binding
	steps int // of this `for` and those around it
}

// body is the inside of a `for` that evaluation didn't see.
type body struct {
	expr      hclsyntax.Expression
	variables map[string]cty.Value
}

// enterBody begins the inside of the innermost `for`, after its collection was seen.
func (in *inspector) enterBody(expr hclsyntax.Expression) {
	inner := &in.loops[len(in.loops)-1]
	if !inner.measured {
		in.measure(inner)
	}
	steps := inner.steps
	if outer := len(in.frames); outer > 0 {
		steps *= in.frames[outer-1].steps
	}
	if steps > maxSteps && !in.endless {
		in.endless = true
		in.report(inner.expr.Range(), "Too many steps", "This would be evaluated more than 20,000 times, at once. Use shorter lists, or fewer of them within each other.")
	}
	in.frames = append(in.frames, frame{names: inner.names, steps: min(steps, maxSteps+1)})
	if !inner.known && in.trying == 0 {
		in.bodies = append(in.bodies, body{expr: expr, variables: in.variables()})
	}
}

// measure finds out about the collection.
func (in *inspector) measure(l *loop) {
	l.measured, l.steps = true, 1
	value, from := cty.DynamicVal, payloadPath(nil)
	if t, ok := l.expr.CollExpr.(*hclsyntax.ScopeTraversalExpr); ok {
		from = in.elementOf(t.Traversal)
	}
	if len(from) == 1 { // an element of `events`
		value = webhookEvent
	}
	if len(from) == 0 && !in.endless {
		collection, diags := l.expr.CollExpr.Value(in.context(in.variables()))
		collection, _ = collection.Unmark()
		switch {
		case diags.HasErrors() || collection.IsNull():
			l.known = true // evaluation says what is wrong
		case collection.IsKnown() && collection.CanIterateElements():
			l.known, l.steps = true, max(1, collection.LengthInt())
		case in.usesFrames(l.expr.CollExpr):
			l.steps = 64 // it is computed from what is around; some length
		}
	}
	l.names = map[string]binding{l.expr.ValVar: {value: value, from: from}}
	if l.expr.KeyVar != "" {
		l.names[l.expr.KeyVar] = binding{value: cty.DynamicVal}
	}
}

// usesFrames reports whether an expression refers to a variable of a `for` around.
func (in *inspector) usesFrames(expr hclsyntax.Expression) bool {
	for _, t := range expr.Variables() {
		if _, ok := in.bound(t.RootName()); ok {
			return true
		}
	}
	return false
}

// bound returns the variable of that name of the `for`s around.
func (in *inspector) bound(name string) (binding, bool) {
	for i := len(in.frames) - 1; i >= 0; i-- {
		if b, ok := in.frames[i].names[name]; ok {
			return b, true
		}
	}
	return binding{}, false
}

// variables are those of the `for`s around.
func (in *inspector) variables() map[string]cty.Value {
	all := map[string]cty.Value{}
	for _, f := range in.frames {
		for name, b := range f.names {
			all[name] = b.value
		}
	}
	return all
}

func (in *inspector) context(variables map[string]cty.Value) *hcl.EvalContext {
	child := in.scope.context(in.config.Functions).NewChild()
	child.Variables = variables
	return child
}

// checkBodies evaluates what evaluation didn't see.
func (in *inspector) checkBodies() hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, b := range in.bodies {
		_, more := b.expr.Value(in.context(b.variables))
		diags = append(diags, more...)
	}
	return diags
}

// hasLoop reports whether there is a `for` in the expression. It may take long, and only
// evaluate knows.
func hasLoop(expr hclsyntax.Expression) bool {
	found := false
	// The visitor never returns diagnostics.
	_ = hclsyntax.VisitAll(expr, func(node hclsyntax.Node) hcl.Diagnostics {
		_, isLoop := node.(*hclsyntax.ForExpr)
		found = found || isLoop
		return nil
	})
	return found
}
