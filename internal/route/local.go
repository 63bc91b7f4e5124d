package route

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/walpost/walpost/config"
)

// local is a compiled local. It is evaluated where it is first used, with the event
// that is there, and once for each event and topic.
type local struct {
	config.Local
	slot int // in a scope's memory
	// expr is nil before the local is compiled, which its first use does.
	expr      hclsyntax.Expression
	compiling bool
	json      jsonExpr
	secret    bool // made of env() or file()
}

// locals are those that an expression sees.
type locals struct {
	outer *locals // shadowed by own; nil: these are the top-level ones
	own   map[string]*local
}

// newLocals returns the locals of a block; their slots follow those before.
func (c *compiler) newLocals(outer *locals, declared []config.Local) *locals {
	if len(declared) == 0 && outer != nil {
		return outer
	}
	set := &locals{outer: outer, own: make(map[string]*local, len(declared))}
	for _, l := range declared {
		set.own[l.Name] = &local{Local: l, slot: c.table.locals}
		c.table.locals++
	}
	return set
}

// find returns the local of that name, nil if there is none, and the set that it is in.
func (ls *locals) find(name string) (*local, *locals) {
	for in := ls; in != nil; in = in.outer {
		if found := in.own[name]; found != nil {
			return found, in
		}
	}
	return nil, nil
}

// local returns the local of that name, compiled; nil if there is none. Its expr is nil
// if it is being compiled: then it is made of itself.
func (r *rewriter) local(name string) *local {
	l, in := r.locals.find(name)
	if l == nil || l.expr != nil || l.compiling {
		return l
	}
	l.compiling = true
	within := rewriter{functions: r.functions, locals: in}
	l.expr = within.expression(l.Expr)
	l.json = compileJSON(l.expr)
	l.secret = within.secret
	return l
}

// constant returns the local's value if it is the same for every event.
func (l *local) constant() (cty.Value, bool) {
	literal, ok := l.expr.(*hclsyntax.LiteralValueExpr)
	if !ok {
		return cty.NilVal, false
	}
	return literal.Val, true
}

// rewriteLocal rewrites what starts with `local`.
func (r *rewriter) rewriteLocal(e *hclsyntax.ScopeTraversalExpr, at place) hclsyntax.Expression {
	if len(e.Traversal) == 1 {
		return r.everyLocal(e)
	}
	name, ok := stepName(e.Traversal[1])
	l := r.local(name)
	if !ok || l == nil {
		return e // an error of config's
	}
	r.secret = r.secret || l.secret
	rest := e.Traversal[2:]
	if l.expr == nil {
		return &cyclicExpr{Expression: e, local: l}
	}
	if alias, ok := l.expr.(*eventExpr); ok && (!at.strict || len(rest) > 0) {
		// Only another name for a path: reading it needs no value of the whole.
		return &eventExpr{Expression: e, ref: alias.ref, path: alias.path.below(compileSteps(rest)), strict: at.strict}
	}
	whole := &localExpr{Expression: e, local: l}
	switch {
	case len(rest) == 0:
		return whole
	case at.strict:
		return &hclsyntax.RelativeTraversalExpr{Source: whole, Traversal: rest, SrcRange: e.SrcRange}
	}
	return &memberExpr{Expression: e, from: whole, steps: compileSteps(rest)}
}

// everyLocal rewrites `local` alone, the object of all of them.
func (r *rewriter) everyLocal(e *hclsyntax.ScopeTraversalExpr) hclsyntax.Expression {
	all := &localsExpr{Expression: e, members: map[string]*localExpr{}}
	for in := r.locals; in != nil; in = in.outer {
		for name := range in.own {
			if all.members[name] == nil {
				l := r.local(name)
				r.secret = r.secret || l.secret
				if l.expr == nil {
					return &cyclicExpr{Expression: e, local: l}
				}
				all.members[name] = &localExpr{Expression: e, local: l}
			}
		}
	}
	return all
}

// stepName returns the name of the attribute that a traversal takes.
func stepName(part hcl.Traverser) (string, bool) {
	switch part := part.(type) {
	case hcl.TraverseAttr:
		return part.Name, true
	case hcl.TraverseIndex:
		if part.Key.Type() == cty.String && part.Key.IsKnown() && !part.Key.IsNull() {
			return part.Key.AsString(), true
		}
	}
	return "", false
}

// localExpr is the value of a local.
type localExpr struct {
	hclsyntax.Expression // the traversal as written

	local *local
}

// Value implements hcl.Expression.
func (e *localExpr) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	s := scopeOf(ctx)
	m := s.memory.local(s.table.locals, e.local.slot)
	if m.value == cty.NilVal {
		m.value, m.diags = e.local.expr.Value(s.ctx)
	}
	return m.value, slices.Clip(m.diags)
}

// cyclicExpr is a local within itself. Package config refuses it, as far as it can tell.
type cyclicExpr struct {
	hclsyntax.Expression // the traversal as written

	local *local
}

// Value implements hcl.Expression.
func (e *cyclicExpr) Value(*hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	return cty.DynamicVal, hcl.Diagnostics{failure("Locals made of each other",
		"local."+e.local.Name+" is made of itself.", e.local.DeclRange)}
}

// localsExpr is the object of all locals.
type localsExpr struct {
	hclsyntax.Expression // the traversal as written

	members map[string]*localExpr
}

// Value implements hcl.Expression.
func (e *localsExpr) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	values := make(map[string]cty.Value, len(e.members))
	for name, member := range e.members {
		value, diags := member.Value(ctx)
		if diags.HasErrors() {
			return cty.DynamicVal, diags
		}
		values[name] = value
	}
	return cty.ObjectVal(values), nil
}

// jsonLocal is a local that is written in full where it is declared. Its text is made
// once.
type jsonLocal struct {
	expr *localExpr
}

func (j *jsonLocal) appendTo(dst []byte, ctx *hcl.EvalContext) ([]byte, hcl.Diagnostics) {
	s := scopeOf(ctx)
	m := s.memory.local(s.table.locals, j.expr.local.slot)
	if m.text == nil {
		text, diags := j.expr.local.json.appendTo(nil, s.ctx)
		if diags.HasErrors() {
			return dst, diags
		}
		m.text = text
	}
	if !s.spend(len(m.text), costOfWriting) {
		return dst, exhausted(j.expr.Range())
	}
	return append(dst, m.text...), nil
}
