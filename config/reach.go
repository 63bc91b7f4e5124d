package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// What can be told of conditions without an event: that one is never true, because two
// comparisons in it contradict each other.

// checkReach warns of a webhook that no event can reach.
func (b *block) checkReach(w *Webhook) {
	if attr := b.argument("when"); attr != nil {
		topics := map[string][]string{}
		for _, topic := range b.config.Topics {
			if w.takes(topic.Name) {
				topics["event.topic"] = append(topics["event.topic"], topic.Name)
			}
		}
		b.checkNever(attr, topics)
	}
	for _, argument := range []string{"success_when", "wait_for"} {
		if attr := b.argument(argument); attr != nil {
			b.checkNever(attr, nil)
		}
	}
	asked := b.argument("topics")
	if asked == nil || len(w.Topics) == 0 {
		return
	}
	for _, topic := range b.config.Topics {
		if w.takes(topic.Name) && b.reachable(topic) {
			return
		}
	}
	b.warn(asked.Expr.Range(), "Webhook that nothing reaches",
		"None of its topics has event types, and no rule that can match gives one of them. Give a topic event_types, or write a rule.")
}

// reachable reports whether some event can have the topic.
func (l *loader) reachable(topic *Topic) bool {
	return len(topic.EventTypes) > 0 || slices.ContainsFunc(l.config.Rules, func(r *Rule) bool {
		return r.Topic == topic.Name && !l.never[r]
	})
}

// checkNever warns of a condition that no event can fulfil. values has what some paths
// can be.
func (l *loader) checkNever(attr *hclsyntax.Attribute, values map[string][]string) bool {
	in := &inspector{loader: l, scope: l.within.judge}
	why := ""
	for _, c := range in.cases(attr.Expr, false) {
		if why = c.contradiction(values); why == "" {
			return false
		}
	}
	if why == "" {
		return false // too many cases to tell
	}
	l.warn(attr.Expr.Range(), fmt.Sprintf("%q is never true", attr.Name), "%s", why)
	return true
}

// comparison is what one part of a condition asks of a path; an empty path is a constant
// that is false.
type comparison struct {
	path   string
	is     bool     // or is not
	values []string // one of these, as HCL has them
}

// conjunction is one way in which a condition can be true: all of these hold.
type conjunction []comparison

// A condition is taken apart into at most so many conjunctions, of so many comparisons.
const (
	maxCases       = 64
	maxComparisons = 256
)

// cases takes a condition apart. What isn't understood could be true. It returns nil
// if there are too many cases.
func (in *inspector) cases(expr hclsyntax.Expression, negated bool) []conjunction {
	switch e := expr.(type) {
	case *hclsyntax.ParenthesesExpr:
		return in.cases(e.Expression, negated)
	case *hclsyntax.UnaryOpExpr:
		if e.Op == hclsyntax.OpLogicalNot {
			return in.cases(e.Val, !negated)
		}
	case *hclsyntax.BinaryOpExpr:
		both, either := hclsyntax.OpLogicalAnd, hclsyntax.OpLogicalOr
		if negated {
			both, either = either, both
		}
		switch e.Op {
		case both:
			return product(in.cases(e.LHS, negated), in.cases(e.RHS, negated))
		case either:
			left, right := in.cases(e.LHS, negated), in.cases(e.RHS, negated)
			if left == nil || right == nil || len(left)+len(right) > maxCases {
				return nil
			}
			return slices.Concat(left, right)
		case hclsyntax.OpEqual, hclsyntax.OpNotEqual:
			return in.comparison(e.LHS, e.RHS, (e.Op == hclsyntax.OpEqual) != negated)
		}
	case *hclsyntax.FunctionCallExpr:
		if e.Name == "contains" && len(e.Args) == 2 && !e.ExpandFinal {
			return in.contains(e, !negated)
		}
	}
	if value, ok := in.fixed(expr); ok && value.Type() == cty.Bool && !value.IsNull() && value.True() == negated {
		return []conjunction{{{values: []string{text(value)}}}}
	}
	return []conjunction{{}}
}

