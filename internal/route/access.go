package route

import (
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// rewriteAccess rewrites what reaches into a value.
func (r *rewriter) rewriteAccess(expr hclsyntax.Expression, at place) hclsyntax.Expression {
	switch e := expr.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		return r.rewriteTraversal(e, at)
	case *hclsyntax.RelativeTraversalExpr:
		if item, ok := e.Source.(*hclsyntax.AnonSymbolExpr); ok && r.eventItems[item] {
			return &eventExpr{Expression: e, ref: itemRef, path: eventPath{field: fieldAll}.below(compileSteps(e.Traversal)), strict: at.strict}
		}
		source := r.rewrite(e.Source, at)
		if at.strict {
			c := *e
			c.Source = source
			return &c
		}
		return &memberExpr{Expression: e, from: source, steps: compileSteps(e.Traversal)}
	case *hclsyntax.IndexExpr:
		c := *e
		c.Collection = r.rewrite(e.Collection, at)
		c.Key = r.rewrite(e.Key, at)
		if at.strict {
			return &c
		}
		return &indexExpr{IndexExpr: &c}
	case *hclsyntax.SplatExpr:
		if isEvents(e.Source, at) {
			return r.rewriteEventsSplat(e, at)
		}
		c := *e
		c.Source = &loopedExpr{Expression: r.rewrite(e.Source, at)}
		c.Item = &hclsyntax.AnonSymbolExpr{SrcRange: e.Item.SrcRange}
		if r.items == nil {
			r.items = map[*hclsyntax.AnonSymbolExpr]*hclsyntax.AnonSymbolExpr{}
		}
		r.items[e.Item] = c.Item
		c.Each = r.rewrite(e.Each, at)
		return &c
	case *hclsyntax.AnonSymbolExpr:
		if r.eventItems[e] {
			return &eventExpr{Expression: e, ref: itemRef, path: eventPath{field: fieldAll}, strict: at.strict}
		}
		return r.items[e]
	}
	return expr
}

// rewriteTraversal rewrites what starts with a variable.
func (r *rewriter) rewriteTraversal(e *hclsyntax.ScopeTraversalExpr, at place) hclsyntax.Expression {
	name := e.Traversal.RootName()
	if v := at.variable(name); v != nil {
		if v.event {
			return &eventExpr{Expression: e, ref: eventRef{variable: name}, path: newEventPath(e.Traversal), strict: at.strict}
		}
	} else {
		switch name {
		case rootEvent, rootResponse:
			return &eventExpr{Expression: e, ref: theEvent, path: newEventPath(e.Traversal), strict: at.strict}
		case rootEvents:
			return r.rewriteEvents(e, at)
		case rootLocal:
			return r.rewriteLocal(e, at)
		}
	}
	if at.strict || len(e.Traversal) == 1 {
		return e
	}
	root := &hclsyntax.ScopeTraversalExpr{Traversal: e.Traversal[:1], SrcRange: e.Traversal[0].SourceRange()}
	return &memberExpr{Expression: e, from: root, steps: compileSteps(e.Traversal[1:])}
}

// rewriteEvents rewrites what starts with `events`.
func (r *rewriter) rewriteEvents(e *hclsyntax.ScopeTraversalExpr, at place) hclsyntax.Expression {
	whole := &eventsExpr{Expression: e}
	if len(e.Traversal) == 1 {
		return whole
	}
	steps := compileSteps(e.Traversal[1:])
	switch {
	case steps[0].index >= 0:
		return &eventExpr{Expression: e, ref: eventRef{position: steps[0].index}, path: eventPath{field: fieldAll}.below(steps[1:]), strict: at.strict}
	case at.strict:
		return &hclsyntax.RelativeTraversalExpr{Source: whole, Traversal: e.Traversal[1:], SrcRange: e.SrcRange}
	}
	return &memberExpr{Expression: e, from: whole, steps: steps}
}

// itemRef is the current element of events[*].
var itemRef = eventRef{variable: " item"}

// rewriteEventsSplat rewrites events[*].… as a `for` over events.
func (r *rewriter) rewriteEventsSplat(e *hclsyntax.SplatExpr, at place) hclsyntax.Expression {
	if r.eventItems == nil {
		r.eventItems = map[*hclsyntax.AnonSymbolExpr]bool{}
	}
	r.eventItems[e.Item] = true
	return &hclsyntax.ForExpr{
		ValVar:   itemRef.variable,
		CollExpr: &loopedExpr{Expression: &eventsExpr{Expression: e.Source, lazy: true}},
		ValExpr:  r.rewrite(e.Each, at),
		SrcRange: e.SrcRange, OpenRange: e.SrcRange, CloseRange: e.SrcRange,
	}
}
