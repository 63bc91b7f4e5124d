package route

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/walpost/walpost/config"
)

// body is a webhook's own `body`.
type body struct {
	value jsonExpr
	at    hcl.Range
	// encoded: the value comes from jsonencode(), so that a string in it is to be sent
	// as JSON. Any other string is sent as it is.
	encoded bool
}

// newBody compiles a `body`. The jsonencode() of those who write it as in Terraform is
// taken off: the value is encoded here, with its numbers as they came.
func newBody(expr hclsyntax.Expression) *body {
	b := &body{at: expr.Range()}
	if outer, ok := expr.(*boundedExpr); ok {
		call, ok := outer.Expression.(*hclsyntax.FunctionCallExpr)
		if ok && call.Name == "jsonencode" && len(call.Args) == 1 && !call.ExpandFinal {
			b.encoded, expr = true, call.Args[0]
		}
	}
	b.value = compileJSON(expr)
	return b
}

// takenKeys returns the keys that envelope and parameters set at the top of the body.
func takenKeys(w *webhook) []step {
	var taken []step
	if w.envelope == config.EnvelopeGist {
		taken = []step{attrStep("id"), attrStep("topic"), attrStep("created_at")}
	}
	for _, p := range w.params {
		taken = append(taken, p.name)
	}
	return taken
}

// body makes the body of the scope's request.
func (s *scope) body(w *webhook) ([]byte, *Problem) {
	if w.form != nil {
		return s.form(w.form)
	}
	if w.body != nil {
		text, p := s.json(nil, w.body.value, w.body.at)
		switch {
		case p != nil || w.body.encoded:
			return text, p
		case len(text) > 0 && text[0] == '"':
			return []byte(unquote(text[1 : len(text)-1])), nil
		case string(text) != "null":
			return text, nil
		}
		// null is as good as no `body` at all.
	}
	if w.batch == nil {
		return s.envelope(nil, w, &s.event)
	}
	dst := []byte{'['}
	for i := range s.events {
		if i > 0 {
			dst = append(dst, ',')
		}
		var p *Problem
		if dst, p = s.envelope(dst, w, &s.events[i]); p != nil {
			return nil, p
		}
	}
	return append(dst, ']'), nil
}

// envelopeSize is about what an envelope adds to the data, in bytes.
const envelopeSize = 160

// envelope appends the default body of an event.
func (s *scope) envelope(dst []byte, w *webhook, e *event) ([]byte, *Problem) {
	if w.envelope == config.EnvelopeRaw && len(w.params) == 0 {
		if dst == nil {
			return e.data, nil
		}
		return append(dst, e.data...), nil
	}
	dst = slices.Grow(dst, len(e.data)+envelopeSize)
	switch w.envelope {
	case config.EnvelopeStandard:
		dst = appendStandard(dst, e)
	case config.EnvelopeRaw:
		if !isObject(e.data) {
			return nil, &Problem{
				Summary: "No object to add to",
				Detail:  "The data is no object, so that body_params can't be added to it.",
				Where:   where(w.at),
			}
		}
		dst = appendMembersExcept(append(dst, '{'), e.data, w.taken)
	default:
		dst = appendGist(dst, e, w.taken)
	}
	return s.closeBody(dst, w)
}

// appendGist appends {"id","topic","created_at", …the members of the data, without the
// closing brace. Data that is no object is the member "data".
func appendGist(dst []byte, e *event, taken []step) []byte {
	dst = append(dst, `{"id":`...)
	dst = appendString(dst, e.row.ID)
	dst = append(dst, `,"topic":`...)
	dst = appendString(dst, e.topic)
	dst = append(dst, `,"created_at":`...)
	dst = strconv.AppendInt(dst, createdAt(e.row).Unix(), 10)
	if isObject(e.data) {
		return appendMembersExcept(dst, e.data, taken)
	}
	return append(append(dst, `,"data":`...), e.data...)
}

// appendStandard appends Standard Webhooks' {"type","timestamp","data" ("Payload
// structure"), without the closing brace.
func appendStandard(dst []byte, e *event) []byte {
	dst = append(dst, `{"type":`...)
	dst = appendString(dst, e.topic)
	dst = append(dst, `,"timestamp":`...)
	dst = appendString(dst, e.text(fieldCreatedAt))
	return append(append(dst, `,"data":`...), e.data...)
}

// closeBody appends the parameters and the closing brace.
func (s *scope) closeBody(dst []byte, w *webhook) ([]byte, *Problem) {
	for i := range w.params {
		p := &w.params[i]
		dst = append(appendComma(dst), p.key...)
		var problem *Problem
		if dst, problem = s.json(dst, p.value, p.at); problem != nil {
			return nil, problem
		}
	}
	return append(dst, '}'), nil
}

func isObject(text []byte) bool {
	at := skipSpace(text, 0)
	return at < len(text) && text[at] == '{'
}

// appendComma appends the comma that a further member needs.
func appendComma(dst []byte) []byte {
	if dst[len(dst)-1] == '{' {
		return dst
	}
	return append(dst, ',')
}

// appendMembersExcept appends the members of an object text but those whose key is
// taken. If none is, which is usual, they are copied in one piece, as they came.
func appendMembersExcept(dst, object []byte, taken []step) []byte {
	object = bytes.TrimSpace(object)
	if len(object) < 2 {
		return dst
	}
	collides := false
	for members := objectMembers(object); members.next() && !collides; {
		collides = isTaken(members.key, taken)
	}
	if !collides {
		inner := bytes.TrimSpace(object[1 : len(object)-1])
		if len(inner) == 0 {
			return dst
		}
		return append(appendComma(dst), inner...)
	}
	for members := objectMembers(object); members.next(); {
		if !isTaken(members.key, taken) {
			dst = append(append(appendComma(dst), '"'), members.key...)
			dst = append(append(dst, '"', ':'), members.value...)
		}
	}
	return dst
}

func isTaken(key []byte, taken []step) bool {
	for i := range taken {
		if keyEqual(key, &taken[i]) {
			return true
		}
	}
	return false
}
