package route

import (
	"regexp"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// boundedExpr refuses numbers, and strings about to be used as numbers, of more
// digits than maxDigits. HCL writes numbers without exponents: the ten characters
// 1e99999999 in a string of an event would ask for a hundred megabytes, and a few
// more for all the memory there is. The numbers of JSON payloads are bounded when
// they are decoded, so what is left to watch is what makes numbers of strings.
type boundedExpr struct {
	hclsyntax.Expression

	strings bool // the value will be used as a number
}

// Value implements hcl.Expression.
func (e *boundedExpr) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	s := scopeOf(ctx)
	if s.left < 0 {
		return cty.DynamicVal, exhausted(e.Range())
	}
	value, diags := e.Expression.Value(ctx)
	switch {
	case diags.HasErrors():
		return value, diags
	case !s.afford(value):
		return cty.DynamicVal, append(diags, exhausted(e.Range())...)
	case bounded(value, e.strings):
		return value, diags
	}
	return cty.DynamicVal, append(diags, failure("Number out of range",
		"A number, or a string that is used as a number, has too many digits.", e.Range()))
}

// bounded reports whether no number in the value is too long to be written out.
func bounded(value cty.Value, strings bool) bool {
	value, _ = value.Unmark()
	if value.IsNull() || !value.IsKnown() {
		return true
	}
	switch t := value.Type(); {
	case t == cty.Number:
		return checkMagnitude(value.AsBigFloat()) == nil
	case t == cty.String && strings:
		number, err := cty.ParseNumberVal(value.AsString())
		return err != nil || bounded(number, false)
	case t.IsPrimitiveType() || !value.CanIterateElements():
		return true
	case !strings && t.IsCollectionType() && t.ElementType() == cty.String:
		return true
	}
	for it := value.ElementIterator(); it.Next(); {
		if _, element := it.Element(); !bounded(element, strings) {
			return false
		}
	}
	return true
}

// numericVerb matches what makes format() use a string as a number.
var numericVerb = regexp.MustCompile(`%[-+ #0-9.*\[\]]*[bdoxXeEfFgG]`)

// makesNumbers reports whether the call may use its i-th argument as a number even
// if it is a string.
func makesNumbers(call *hclsyntax.FunctionCallExpr, f function.Function, i int) bool {
	if call.Name == "format" || call.Name == "formatlist" {
		spec, diags := call.Args[0].Value(nil)
		return diags.HasErrors() || spec.IsNull() || !spec.IsKnown() || spec.IsMarked() ||
			spec.Type() != cty.String || numericVerb.MatchString(spec.AsString())
	}
	param := parameter(f, i)
	return param != nil && (param.Type == cty.Number ||
		param.Type.IsCollectionType() && param.Type.ElementType() == cty.Number)
}

// parameter returns what the function declares about its i-th argument, or nil.
func parameter(f function.Function, i int) *function.Parameter {
	if params := f.Params(); i < len(params) {
		return &params[i]
	}
	return f.VarParam()
}
