package route

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// compareExpr is `event.… == constant` or `!=`, where the constant is a string, a
// bool or null. It compares the raw text: nothing is converted, and it never fails.
type compareExpr struct {
	*hclsyntax.BinaryOpExpr // with rewritten operands

	ref    eventRef
	path   eventPath
	want   cty.Value
	text   step // the string wanted, as a key
	negate bool // !=
}

// newCompareExpr returns the comparison if it is such a one.
func newCompareExpr(e *hclsyntax.BinaryOpExpr) (*compareExpr, bool) {
	path, ok := e.LHS.(*eventExpr)
	constant, isConstant := e.RHS.(*hclsyntax.LiteralValueExpr)
	if !ok || !isConstant {
		path, ok = e.RHS.(*eventExpr)
		constant, isConstant = e.LHS.(*hclsyntax.LiteralValueExpr)
	}
	if !ok || !isConstant || path.strict || path.path.field == fieldAll {
		return nil, false
	}
	c := &compareExpr{BinaryOpExpr: e, ref: path.ref, path: path.path, want: constant.Val, negate: e.Op == hclsyntax.OpNotEqual}
	switch {
	case c.want.IsNull():
	case c.want.Type() == cty.Bool:
	case c.want.Type() == cty.String:
		c.text = attrStep(c.want.AsString())
	default:
		return nil, false
	}
	return c, true
}

// Value implements hcl.Expression.
func (e *compareExpr) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	event, known := e.ref.find(ctx)
	switch {
	case !known:
		return cty.UnknownVal(cty.Bool), nil
	case event == nil:
		return cty.BoolVal(e.want.IsNull() != e.negate), nil
	case !event.has(e.path.field):
		return e.BinaryOpExpr.Value(ctx) // which fails
	}
	if e.path.field.isJSON() && !scopeOf(ctx).spend(len(event.json(e.path.field)), costOfReading) {
		return cty.DynamicVal, exhausted(e.Range())
	}
	return cty.BoolVal(e.equal(event) != e.negate), nil
}

func (e *compareExpr) equal(event *event) bool {
	if !e.path.field.isJSON() {
		if e.path.field == fieldNone || len(e.path.steps) > 0 {
			return e.want.IsNull()
		}
		return !e.want.IsNull() && e.want.Type() == cty.String && e.equalText(event.text(e.path.field))
	}
	raw, found := event.raw(e.path)
	switch {
	case !found || string(raw) == "null":
		return e.want.IsNull()
	case e.want.IsNull():
		return false
	case e.want.Type() == cty.String:
		return len(raw) >= 2 && raw[0] == '"' && keyEqual(raw[1:len(raw)-1], &e.text)
	case e.want.True():
		return string(raw) == "true"
	}
	return string(raw) == "false"
}

func (e *compareExpr) equalText(text string) bool {
	return text == e.text.key || cty.NormalizeString(text) == e.text.key
}

// logicExpr is && or ||. HCL evaluates both operands and lets a false (of &&) or a
// true (of ||) win over the other's errors, but not over an operand that is no bool.
// Where the second operand is sure to be a bool, it need not be evaluated then.
type logicExpr struct {
	*hclsyntax.BinaryOpExpr // with rewritten operands

	decisive    bool // the operand that decides: true of ||, false of &&
	rightIsBool bool
}

// Value implements hcl.Expression.
func (e *logicExpr) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	left, ok := truth(e.LHS, ctx)
	if ok && left == e.decisive && e.rightIsBool {
		return cty.BoolVal(left), nil
	}
	if ok {
		if right, ok := truth(e.RHS, ctx); ok {
			if left == e.decisive {
				right = left
			}
			return cty.BoolVal(right), nil
		}
	}
	// An error, null or a string: rare, and best left to HCL.
	return e.BinaryOpExpr.Value(ctx)
}

// truth evaluates the expression; false: it is not plainly true or false.
func truth(expr hclsyntax.Expression, ctx *hcl.EvalContext) (value, ok bool) {
	v, diags := expr.Value(ctx)
	return v == cty.True, len(diags) == 0 && (v == cty.True || v == cty.False)
}

// isBool reports whether a rewritten expression gives a bool, or fails in a way that
// leaves && and || to their other operand, whatever the event.
func isBool(expr hclsyntax.Expression) bool {
	switch e := expr.(type) {
	case *compareExpr, *logicExpr:
		return true
	case *hclsyntax.BinaryOpExpr:
		return e.Op.Type == cty.Bool
	case *hclsyntax.UnaryOpExpr:
		return e.Op.Type == cty.Bool
	case *hclsyntax.LiteralValueExpr:
		return e.Val.Type() == cty.Bool && !e.Val.IsNull()
	}
	return false
}
