package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Rule maps events to a topic and shapes their data.
type Rule struct {
	Name  string
	When  hcl.Expression `json:"-"` // a bool; nil: always
	Topic string
	Data  hcl.Expression `json:"-"` // an object; nil: event.payload

	DeclRange hcl.Range
}

func (l *loader) decodeRules() {
	taken := map[string]hcl.Range{}
	for _, src := range l.blocks["rule"] {
		b := l.open(src)
		b.checkName(taken)
		l.config.Rules = append(l.config.Rules, b.decodeRule())
	}
}

func (b *block) decodeRule() *Rule {
	s := b.ruleScope()
	rule := &Rule{Name: b.name, When: b.condition("when", s, `event.type == "created"`), DeclRange: b.src.DefRange()}
	if topic, ok := b.text("topic", "lead.created"); ok {
		rule.Topic = topic.value
		if b.config.Topic(topic.value) == nil {
			b.unknownTopic(topic.value, topic.at)
		}
	}
	if attr := b.argument("data"); attr != nil {
		rule.Data = attr.Expr
		value, ok := b.evaluate(attr.Expr, s)
		if ok && b.refuseSecret(value, attr.Expr.Range(), "a rule's data") && !mayBe(value, isObject) {
			b.wrongType(attr.Expr.Range(), "data", value, "an object, such as { contact = event.payload.contact }")
		}
	}
	if attr := b.argument("when"); attr != nil {
		b.within = webhookScopes{judge: s}
		b.never[rule] = b.checkNever(attr, nil)
	}
	return rule
}

// condition checks an argument that is true or false, such as `when`. It returns nil if
// there is none.
func (b *block) condition(argument string, s scope, example string) hcl.Expression {
	attr := b.argument(argument)
	if attr == nil {
		return nil
	}
	value, ok := b.evaluate(attr.Expr, s)
	if !ok || !b.refuseSecret(value, attr.Expr.Range(), "a condition") {
		return attr.Expr
	}
	if !mayBe(value, func(ty cty.Type) bool { return ty == cty.Bool }) {
		b.wrongType(attr.Expr.Range(), argument, value, "true or false, such as "+example)
	}
	return attr.Expr
}

// mayBe reports whether a value can be of such a type, as far as that is known. A
// null is of no type.
func mayBe(value cty.Value, such func(cty.Type) bool) bool {
	value, _ = value.Unmark()
	if value.IsNull() {
		return false
	}
	return value.Type() == cty.DynamicPseudoType || such(value.Type())
}

func isObject(ty cty.Type) bool { return ty.IsObjectType() || ty.IsMapType() }

// params reads an argument that is an object whose names are written out, such as
// headers = { X-Source = "walpost" }. check is asked about each name.
func (b *block) params(argument, example string, s scope, check func(name string, item hclsyntax.ObjectConsItem) bool) []Param {
	attr := b.argument(argument)
	if attr == nil {
		return nil
	}
	object, ok := attr.Expr.(*hclsyntax.ObjectConsExpr)
	if !ok {
		b.fail(attr.Expr.Range(), "Invalid \""+argument+"\"",
			"It must be an object whose names are written out. Write for example: %s = %s", argument, example)
		return nil
	}
	params := make([]Param, 0, len(object.Items))
	for _, item := range object.Items {
		name, ok := b.paramName(item, argument, example)
		// The value is checked even if its name is wrong: all problems at once.
		good := b.checkParam(item.ValueExpr, argument, s)
		if ok && check(name, item) && good {
			params = append(params, Param{Name: name, Value: item.ValueExpr})
		}
	}
	return params
}

func (b *block) paramName(item hclsyntax.ObjectConsItem, argument, example string) (string, bool) {
	at := item.KeyExpr.Range()
	value, diags := item.KeyExpr.Value(nil)
	if diags.HasErrors() || !value.IsKnown() || value.IsNull() || value.Type() != cty.String {
		b.fail(at, "Computed name in \""+argument+"\"", "The names must be written out, as in: %s = %s", argument, example)
		return "", false
	}
	return value.AsString(), true
}

// checkParam type-checks the value of a body parameter (any), or of a header (a
// string), query or form parameter (a string, or a list for several).
func (b *block) checkParam(expr hclsyntax.Expression, argument string, s scope) bool {
	value, ok := b.evaluate(expr, s)
	if !ok || argument == "body_params" {
		return ok
	}
	value, _ = value.Unmark()
	isOne := value.IsNull() || value.Type() == cty.DynamicPseudoType || value.Type().IsPrimitiveType()
	switch {
	case argument == "headers" && !isOne:
		b.wrongType(expr.Range(), argument, value, "a string")
		return false
	case !isOne && !isList(value.Type()):
		b.wrongType(expr.Range(), argument, value, "a string, or a list for several of the name")
		return false
	case argument == "headers" && value.IsKnown() && !value.IsNull() && value.Type() == cty.String && hasControl(value.AsString()):
		b.fail(expr.Range(), "Invalid header value", "A header's value has no line breaks or other control characters. If it comes from file(), write trimspace(file(\"…\")).")
		return false
	}
	return true
}

// hasControl reports whether net/http would refuse the header value
// (golang.org/x/net/http/httpguts.ValidHeaderFieldValue).
func hasControl(s string) bool {
	for i := range len(s) {
		if (s[i] < ' ' && s[i] != '\t') || s[i] == 0x7f {
			return true
		}
	}
	return false
}
