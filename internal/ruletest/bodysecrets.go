package ruletest

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/walpost/walpost/config"
)

// secretTree says which values of a JSON body are made of secrets, as far as the body is written out as objects and lists.
// A value that is nothing but env() in a text is found by the secret itself (Hide); the tree finds what is made of it, such
// as base64encode("user:${env("X")}").
type secretTree struct {
	secret  bool                   // the value here is
	members map[string]*secretTree // of an object
	element *secretTree            // of a list, any
}

// bodyTree is the tree of a webhook's body; nil: nothing in it is secret.
func bodyTree(w *config.Webhook, locals map[string]bool) *secretTree {
	t := &secretTree{}
	if w.Body != nil {
		t.grow(w.Body, locals)
	}
	for _, p := range w.BodyParams {
		t.member(p.Name).grow(p.Value, locals)
	}
	return t
}

func (t *secretTree) member(name string) *secretTree {
	if t.members == nil {
		t.members = map[string]*secretTree{}
	}
	if t.members[name] == nil {
		t.members[name] = &secretTree{}
	}
	return t.members[name]
}

// grow adds what the expression gives.
func (t *secretTree) grow(expr hcl.Expression, locals map[string]bool) {
	switch e := expr.(type) {
	case *hclsyntax.ObjectConsExpr:
		for _, item := range e.Items {
			name, diags := item.KeyExpr.Value(nil)
			if !diags.HasErrors() && !name.IsNull() && name.Type().FriendlyName() == "string" {
				t.member(name.AsString()).grow(item.ValueExpr, locals)
			}
		}
	case *hclsyntax.TupleConsExpr:
		if t.element == nil {
			t.element = &secretTree{}
		}
		for _, element := range e.Exprs {
			t.element.grow(element, locals)
		}
	case *hclsyntax.ForExpr:
		if t.element == nil {
			t.element = &secretTree{}
		}
		t.element.grow(e.ValExpr, locals)
	case *hclsyntax.FunctionCallExpr:
		if e.Name == "merge" || e.Name == "jsonencode" {
			for _, arg := range e.Args {
				t.grow(arg, locals)
			}
			return
		}
		t.secret = t.secret || touches(e, locals)
	case *hclsyntax.ConditionalExpr:
		t.grow(e.TrueResult, locals)
		t.grow(e.FalseResult, locals)
	case *hclsyntax.ParenthesesExpr:
		t.grow(e.Expression, locals)
	default:
		t.secret = t.secret || touches(expr, locals)
	}
}

// hide replaces what is secret in a decoded JSON value. What has a secret as it is keeps the text around it.
func (t *secretTree) hide(value any, text func(string) string) any {
	if t == nil {
		return value
	}
	switch v := value.(type) {
	case map[string]any:
		shown := make(map[string]any, len(v))
		for name, member := range v {
			below := t.members[name]
			if t.secret && below == nil {
				below = &secretTree{secret: true}
			}
			shown[name] = below.hide(member, text)
		}
		return shown
	case []any:
		below := t.element
		if t.secret && below == nil {
			below = &secretTree{secret: true}
		}
		shown := make([]any, len(v))
		for i, element := range v {
			shown[i] = below.hide(element, text)
		}
		return shown
	case string:
		if t.secret && text(v) == v {
			return hidden
		}
	}
	return value
}
