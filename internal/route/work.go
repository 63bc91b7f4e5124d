package route

import (
	"errors"
	"math/big"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// What an evaluation may cost is counted, in something like nanoseconds, so that no
// event can keep a goroutine for minutes or fill the memory: a `for` within a `for` over
// what an event has makes billions of a megabyte. The count depends on the event and
// the configuration alone, as all that is made of them does.
const (
	// workLimit is what a condition or a request may cost: about 65,000 steps of a
	// `for`. Each byte of the events adds to it.
	workLimit   = 1 << 28
	workPerByte = 256

	costOfReading   = 1    // a byte that is passed over
	costOfDecoding  = 16   // a byte of JSON that becomes a value
	costOfWriting   = 32   // a byte of text that is made
	costOfElement   = 64   // an element of a value that is looked at
	costOfIteration = 4000 // an element that a `for` or a splat goes over
)

// allow lets the scope work on something new.
func (s *scope) allow() {
	size := len(s.event.data) + len(s.event.response)
	if s.event.row != nil {
		size += len(s.event.row.Payload) + len(s.event.row.Headers)
	}
	for i := range s.events {
		e := &s.events[i]
		size += len(e.row.Payload) + len(e.row.Headers) + len(e.data)
	}
	s.left = s.table.work + workPerByte*size
}

// spend takes n units each of that cost from what the scope may do. Once nothing is left
// it stays so: no try() makes up for it.
func (s *scope) spend(n, cost int) bool {
	if s.left >= 0 {
		s.left -= n * cost
	}
	return s.left >= 0
}

// exhausted is the failure of an expression that the scope can't afford.
func exhausted(at hcl.Range) hcl.Diagnostics {
	return hcl.Diagnostics{failure("Too much to evaluate", exhaustedDetail, at)}
}

var errWork = errors.New("it takes too much work")

const exhaustedDetail = "This takes more work than one event or batch may. It may be a \"for\" within a \"for\" over long arrays."

// afford spends what it cost to make or to look at a value.
func (s *scope) afford(value cty.Value) bool {
	s.weigh(value)
	return s.left >= 0
}

// weigh spends a value's cost, and stops where nothing is left.
func (s *scope) weigh(value cty.Value) {
	value, _ = value.Unmark()
	if value.IsNull() || !value.IsKnown() || s.left < 0 {
		return
	}
	switch t := value.Type(); {
	case t == cty.String:
		s.spend(len(value.AsString()), costOfWriting)
	case t == cty.Number:
		n := digits(value.AsBigFloat())
		s.spend(n, costOfWriting+n/1024) // writing it out takes the square
	case !t.IsPrimitiveType() && value.CanIterateElements():
		for it := value.ElementIterator(); it.Next() && s.spend(1, costOfElement); {
			_, element := it.Element()
			s.weigh(element)
		}
	}
}

// digits returns about how many digits a number has, written out. One with too many is
// refused by boundedExpr.
func digits(f *big.Float) int {
	exponent := f.MantExp(nil)
	return min(max(exponent, -exponent, int(f.MinPrec()))/3, maxDigits)
}

// loopedExpr is what a `for` or a splat goes over. Its elements are paid for before the
// first of them is touched.
type loopedExpr struct {
	hclsyntax.Expression
}

// Value implements hcl.Expression.
func (e *loopedExpr) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	s := scopeOf(ctx)
	if s.left < 0 {
		return cty.DynamicVal, exhausted(e.Range())
	}
	value, diags := e.Expression.Value(ctx)
	if unmarked, _ := value.Unmark(); !unmarked.IsNull() && unmarked.IsKnown() && unmarked.CanIterateElements() {
		if !s.spend(unmarked.LengthInt(), costOfIteration) {
			return cty.DynamicVal, exhausted(e.Range())
		}
	}
	return value, diags
}

// bare returns the expression without what only counts its cost.
func bare(expr hcl.Expression) hcl.Expression {
	switch e := expr.(type) {
	case *loopedExpr:
		return e.Expression
	case *weighedExpr:
		return e.Expression
	}
	return expr
}

// weighedExpr is an operand whose use costs as much as it has elements: of == or of a
// conditional.
type weighedExpr struct {
	hclsyntax.Expression
}

// weighed returns the expression as such an operand.
func weighed(expr hclsyntax.Expression) hclsyntax.Expression {
	switch e := expr.(type) {
	case *hclsyntax.LiteralValueExpr, *templateExpr, *compareExpr, *logicExpr, *boundedExpr, *hclsyntax.ConditionalExpr:
		return expr // paid for, or small
	case *eventExpr:
		if !e.path.field.isJSON() && e.path.field != fieldAll {
			return expr
		}
	}
	return &weighedExpr{Expression: expr}
}

// Value implements hcl.Expression.
func (e *weighedExpr) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	s := scopeOf(ctx)
	if s.left < 0 {
		return cty.DynamicVal, exhausted(e.Range())
	}
	value, diags := e.Expression.Value(ctx)
	if !s.afford(value) {
		return cty.DynamicVal, exhausted(e.Range())
	}
	return value, diags
}
