package route

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// jsonExpr is an expression compiled to write its value as JSON. What it takes from
// the event unchanged is copied as text, without ever becoming a value: it costs
// little and keeps the digits and the order of its keys.
//
// The keys of an object that is written in HCL keep their order there; those of
// objects that functions or a `for` with keys make are sorted. Either way the same event
// gives the same bytes.
type jsonExpr interface {
	// appendTo appends the JSON text to dst.
	appendTo(dst []byte, ctx *hcl.EvalContext) ([]byte, hcl.Diagnostics)
}

// compileJSON compiles a rewritten expression.
func compileJSON(expr hclsyntax.Expression) jsonExpr {
	switch e := expr.(type) {
	case *hclsyntax.LiteralValueExpr:
		if text, err := appendJSON(nil, e.Val); err == nil {
			return jsonText(text)
		}
	case *eventExpr:
		if e.path.field != fieldAll && !e.strict {
			return &jsonPath{expr: e}
		}
	case *weighedExpr:
		return compileJSON(e.Expression)
	case *localExpr:
		switch e.local.expr.(type) {
		case *hclsyntax.TupleConsExpr, *hclsyntax.ObjectConsExpr, *hclsyntax.ForExpr, *capturedExpr:
			return &jsonLocal{expr: e}
		}
	case *capturedExpr:
		return &jsonCaptured{expr: e}
	case *hclsyntax.ForExpr:
		if e.KeyExpr == nil {
			return compileFor(e)
		}
	case *hclsyntax.TupleConsExpr:
		return compileTuple(e)
	case *hclsyntax.ObjectConsExpr:
		if object, ok := compileObject(e); ok {
			return object
		}
	}
	return &jsonValue{expr: expr}
}

// jsonText is a constant.
type jsonText []byte

func (t jsonText) appendTo(dst []byte, _ *hcl.EvalContext) ([]byte, hcl.Diagnostics) {
	return append(dst, t...), nil
}

// jsonPath is a part of an event.
type jsonPath struct {
	expr *eventExpr
}

func (p *jsonPath) appendTo(dst []byte, ctx *hcl.EvalContext) ([]byte, hcl.Diagnostics) {
	event, known := p.expr.ref.find(ctx)
	path := p.expr.path
	switch {
	case event == nil || !known:
	case !event.has(path.field):
		return dst, hcl.Diagnostics{p.expr.noEvent()}
	case path.field.isJSON():
		s := scopeOf(ctx)
		if !s.spend(len(event.json(path.field)), costOfReading) {
			return dst, exhausted(p.expr.Range())
		}
		text, found := event.raw(path)
		if !s.spend(len(text), costOfWriting) {
			return dst, exhausted(p.expr.Range())
		}
		if found {
			return append(dst, text...), nil
		}
	case path.field != fieldNone && len(path.steps) == 0:
		return appendString(dst, event.text(path.field)), nil
	}
	return append(dst, "null"...), nil
}

// jsonTuple is `[…]`.
type jsonTuple []jsonExpr

func compileTuple(e *hclsyntax.TupleConsExpr) jsonTuple {
	tuple := make(jsonTuple, len(e.Exprs))
	for i, element := range e.Exprs {
		tuple[i] = compileJSON(element)
	}
	return tuple
}

func (t jsonTuple) appendTo(dst []byte, ctx *hcl.EvalContext) ([]byte, hcl.Diagnostics) {
	dst = append(dst, '[')
	for i, element := range t {
		if i > 0 {
			dst = append(dst, ',')
		}
		var diags hcl.Diagnostics
		if dst, diags = element.appendTo(dst, ctx); diags.HasErrors() {
			return dst, diags
		}
	}
	return append(dst, ']'), nil
}

// jsonObject is `{…}` with constant keys.
type jsonObject []jsonMember

type jsonMember struct {
	key   []byte // quoted, with the colon
	value jsonExpr
}

// compileObject compiles an object; false: a key depends on the event, or is there
// twice.
func compileObject(e *hclsyntax.ObjectConsExpr) (jsonObject, bool) {
	object := make(jsonObject, len(e.Items))
	seen := make(map[string]bool, len(e.Items))
	for i, item := range e.Items {
		key, ok := item.KeyExpr.(*hclsyntax.LiteralValueExpr)
		if !ok || key.Val.IsNull() || key.Val.Type() != cty.String || seen[key.Val.AsString()] {
			return nil, false
		}
		seen[key.Val.AsString()] = true
		object[i] = jsonMember{
			key:   append(appendString(nil, key.Val.AsString()), ':'),
			value: compileJSON(item.ValueExpr),
		}
	}
	return object, true
}

func (o jsonObject) appendTo(dst []byte, ctx *hcl.EvalContext) ([]byte, hcl.Diagnostics) {
	dst = append(dst, '{')
	for i, member := range o {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, member.key...)
		var diags hcl.Diagnostics
		if dst, diags = member.value.appendTo(dst, ctx); diags.HasErrors() {
			return dst, diags
		}
	}
	return append(dst, '}'), nil
}

// jsonValue is anything else: evaluated, then written.
type jsonValue struct {
	expr hclsyntax.Expression
}

func (v *jsonValue) appendTo(dst []byte, ctx *hcl.EvalContext) ([]byte, hcl.Diagnostics) {
	value, diags := v.expr.Value(ctx)
	if diags.HasErrors() {
		return dst, diags
	}
	if !scopeOf(ctx).afford(value) {
		return dst, exhausted(v.expr.Range())
	}
	dst, err := appendJSON(dst, value)
	if err != nil {
		return dst, hcl.Diagnostics{failure("No JSON value",
			"The expression can't be written as JSON: "+err.Error()+".", v.expr.Range())}
	}
	return dst, nil
}
