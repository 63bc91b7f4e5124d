package route

import (
	"bytes"

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

// bodyParam is an entry of `body_params`.
type bodyParam struct {
	name  step
	key   []byte // quoted, with the colon
	value jsonExpr
	at    hcl.Range
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

// body makes the body of the scope's delivery.
func (s *scope) body(w *webhook) ([]byte, *Problem) {
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
	switch w.envelope {
	case config.EnvelopeStandard:
		return s.standardBody(w)
	case config.EnvelopeRaw:
		return s.rawBody(w)
	}
	return s.gistBody(w)
}

// envelopeSize is about what an envelope adds to the data, in bytes.
const envelopeSize = 160

// gistBody is {"id","topic","created_at", …the members of the data}. Data that is no
// object is the member "data".
func (s *scope) gistBody(w *webhook) ([]byte, *Problem) {
	dst := make([]byte, 0, len(s.event.data)+envelopeSize)
	dst = append(dst, `{"id":`...)
	dst = appendString(dst, s.event.row.ID)
	dst = append(dst, `,"topic":`...)
	dst = appendString(dst, s.event.topic)
	dst = append(dst, `,"created_at":`...)
	dst = appendString(dst, createdAt(s.event.row))
	if isObject(s.event.data) {
		dst = appendMembersExcept(dst, s.event.data, w.taken)
	} else {
		dst = append(append(dst, `,"data":`...), s.event.data...)
	}
	return s.closeBody(dst, w)
}

// standardBody is Standard Webhooks' {"type","timestamp","data"} ("Payload structure").
func (s *scope) standardBody(w *webhook) ([]byte, *Problem) {
	dst := make([]byte, 0, len(s.event.data)+envelopeSize)
	dst = append(dst, `{"type":`...)
	dst = appendString(dst, s.event.topic)
	dst = append(dst, `,"timestamp":`...)
	dst = appendString(dst, createdAt(s.event.row))
	dst = append(append(dst, `,"data":`...), s.event.data...)
	return s.closeBody(dst, w)
}

// rawBody is the data alone, with the parameters among its members if there are any.
func (s *scope) rawBody(w *webhook) ([]byte, *Problem) {
	if len(w.params) == 0 {
		return s.event.data, nil
	}
	if !isObject(s.event.data) {
		return nil, &Problem{
			Summary: "No object to add to",
			Detail:  "The data is no object, so that body_params can't be added to it.",
			Where:   where(w.at),
		}
	}
	dst := make([]byte, 0, len(s.event.data)+envelopeSize)
	return s.closeBody(appendMembersExcept(append(dst, '{'), s.event.data, w.taken), w)
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
