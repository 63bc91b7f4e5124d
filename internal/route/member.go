package route

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// memberExpr reaches into a value along a constant path. A path that leads nowhere
// is null.
type memberExpr struct {
	hclsyntax.Expression // the traversal as written

	from  hclsyntax.Expression
	steps []step
}

// Value implements hcl.Expression.
func (e *memberExpr) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	value, diags := e.from.Value(ctx)
	if diags.HasErrors() {
		return cty.DynamicVal, diags
	}
	for i := range e.steps {
		value = reach(value, &e.steps[i])
	}
	return value, diags
}

// indexExpr reaches into a value by a key that an event decides.
type indexExpr struct {
	*hclsyntax.IndexExpr // with rewritten parts
}

// Value implements hcl.Expression.
func (e *indexExpr) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	collection, diags := e.Collection.Value(ctx)
	key, more := e.Key.Value(ctx)
	diags = append(diags, more...)
	if diags.HasErrors() {
		return cty.DynamicVal, diags
	}
	if !key.IsKnown() {
		return cty.DynamicVal, diags
	}
	if at, ok := indexStep(key); ok {
		return reach(collection, &at), diags
	}
	return null, diags
}

// indexStep is the step of `[key]`; false: nothing has such a key. As in HCL, a
// number reaches into objects and a numeric string into arrays.
func indexStep(key cty.Value) (step, bool) {
	key, _ = key.Unmark()
	if key.IsNull() || !key.IsKnown() {
		return step{index: -1}, false
	}
	text, err := convert.Convert(key, cty.String)
	if err != nil {
		return step{index: -1}, false
	}
	at := attrStep(text.AsString())
	if c := at.key; c == "" || !strings.ContainsRune("0123456789+-.", rune(c[0])) {
		return at, true
	}
	if number, err := convert.Convert(key, cty.Number); err == nil {
		f := number.AsBigFloat()
		if n, _ := f.Int64(); f.IsInt() && 0 <= n && n <= 1<<31-1 {
			at.index = int(n)
		}
	}
	return at, true
}

// reach returns what the value has at the step: null if it has nothing there, is
// null, or is nothing that has members.
func reach(value cty.Value, at *step) cty.Value {
	value, marks := value.Unmark()
	return reachUnmarked(value, at).WithMarks(marks)
}

func reachUnmarked(value cty.Value, at *step) cty.Value {
	t := value.Type()
	switch {
	case !value.IsKnown():
		return cty.DynamicVal
	case t.IsObjectType() && t.HasAttribute(at.key):
		if value.IsNull() {
			return cty.NullVal(t.AttributeType(at.key))
		}
		return value.GetAttr(at.key)
	case t.IsMapType():
		key := cty.StringVal(at.key)
		if value.IsNull() || value.HasIndex(key).False() {
			return cty.NullVal(t.ElementType())
		}
		return value.Index(key)
	case t.IsListType():
		if at.index < 0 || value.IsNull() || at.index >= value.LengthInt() {
			return cty.NullVal(t.ElementType())
		}
		return value.Index(cty.NumberIntVal(int64(at.index)))
	case t.IsTupleType():
		if at.index < 0 || value.IsNull() || at.index >= value.LengthInt() {
			return null
		}
		return value.Index(cty.NumberIntVal(int64(at.index)))
	}
	return null
}
