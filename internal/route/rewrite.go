package route

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/customdecode"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// rewriter makes of an expression another one that is evaluated with the event of a
// scope. It differs from plain HCL in this:
//
//   - what starts with `event` reads the event's raw JSON, only the path that is
//     named (see eventExpr);
//   - so does what starts with `response`, with an element of `events`, or with a local
//     that is only another name for a path; other locals are evaluated once;
//   - a path that leads nowhere, from an event or from a variable of a `for`, is null;
//     but within try() and can() it is an error, as everywhere in plain HCL;
//   - what multiplies the size of an event is an error, which no try() hides (see
//     workLimit);
//   - what is constant is computed once, and its marks are dropped;
//   - comparisons with constants, && and || take shortcuts that show in nothing but
//     time (see compareExpr, logicExpr).
//
// The given expressions are not changed; nodes that need no change are shared.
type rewriter struct {
	functions map[string]function.Function
	locals    *locals // nil: none
	// items has our copy of each splat's symbol for the current element, which holds
	// that element while it is evaluated.
	items map[*hclsyntax.AnonSymbolExpr]*hclsyntax.AnonSymbolExpr
	// eventItems has the symbols that stand for an event.
	eventItems map[*hclsyntax.AnonSymbolExpr]bool
	secret     bool // something that was rewritten is made of env() or file()
}

// The variables that there are.
const (
	rootEvent    = "event"
	rootEvents   = "events"
	rootResponse = "response"
	rootLocal    = "local"
)

// place is where in the tree an expression is.
type place struct {
	strict bool      // within try() or can()
	bound  *variable // the innermost variable of a `for` around
}

// variable is one of a `for`.
type variable struct {
	name  string
	event bool // it holds an element of `events`, not converted
	outer *variable
}

// bind returns the place where there is the variable.
func (at place) bind(name string, event bool) place {
	if name != "" {
		at.bound = &variable{name: name, event: event, outer: at.bound}
	}
	return at
}

// variable returns the variable of that name, or nil.
func (at place) variable(name string) *variable {
	for v := at.bound; v != nil; v = v.outer {
		if v.name == name {
			return v
		}
	}
	return nil
}

// binds reports whether the name is a variable of a `for` around.
func (at place) binds(name string) bool { return at.variable(name) != nil }

// rewrite returns the rewritten expression.
func (r *rewriter) rewrite(expr hclsyntax.Expression, at place) hclsyntax.Expression {
	if value, ok := r.fold(expr, at); ok {
		return &hclsyntax.LiteralValueExpr{Val: value, SrcRange: expr.Range()}
	}
	switch e := expr.(type) {
	case *hclsyntax.ScopeTraversalExpr, *hclsyntax.RelativeTraversalExpr, *hclsyntax.IndexExpr,
		*hclsyntax.SplatExpr, *hclsyntax.AnonSymbolExpr:
		return r.rewriteAccess(expr, at)
	case *hclsyntax.BinaryOpExpr:
		return r.rewriteBinary(e, at)
	case *hclsyntax.FunctionCallExpr:
		return r.rewriteCall(e, at)
	case *hclsyntax.ForExpr:
		return r.rewriteFor(e, at)
	case *hclsyntax.ObjectConsExpr:
		return r.rewriteObject(e, at)
	case *hclsyntax.ParenthesesExpr:
		return r.rewrite(e.Expression, at)
	case *hclsyntax.TemplateWrapExpr:
		return r.rewrite(e.Wrapped, at)
	case *hclsyntax.UnaryOpExpr:
		c := *e
		c.Val = r.rewrite(e.Val, at)
		if e.Op.Type == cty.Number {
			c.Val = &boundedExpr{Expression: c.Val, strings: true}
		}
		return &c
	case *hclsyntax.ConditionalExpr:
		c := *e
		c.Condition = r.rewrite(e.Condition, at)
		c.TrueResult = weighed(r.rewrite(e.TrueResult, at))
		c.FalseResult = weighed(r.rewrite(e.FalseResult, at))
		return &c
	case *hclsyntax.TupleConsExpr:
		c := *e
		c.Exprs = r.rewriteAll(e.Exprs, at)
		return &c
	case *hclsyntax.TemplateExpr:
		c := *e
		c.Parts = r.rewriteAll(e.Parts, at)
		return &templateExpr{TemplateExpr: &c}
	case *hclsyntax.TemplateJoinExpr:
		return &hclsyntax.TemplateJoinExpr{Tuple: r.rewrite(e.Tuple, at)}
	}
	return expr // literals, syntax errors
}

func (r *rewriter) rewriteAll(exprs []hclsyntax.Expression, at place) []hclsyntax.Expression {
	out := make([]hclsyntax.Expression, len(exprs))
	for i, expr := range exprs {
		out[i] = r.rewrite(expr, at)
	}
	return out
}

