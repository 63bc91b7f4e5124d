package route

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// jsonFor is `[for … : …]`, which writes one element after the other.
type jsonFor struct {
	expr  *hclsyntax.ForExpr // rewritten
	value jsonExpr
	// whole evaluates it as HCL does, for the error that something comes to.
	whole jsonValue
}

func compileFor(e *hclsyntax.ForExpr) *jsonFor {
	return &jsonFor{expr: e, value: compileJSON(e.ValExpr), whole: jsonValue{expr: e}}
}

func (f *jsonFor) appendTo(dst []byte, ctx *hcl.EvalContext) ([]byte, hcl.Diagnostics) {
	collection, diags := f.expr.CollExpr.Value(ctx)
	collection, _ = collection.Unmark()
	if diags.HasErrors() || collection.IsNull() || !collection.IsKnown() || !collection.CanIterateElements() {
		return f.whole.appendTo(dst, ctx)
	}
	if f.expr.CondExpr != nil && !f.possible(ctx) {
		return f.whole.appendTo(dst, ctx)
	}
	start := len(dst)
	dst = append(dst, '[')
	for it := collection.ElementIterator(); it.Next(); {
		key, element := it.Element()
		inner := f.bind(ctx, key, element)
		included, sure := f.included(inner)
		if !sure {
			return f.whole.appendTo(dst[:start], ctx)
		}
		if !included {
			continue
		}
		if len(dst) > start+1 {
			dst = append(dst, ',')
		}
		if dst, diags = f.value.appendTo(dst, inner); diags.HasErrors() {
			return dst, diags
		}
	}
	return append(dst, ']'), nil
}

// bind returns the context of one element.
func (f *jsonFor) bind(ctx *hcl.EvalContext, key, element cty.Value) *hcl.EvalContext {
	inner := ctx.NewChild()
	inner.Variables = make(map[string]cty.Value, 2)
	if f.expr.KeyVar != "" {
		inner.Variables[f.expr.KeyVar] = key
	}
	inner.Variables[f.expr.ValVar] = element
	return inner
}

// possible reports whether the condition is well as far as HCL asks before there is an
// element.
func (f *jsonFor) possible(ctx *hcl.EvalContext) bool {
	value, diags := f.expr.CondExpr.Value(f.bind(ctx, cty.DynamicVal, cty.DynamicVal))
	if value.IsNull() || diags.HasErrors() {
		return false
	}
	_, err := convert.Convert(value, cty.Bool)
	return err == nil
}

// included reports whether the condition is true of an element; if it isn't plainly a
// bool, sure is false.
func (f *jsonFor) included(inner *hcl.EvalContext) (included, sure bool) {
	if f.expr.CondExpr == nil {
		return true, true
	}
	value, diags := f.expr.CondExpr.Value(inner)
	value, _ = value.Unmark()
	if diags.HasErrors() || value.IsNull() || !value.IsKnown() {
		return false, false
	}
	value, err := convert.Convert(value, cty.Bool)
	return err == nil && value.True(), err == nil
}
