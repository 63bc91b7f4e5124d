package route

import (
	"slices"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/walpost/walpost/outbox"
)

// requirement says that a condition is false, and gives no error, for every event
// whose field is none of the values.
type requirement struct {
	field  field
	values []string
}

// requires returns what the rewritten condition requires of an event's type or
// aggregate type.
//
// It follows from how HCL evaluates: a comparison with a constant never fails. A
// false operand of && makes it false whatever the other one gives, an error too, as
// long as the other is a bool and not, say, a string. And || is false without an
// error where both operands are.
func requires(condition hclsyntax.Expression) (requirement, bool) {
	switch e := condition.(type) {
	case *compareExpr:
		constant := e.ref == theEvent && !e.negate && len(e.path.steps) == 0 && !e.want.IsNull() && e.want.Type() == cty.String
		if constant && (e.path.field == fieldType || e.path.field == fieldAggregateType) {
			return requirement{field: e.path.field, values: []string{e.want.AsString()}}, true
		}
	case *logicExpr:
		left, leftOK := requires(e.LHS)
		right, rightOK := requires(e.RHS)
		switch {
		case e.decisive: // ||
			if leftOK && rightOK && left.field == right.field {
				left.values = append(left.values, right.values...)
				return left, true
			}
		case leftOK && isBool(e.RHS) && (!rightOK || !isBool(e.LHS) || left.field == fieldType):
			return left, true // the type says more than the aggregate type
		case rightOK && isBool(e.LHS):
			return right, true
		}
	}
	return requirement{}, false
}

// ruleIndex finds the rules that may match an event, so that the others cost nothing.
// Lists of rules are positions in file order.
type ruleIndex struct {
	byType      map[string][]int
	byAggregate map[string][]int
	rest        []int
}

func (x *ruleIndex) add(position int, condition hclsyntax.Expression) {
	required, ok := requires(condition)
	if !ok {
		x.rest = append(x.rest, position)
		return
	}
	lists := &x.byType
	if required.field == fieldAggregateType {
		lists = &x.byAggregate
	}
	if *lists == nil {
		*lists = map[string][]int{}
	}
	slices.Sort(required.values)
	for _, value := range slices.Compact(required.values) {
		(*lists)[value] = append((*lists)[value], position)
	}
}

// candidates calls yield with the position of each rule that may match the row, in
// file order.
func (x *ruleIndex) candidates(row *outbox.Row) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		lists := [][]int{
			x.byType[cty.NormalizeString(row.Type)],
			x.byAggregate[cty.NormalizeString(row.AggregateType)],
			x.rest,
		}
		for {
			next := -1
			for i := range lists {
				if len(lists[i]) > 0 && (next < 0 || lists[i][0] < lists[next][0]) {
					next = i
				}
			}
			if next < 0 || !yield(lists[next][0]) {
				return
			}
			lists[next] = lists[next][1:]
		}
	}
}
