package route

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/walpost/walpost/outbox"
)

// scope is what expressions are evaluated in: one event at a time. A scope belongs
// to one goroutine; the table keeps them for the next event.
type scope struct {
	event    event
	ctx      *hcl.EvalContext // holds &event
	panicked bool             // something may be left in it
}

// scope returns a scope with the row as its event, as rules see it.
func (t *Table) scope(row *outbox.Row) *scope {
	s, ok := t.scopes.Get().(*scope)
	if !ok {
		s = &scope{}
		s.ctx = &hcl.EvalContext{
			Variables: map[string]cty.Value{"event": cty.CapsuleVal(eventType, &s.event)},
			Functions: t.functions,
		}
	}
	s.event = event{row: row}
	return s
}

// release takes a scope back.
func (t *Table) release(s *scope) {
	if s.panicked {
		return
	}
	s.event = event{}
	t.scopes.Put(s)
}

// condition is a compiled `when`.
type condition struct {
	expr hclsyntax.Expression // nil: always true
}

// never reports whether the condition is false for every event.
func (c condition) never() bool {
	constant, ok := c.expr.(*hclsyntax.LiteralValueExpr)
	if !ok || constant.Val.IsNull() {
		return ok
	}
	value, err := convert.Convert(constant.Val, cty.Bool)
	return err == nil && value.False()
}

// holds reports whether the condition is true of the scope's event. Null is not.
func (s *scope) holds(c condition) (bool, *Problem) {
	if c.expr == nil {
		return true, nil
	}
	value, p := s.value(c.expr, cty.Bool, "The condition must be true or false.")
	if p != nil || value.IsNull() {
		return false, p
	}
	return value.True(), nil
}

// value evaluates the expression and converts its value to the primitive type; if
// that isn't possible, the sentence says so. The value is known, may be null, and
// has no marks.
func (s *scope) value(expr hclsyntax.Expression, t cty.Type, sentence string) (value cty.Value, p *Problem) {
	defer s.recovered(expr.Range(), &p)
	value, diags := expr.Value(s.ctx)
	if diags.HasErrors() {
		return cty.NilVal, problem(diags, expr.Range())
	}
	if t == cty.Bool && (value == cty.True || value == cty.False) {
		return value, nil // quick, as most conditions come here
	}
	value, _ = value.UnmarkDeep()
	if value.IsNull() {
		return value, nil
	}
	if value.Type() != t {
		var err error
		if value, err = convert.Convert(value, t); err != nil {
			return cty.NilVal, &Problem{Summary: "Wrong type", Detail: sentence, Where: where(expr.Range())}
		}
	}
	if !value.IsKnown() {
		return cty.NilVal, problem(nil, expr.Range())
	}
	return value, nil
}

// json appends the JSON text of the expression's value to dst.
func (s *scope) json(dst []byte, expr jsonExpr, at hcl.Range) (out []byte, p *Problem) {
	defer s.recovered(at, &p)
	out, diags := expr.appendTo(dst, s.ctx)
	if diags.HasErrors() {
		return dst, problem(diags, at)
	}
	return out, nil
}

// recovered makes a problem of a panic: a value that a library doesn't expect must
// not bring the daemon down, again at every restart.
func (s *scope) recovered(at hcl.Range, p **Problem) {
	if recover() != nil {
		s.panicked = true
		*p = &Problem{
			Summary: "Expression crashed",
			Detail:  "Evaluating the expression with this event is a bug in walpost or a library of it. Please report it.",
			Where:   where(at),
		}
	}
}
