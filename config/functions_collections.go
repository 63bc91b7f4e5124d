package config

import (
	"errors"
	"math/big"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
)

// Terraform's functions of lists and maps that go-cty's standard library doesn't have.

// sum adds up; unlike Terraform's it has an answer for an empty list.
var sum = function.New(&function.Spec{
	Params:       []function.Parameter{{Name: "list", Type: cty.List(cty.Number)}},
	Type:         function.StaticReturnType(cty.Number),
	RefineResult: notNull,
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		if !args[0].IsWhollyKnown() {
			return cty.UnknownVal(cty.Number), nil
		}
		total := new(big.Float).SetPrec(512)
		for _, n := range args[0].AsValueSlice() {
			if n.IsNull() {
				return cty.NilVal, function.NewArgErrorf(0, "an element is null")
			}
			total.Add(total, n.AsBigFloat())
		}
		return cty.NumberVal(total), nil
	},
})

// one is the element of a list that has one, and null if it has none.
var one = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "list", Type: cty.DynamicPseudoType}},
	Type:   function.StaticReturnType(cty.DynamicPseudoType),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		list := args[0]
		if !isList(list.Type()) {
			return cty.NilVal, function.NewArgErrorf(0, "a list is needed, not a %s", list.Type().FriendlyName())
		}
		switch elements := list.AsValueSlice(); len(elements) {
		case 0:
			return cty.NullVal(cty.DynamicPseudoType), nil
		case 1:
			return elements[0], nil
		default:
			return cty.NilVal, function.NewArgErrorf(0, "it has more than one element")
		}
	},
})

// indexOf is Terraform's index: where in a list a value is.
var indexOf = function.New(&function.Spec{
	Params: []function.Parameter{
		{Name: "list", Type: cty.DynamicPseudoType},
		{Name: "value", Type: cty.DynamicPseudoType},
	},
	Type:         function.StaticReturnType(cty.Number),
	RefineResult: notNull,
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		if !isList(args[0].Type()) || args[0].Type().IsSetType() {
			return cty.NilVal, function.NewArgErrorf(0, "a list is needed, not a %s", args[0].Type().FriendlyName())
		}
		for i, element := range args[0].AsValueSlice() {
			same, known := equals(element, args[1])
			if !known {
				return cty.UnknownVal(cty.Number), nil
			}
			if same {
				return cty.NumberIntVal(int64(i)), nil
			}
		}
		return cty.NilVal, errors.New("the list has no such element")
	},
})

// matchKeys is Terraform's matchkeys: the values whose keys are among others.
var matchKeys = function.New(&function.Spec{
	Params: []function.Parameter{
		{Name: "values", Type: cty.List(cty.DynamicPseudoType)},
		{Name: "keys", Type: cty.List(cty.DynamicPseudoType)},
		{Name: "searchset", Type: cty.List(cty.DynamicPseudoType)},
	},
	Type: func(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil },
	Impl: func(args []cty.Value, want cty.Type) (cty.Value, error) {
		for _, arg := range args {
			if !arg.IsWhollyKnown() {
				return cty.UnknownVal(want), nil
			}
		}
		values, keys, search := args[0].AsValueSlice(), args[1].AsValueSlice(), args[2].AsValueSlice()
		if len(values) != len(keys) {
			return cty.NilVal, function.NewArgErrorf(1, "there must be as many keys as values")
		}
		var found []cty.Value
		for i, key := range keys {
			for _, wanted := range search {
				if same, _ := equals(key, wanted); same {
					found = append(found, values[i])
					break
				}
			}
		}
		if len(found) == 0 {
			return cty.ListValEmpty(want.ElementType()), nil
		}
		return cty.ListVal(found), nil
	},
})

// transpose swaps the keys and the values of a map of lists.
var transpose = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "map", Type: cty.Map(cty.List(cty.String))}},
	Type:   function.StaticReturnType(cty.Map(cty.List(cty.String))),
	Impl: func(args []cty.Value, want cty.Type) (cty.Value, error) {
		if !args[0].IsWhollyKnown() {
			return cty.UnknownVal(want), nil
		}
		swapped := map[string][]cty.Value{}
		for it := args[0].ElementIterator(); it.Next(); { // in the order of keys
			key, values := it.Element()
			if values.IsNull() {
				return cty.NilVal, function.NewArgErrorf(0, "a list is null")
			}
			for _, value := range values.AsValueSlice() {
				if value.IsNull() {
					return cty.NilVal, function.NewArgErrorf(0, "a list has a null")
				}
				swapped[value.AsString()] = append(swapped[value.AsString()], key)
			}
		}
		if len(swapped) == 0 {
			return cty.MapValEmpty(cty.List(cty.String)), nil
		}
		lists := make(map[string]cty.Value, len(swapped))
		for key, values := range swapped {
			lists[key] = cty.ListVal(values)
		}
		return cty.MapVal(lists), nil
	},
})

// equals compares as == does, after making both one type where that can be.
func equals(a, b cty.Value) (same, known bool) {
	if !a.Type().Equals(b.Type()) {
		if converted, err := convert.Convert(b, a.Type()); err == nil {
			b = converted
		}
	}
	result := a.Equals(b)
	if !result.IsKnown() {
		return false, false
	}
	return result.True(), true
}
