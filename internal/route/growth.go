package route

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// growths has what the functions cost whose work or result is not about as large as
// their arguments, but a product of them. It is paid for before they are called.
var growths = map[string]func(args []cty.Value) int{
	"distinct": func(args []cty.Value) int { return times(lengthOf(args[0]), lengthOf(args[0]), costOfElement/4) },
	"indent": func(args []cty.Value) int {
		return times(numberOf(args[0]), strings.Count(textOf(args[1]), "\n"), costOfWriting)
	},
	"join": func(args []cty.Value) int {
		elements := 0
		for _, list := range args[1:] {
			elements += lengthOf(list)
		}
		return times(len(textOf(args[0])), elements, costOfWriting)
	},
	"matchkeys": func(args []cty.Value) int { return times(lengthOf(args[1]), lengthOf(args[2]), costOfElement) },
	"replace": func(args []cty.Value) int {
		text, search := textOf(args[0]), textOf(args[1])
		matches := len(text) + 1 // of a regular expression, at most
		if len(search) < 2 || search[0] != '/' || search[len(search)-1] != '/' {
			matches = strings.Count(text, search)
		}
		return times(matches, len(textOf(args[2])), costOfWriting)
	},
	"setproduct": func(args []cty.Value) int {
		elements := costOfElement
		for _, list := range args {
			elements = times(elements, lengthOf(list))
		}
		return times(elements, len(args))
	},
}

// growingExpr is a call of such a function.
type growingExpr struct {
	*hclsyntax.FunctionCallExpr // with rewritten arguments

	growth func(args []cty.Value) int
}

// Value implements hcl.Expression.
func (e *growingExpr) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	call := *e.FunctionCallExpr
	call.Args = make([]hclsyntax.Expression, len(e.Args))
	args := make([]cty.Value, len(e.Args))
	for i, arg := range e.Args {
		value, diags := arg.Value(ctx)
		if diags.HasErrors() {
			return e.FunctionCallExpr.Value(ctx) // which says it all
		}
		args[i] = value
		call.Args[i] = &hclsyntax.LiteralValueExpr{Val: value, SrcRange: arg.Range()}
	}
	if last := len(args) - 1; e.ExpandFinal && args[last].IsKnown() && !args[last].IsNull() && args[last].CanIterateElements() {
		args = append(args[:last:last], args[last].AsValueSlice()...)
	}
	f := ctx
	for f.Functions == nil {
		f = f.Parent()
	}
	if least := len(f.Functions[e.Name].Params()); len(args) >= least && !scopeOf(ctx).spend(e.growth(args), 1) {
		return cty.DynamicVal, exhausted(e.Range())
	}
	return call.Value(ctx)
}

// times multiplies what may be large.
func times(factors ...int) int {
	const most = 1 << 60
	product := 1
	for _, f := range factors {
		if f != 0 && product > most/f {
			return most
		}
		product *= f
	}
	return product
}

// lengthOf, textOf and numberOf return what a function will make of an argument; nothing
// if it will refuse it.

func lengthOf(value cty.Value) int {
	if value, _ = value.Unmark(); value.IsNull() || !value.IsKnown() || !value.CanIterateElements() {
		return 0
	}
	return value.LengthInt()
}

func textOf(value cty.Value) string {
	if value, _ = value.Unmark(); value.IsNull() || !value.IsKnown() || value.Type() != cty.String {
		return ""
	}
	return value.AsString()
}

func numberOf(value cty.Value) int {
	at, ok := indexStep(value)
	switch {
	case !ok || at.key != "" && at.key[0] == '-':
		return 0
	case at.index < 0: // more than fits
		return 1 << 31
	}
	return at.index
}