func (r *rewriter) rewriteBinary(e *hclsyntax.BinaryOpExpr, at place) hclsyntax.Expression {
	c := *e
	c.LHS = r.rewrite(e.LHS, at)
	c.RHS = r.rewrite(e.RHS, at)
	switch {
	case e.Op == hclsyntax.OpLogicalAnd, e.Op == hclsyntax.OpLogicalOr:
		return &logicExpr{BinaryOpExpr: &c, decisive: e.Op == hclsyntax.OpLogicalOr, rightIsBool: isBool(c.RHS)}
	case e.Op == hclsyntax.OpEqual, e.Op == hclsyntax.OpNotEqual:
		if compare, ok := newCompareExpr(&c); ok {
			return compare
		}
		c.LHS, c.RHS = weighed(c.LHS), weighed(c.RHS)
	case e.Op.Type == cty.Number:
		c.LHS = &boundedExpr{Expression: c.LHS, strings: true}
		c.RHS = &boundedExpr{Expression: c.RHS, strings: true}
		return &boundedExpr{Expression: &c}
	}
	return &c
}

func (r *rewriter) rewriteCall(e *hclsyntax.FunctionCallExpr, at place) hclsyntax.Expression {
	c := *e
	c.Args = make([]hclsyntax.Expression, len(e.Args))
	f, known := r.functions[e.Name]
	for i, arg := range e.Args {
		switch {
		case e.Name == "length" && isEvents(arg, at):
			c.Args[i] = &eventsExpr{Expression: arg, lazy: true}
		case known && takesClosure(f, i):
			c.Args[i] = r.rewrite(arg, place{strict: true, bound: at.bound})
		case known && makesNumbers(e, f, i):
			c.Args[i] = &boundedExpr{Expression: r.rewrite(arg, at), strings: true}
		default:
			c.Args[i] = weighed(r.rewrite(arg, at))
		}
	}
	if e.Name == capturedFunction && len(e.Args) == 2 && !e.ExpandFinal {
		return &capturedExpr{FunctionCallExpr: &c}
	}
	if growth := growths[e.Name]; growth != nil {
		return &boundedExpr{Expression: &growingExpr{FunctionCallExpr: &c, growth: growth}}
	}
	return &boundedExpr{Expression: &c}
}

// takesClosure reports whether the function wants its i-th argument's expression, as
// try() and can() do, and not its value.
func takesClosure(f function.Function, i int) bool {
	param := parameter(f, i)
	return param != nil && customdecode.CustomExpressionDecoderForType(param.Type) != nil
}

func (r *rewriter) rewriteFor(e *hclsyntax.ForExpr, at place) hclsyntax.Expression {
	c := *e
	lazy := isEvents(e.CollExpr, at)
	if lazy {
		c.CollExpr = &loopedExpr{Expression: &eventsExpr{Expression: e.CollExpr, lazy: true}}
	} else {
		c.CollExpr = &loopedExpr{Expression: r.rewrite(e.CollExpr, at)}
	}
	at = at.bind(e.KeyVar, false).bind(e.ValVar, lazy)
	if e.KeyExpr != nil {
		c.KeyExpr = r.rewrite(e.KeyExpr, at)
	}
	c.ValExpr = r.rewrite(e.ValExpr, at)
	if e.CondExpr != nil {
		c.CondExpr = r.rewrite(e.CondExpr, at)
	}
	return &c
}

func (r *rewriter) rewriteObject(e *hclsyntax.ObjectConsExpr, at place) hclsyntax.Expression {
	c := *e
	c.Items = make([]hclsyntax.ObjectConsItem, len(e.Items))
	for i, item := range e.Items {
		c.Items[i] = hclsyntax.ObjectConsItem{
			KeyExpr:   r.rewriteKey(item.KeyExpr, at),
			ValueExpr: r.rewrite(item.ValueExpr, at),
		}
	}
	return &c
}

// rewriteKey rewrites the key of an object's item. A name alone is a key, not a
// variable; a name with dots is an error of config's.
func (r *rewriter) rewriteKey(expr hclsyntax.Expression, at place) hclsyntax.Expression {
	key, ok := expr.(*hclsyntax.ObjectConsKeyExpr)
	if !ok {
		return r.rewrite(expr, at)
	}
	if !key.ForceNonLiteral {
		if name := hcl.ExprAsKeyword(key.Wrapped); name != "" {
			return &hclsyntax.LiteralValueExpr{Val: cty.StringVal(name), SrcRange: key.Range()}
		}
		if _, dotted := key.Wrapped.(*hclsyntax.ScopeTraversalExpr); dotted {
			return key
		}
	}
	return r.rewrite(key.Wrapped, at)
}
