package route

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// fold returns the expression's value if it is the same for every event. Every
// function of a configuration gives the same result for the same arguments, but for
// captured(), of which nothing is known yet. An error is not folded: it is a run-time
// error of the events that reach it.
func (r *rewriter) fold(expr hclsyntax.Expression, at place) (cty.Value, bool) {
	ctx := &hcl.EvalContext{Functions: r.functions}
	if variables := expr.Variables(); len(variables) > 0 {
		constants := map[string]cty.Value{}
		for _, t := range variables {
			if t.RootName() != rootLocal || len(t) == 1 || at.binds(rootLocal) {
				return cty.NilVal, false
			}
			name, _ := stepName(t[1])
			l := r.local(name)
			if l == nil {
				return cty.NilVal, false
			}
			value, ok := l.constant()
			if !ok {
				return cty.NilVal, false
			}
			constants[name] = value
		}
		ctx.Variables = map[string]cty.Value{rootLocal: cty.ObjectVal(constants)}
	}
	value, diags := expr.Value(ctx)
	if diags.HasErrors() || !value.IsWhollyKnown() {
		return cty.NilVal, false
	}
	value, _ = value.UnmarkDeep()
	return value, true
}

// expression rewrites an expression of a configuration. Those are native HCL
// (package config says so); of others only a constant can be made.
func (r *rewriter) expression(expr hcl.Expression) hclsyntax.Expression {
	r.secret = r.secret || r.readsSecret(expr)
	if native, ok := expr.(hclsyntax.Expression); ok {
		return r.rewrite(native, place{})
	}
	value, _ := expr.Value(&hcl.EvalContext{Functions: r.functions})
	value, _ = value.UnmarkDeep()
	return &hclsyntax.LiteralValueExpr{Val: value, SrcRange: expr.Range()}
}

// readsSecret reports whether the expression itself, or a local in it, calls env() or
// file().
func (r *rewriter) readsSecret(expr hcl.Expression) bool {
	native, ok := expr.(hclsyntax.Expression)
	if !ok {
		return false
	}
	secret := false
	// The visitor never returns diagnostics.
	_ = hclsyntax.VisitAll(native, func(node hclsyntax.Node) hcl.Diagnostics {
		if call, ok := node.(*hclsyntax.FunctionCallExpr); ok && (call.Name == "env" || call.Name == "file") {
			secret = true
		}
		return nil
	})
	for _, t := range native.Variables() {
		if t.RootName() != rootLocal || len(t) < 2 {
			continue
		}
		name, _ := stepName(t[1])
		if l := r.local(name); l != nil && l.secret {
			secret = true
		}
	}
	return secret
}
