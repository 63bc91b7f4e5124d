package route

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// Lookup finds what the capture block of a webhook kept under a key: JSON text. An error
// means that nobody knows.
type Lookup func(ctx context.Context, webhook, key string) (value []byte, found bool, err error)

// WithCaptures makes captured() ask lookup. Without it, nothing is ever captured.
func WithCaptures(lookup Lookup) Option {
	return func(t *Table) { t.lookup = lookup }
}

// capturedFunction is the name of the function.
const capturedFunction = "captured"

type captureKey struct{ webhook, key string }

// capturedValue is what was found.
type capturedValue struct {
	text  []byte    // nil: nothing
	value cty.Value // NilVal: not decoded yet
}

// capturedExpr is captured(webhook, key).
type capturedExpr struct {
	*hclsyntax.FunctionCallExpr // with rewritten arguments
}

// Value implements hcl.Expression.
func (e *capturedExpr) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	found, diags := e.find(ctx)
	switch {
	case diags.HasErrors() || found == nil:
		return cty.DynamicVal, diags
	case found.text == nil:
		return null, nil
	case !scopeOf(ctx).spend(len(found.text), costOfReading):
		return cty.DynamicVal, exhausted(e.Range())
	}
	if found.value == cty.NilVal {
		value, err := decodeJSON(found.text)
		if err != nil {
			return cty.DynamicVal, hcl.Diagnostics{failure("Unreadable JSON", "What was captured can't be used: "+err.Error()+".", e.Range())}
		}
		found.value = value
	}
	return found.value, nil
}

// nothing was captured.
var nothing = &capturedValue{value: null}

// find returns what was captured; nil if the arguments aren't known yet.
func (e *capturedExpr) find(ctx *hcl.EvalContext) (*capturedValue, hcl.Diagnostics) {
	var arguments [2]cty.Value
	for i, arg := range e.Args {
		value, diags := arg.Value(ctx)
		if diags.HasErrors() {
			return nil, diags
		}
		if value, err := convert.Convert(value, cty.String); err == nil {
			arguments[i], _ = value.Unmark()
			continue
		}
		return nil, hcl.Diagnostics{failure("Invalid argument", "captured() takes a webhook and a key, a string or number.", arg.Range())}
	}
	webhook, key := arguments[0], arguments[1]
	switch {
	case webhook.IsNull():
		return nil, hcl.Diagnostics{failure("Invalid argument", "The webhook of captured() is null.", e.Range())}
	case key.IsNull():
		return nothing, nil
	case !webhook.IsKnown() || !key.IsKnown():
		return nil, nil
	}
	return scopeOf(ctx).captured(captureKey{webhook.AsString(), key.AsString()}, e.Range())
}

// captured asks what was captured, once.
func (s *scope) captured(key captureKey, at hcl.Range) (*capturedValue, hcl.Diagnostics) {
	if found := s.memory.captured[key]; found != nil {
		return found, nil
	}
	found := nothing
	if s.asking != nil && s.table.lookup != nil {
		text, there, err := s.table.lookup(s.asking, key.webhook, key.key)
		if err == nil && there && !json.Valid(text) {
			err = errSyntax
		}
		if err != nil {
			s.memory.lookup = err
			return nil, hcl.Diagnostics{failure("Lookup failed", "What was captured can't be looked up now.", at)}
		}
		if there {
			found = &capturedValue{text: bytes.TrimSpace(text)}
		}
	}
	if s.memory.captured == nil {
		s.memory.captured = map[captureKey]*capturedValue{}
	}
	s.memory.captured[key] = found
	return found, nil
}

// lookupProblem is the problem of a lookup that failed.
func lookupProblem(err error, at hcl.Range) *Problem {
	return &Problem{
		Summary: "Lookup failed", Detail: "What was captured can't be looked up now.", Where: where(at),
		Temporary: true, Err: err,
	}
}

// jsonCaptured writes what was captured as it came.
type jsonCaptured struct {
	expr *capturedExpr
}

func (j *jsonCaptured) appendTo(dst []byte, ctx *hcl.EvalContext) ([]byte, hcl.Diagnostics) {
	found, diags := j.expr.find(ctx)
	switch {
	case diags.HasErrors():
		return dst, diags
	case found == nil || found.text == nil:
		return append(dst, "null"...), nil
	case !scopeOf(ctx).spend(len(found.text), costOfWriting):
		return dst, exhausted(j.expr.Range())
	}
	return append(dst, found.text...), nil
}
