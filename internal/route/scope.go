package route

import (
	"context"
	"reflect"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/walpost/walpost/outbox"
)

// scope is what expressions are evaluated in: one event, or one batch, at a time. A
// scope belongs to one goroutine; the table keeps them for the next event.
type scope struct {
	table *Table
	ctx   *hcl.EvalContext // holds the scope itself

	event  event
	events batch           // of a batch; nil: there is one event
	asking context.Context // of what captured() asks for; nil in rules
	memory memory
	left   int    // of what the scope may do, see allow
	text   []byte // space for what is needed for a moment

	panicked bool // something may be left in it
}

// scopeType carries a *scope through HCL's variables, and scopeName is the one that
// holds it: no name that an expression can write.
var scopeType = cty.Capsule("scope", reflect.TypeFor[scope]())

const scopeName = " scope"

// scopeOf returns the scope of a context. Only expressions that Compile has rewritten
// ask, and only in a scope's context.
func scopeOf(ctx *hcl.EvalContext) *scope {
	for parent := ctx.Parent(); parent != nil; parent = ctx.Parent() {
		ctx = parent
	}
	return ctx.Variables[scopeName].EncapsulatedValue().(*scope)
}

// scope returns a scope with the row as its event, as rules see it. The row may be nil.
func (t *Table) scope(row *outbox.Row) *scope {
	s, ok := t.scopes.Get().(*scope)
	if !ok {
		s = &scope{table: t}
		s.ctx = &hcl.EvalContext{
			Variables: map[string]cty.Value{scopeName: cty.CapsuleVal(scopeType, s)},
			Functions: t.functions,
		}
	}
	s.event = event{row: row}
	s.allow()
	return s
}

// release takes a scope back.
func (t *Table) release(s *scope) {
	if s.panicked {
		return
	}
	s.event, s.events, s.asking = event{}, nil, nil
	s.memory.clear()
	t.scopes.Put(s)
}

// show makes the event that of a delivery, as webhooks see it.
func (s *scope) show(row *outbox.Row, topic string, data []byte) {
	s.event.row, s.event.topic, s.event.data = row, topic, data
	s.memory.forgetLocals()
	s.allow()
}

// condition is a compiled `when`.
type condition struct {
	expr  hclsyntax.Expression // nil: always true
	reads []reading            // for explanations
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
	s.allow()
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
	if p := s.problem(diags, expr.Range()); p != nil {
		return cty.NilVal, p
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
	if p := s.problem(diags, at); p != nil {
		return dst, p
	}
	return out, nil
}

// problem returns what an evaluation came to, nil if all is well. What try() has hidden
// counts too, if it isn't about the values.
func (s *scope) problem(diags hcl.Diagnostics, at hcl.Range) *Problem {
	switch {
	case s.left < 0:
		return &Problem{Summary: "Too much to evaluate", Detail: exhaustedDetail, Where: where(at)}
	case s.memory.lookup != nil:
		return lookupProblem(s.memory.lookup, at)
	case diags.HasErrors():
		return problem(diags, at)
	}
	return nil
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