// product is each of the left with each of the right.
func product(left, right []conjunction) []conjunction {
	if left == nil || right == nil || len(left)*len(right) > maxCases {
		return nil
	}
	var all []conjunction
	for _, l := range left {
		for _, r := range right {
			if len(l)+len(r) > maxComparisons {
				return nil
			}
			all = append(all, slices.Concat(l, r))
		}
	}
	return all
}

// comparison is that of a path with a constant, whichever is first.
func (in *inspector) comparison(left, right hclsyntax.Expression, is bool) []conjunction {
	path, constant := in.aliasOf(left), right
	if path == nil {
		path, constant = in.aliasOf(right), left
	}
	value, ok := in.fixed(constant)
	if path == nil || !ok || !value.IsNull() && !value.Type().IsPrimitiveType() {
		return []conjunction{{}}
	}
	return []conjunction{{{path: path.String(), is: is, values: []string{text(value)}}}}
}

// contains is contains(["a", "b"], path).
func (in *inspector) contains(call *hclsyntax.FunctionCallExpr, is bool) []conjunction {
	list, ok := in.fixed(call.Args[0])
	path := in.aliasOf(call.Args[1])
	if !ok || path == nil || list.IsNull() || !list.CanIterateElements() || isObject(list.Type()) {
		return []conjunction{{}}
	}
	c := comparison{path: path.String(), is: is}
	for _, value := range list.AsValueSlice() {
		if !value.IsNull() && !value.Type().IsPrimitiveType() {
			return []conjunction{{}}
		}
		c.values = append(c.values, text(value))
	}
	return []conjunction{{c}}
}

// fixed returns the value of an expression that is the same for every event.
func (in *inspector) fixed(expr hclsyntax.Expression) (cty.Value, bool) {
	if len(expr.Variables()) > 0 || hasLoop(expr) {
		return cty.NilVal, false
	}
	value, diags := expr.Value(in.scope.context(in.config.Functions))
	if diags.HasErrors() || value.ContainsMarked() || !value.IsWhollyKnown() {
		return cty.NilVal, false
	}
	return value, true
}

// text is a constant as HCL has it.
func text(value cty.Value) string { return string(toJSON(value)) }

// contradiction says why not all of it can hold; "" if it can.
func (c conjunction) contradiction(values map[string][]string) string {
	possible := map[string][]string{}
	for path, of := range values {
		for _, value := range of {
			possible[path] = append(possible[path], fmt.Sprintf("%q", value))
		}
	}
	for _, each := range c {
		if each.path == "" {
			return "A part of it is false, whatever the event."
		}
		if each.is && isEventText(each.path) && !slices.ContainsFunc(each.values, isTextOrNull) {
			return fmt.Sprintf("%s is a string, and is compared with %s. Write it in quotes.", each.path, either(each.values))
		}
		if !each.is {
			continue
		}
		before, constrained := possible[each.path]
		if !constrained {
			possible[each.path] = each.values
			continue
		}
		left := slices.DeleteFunc(slices.Clone(before), func(v string) bool { return !slices.Contains(each.values, v) })
		if len(left) == 0 {
			return fmt.Sprintf("%s would have to be %s, and can only be %s.", each.path, either(each.values), either(before))
		}
		possible[each.path] = left
	}
	for _, each := range c {
		before, constrained := possible[each.path]
		if each.is || !constrained {
			continue
		}
		left := slices.DeleteFunc(slices.Clone(before), func(v string) bool { return slices.Contains(each.values, v) })
		if len(left) == 0 {
			return fmt.Sprintf("%s would have to be %s, and must not be.", each.path, either(before))
		}
		possible[each.path] = left
	}
	return ""
}

// either joins alternatives, not too many.
func either(values []string) string {
	if len(values) > 4 {
		return strings.Join(values[:3], ", ") + fmt.Sprintf(" or one of %d more", len(values)-3)
	}
	return strings.Join(values, " or ")
}

// isEventText reports whether the path is an attribute of event that is always text.
func isEventText(path string) bool {
	name, ok := strings.CutPrefix(path, rootEvent+".")
	ty := webhookEvent.Type()
	return ok && ty.HasAttribute(name) && ty.AttributeType(name) == cty.String
}

func isTextOrNull(value string) bool { return value == "null" || strings.HasPrefix(value, `"`) }
