package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// Capture says what is kept of a delivered answer, for captured() to find.
type Capture struct {
	Key   hcl.Expression `json:"-"` // a string or number, over `event`
	Value hcl.Expression `json:"-"` // anything, over `event` and `response`; null: nothing is kept

	DeclRange hcl.Range
}

// findCaptures notes which webhooks keep something, for calls of captured() that come
// before them.
func (l *loader) findCaptures() {
	l.captures = map[string]bool{}
	for _, src := range l.blocks["webhook"] {
		for _, name := range src.Labels {
			for _, child := range src.Body.Blocks {
				l.captures[name] = l.captures[name] || child.Type == "capture"
			}
			l.captures[name] = l.captures[name] || false
		}
	}
}

func (b *block) capture() *Capture {
	c := b.nested("capture")
	if c == nil {
		return nil
	}
	capture := &Capture{DeclRange: c.src.DefRange()}
	if attr := c.argument("key"); attr != nil {
		capture.Key = attr.Expr
		value, ok := c.evaluate(attr.Expr, b.within.captureKey)
		if ok && c.refuseSecret(value, attr.Expr.Range(), "the key of what is kept") && !mayBe(value, isText) {
			c.wrongType(attr.Expr.Range(), "key", value, "a string or number, such as event.aggregate_id")
		}
	}
	if attr := c.argument("value"); attr != nil {
		capture.Value = attr.Expr
		if value, ok := c.evaluate(attr.Expr, b.within.captureValue); ok {
			c.refuseSecret(value, attr.Expr.Range(), "what is kept in the ledger")
		}
	}
	return capture
}

// capturedFunction is captured(webhook, key) as far as it is known at load. Package
// internal/route puts the one that looks into the ledger in its place.
var capturedFunction = function.New(&function.Spec{
	Params: []function.Parameter{
		{Name: "webhook", Type: cty.String},
		{Name: "key", Type: cty.String, AllowNull: true},
	},
	Type: function.StaticReturnType(cty.DynamicPseudoType),
	Impl: func([]cty.Value, cty.Type) (cty.Value, error) { return cty.DynamicVal, nil },
})
