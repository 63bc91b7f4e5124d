package route

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// templateExpr is a string template: what HCL does, in fewer allocations for the
// usual case that each part is a string or a number.
type templateExpr struct {
	*hclsyntax.TemplateExpr // with rewritten parts
}

// Value implements hcl.Expression.
func (e *templateExpr) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	s := scopeOf(ctx)
	text := make([]byte, 0, 128)
	for _, part := range e.Parts {
		if s.left < 0 {
			return cty.DynamicVal, exhausted(e.Range())
		}
		value, diags := part.Value(ctx)
		if len(diags) > 0 || value.IsMarked() || value.IsNull() || !value.IsKnown() {
			return e.slow(ctx)
		}
		switch value.Type() {
		case cty.String:
			text = append(text, value.AsString()...)
		case cty.Number:
			if s.afford(value) {
				text = value.AsBigFloat().Append(text, 'f', -1)
			}
		default:
			return e.slow(ctx)
		}
	}
	if !s.spend(len(text), costOfWriting) {
		return cty.DynamicVal, exhausted(e.Range())
	}
	return cty.StringVal(string(text)), nil
}

// slow does what HCL does.
func (e *templateExpr) slow(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	value, diags := e.TemplateExpr.Value(ctx)
	if !scopeOf(ctx).afford(value) {
		return cty.DynamicVal, exhausted(e.Range())
	}
	return value, diags
}
