package route

import (
	"net/http"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/walpost/walpost/config"
)

// Request is the HTTP request of a delivery, the same at every attempt.
type Request struct {
	Method string
	URL    string
	Header http.Header // with Content-Type where there is a body
	Body   []byte      // nil: none
}

// webhook is a compiled webhook.
type webhook struct {
	name     string
	when     condition
	method   string
	url      urlTemplate
	headers  []param
	params   []bodyParam
	body     *body // nil: by envelope
	envelope config.Envelope
	taken    []step // top-level keys of the default body that the data can't have
	at       hcl.Range
}

// param is a header.
type param struct {
	name  string
	value hclsyntax.Expression
}

// Render makes the request of a delivery. The same delivery gives the same bytes.
func (t *Table) Render(d *Delivery) (Request, *Problem) {
	w := t.webhooks[d.Webhook]
	if w == nil {
		return Request{}, &Problem{
			Webhook: d.Webhook, Topic: d.Topic,
			Summary: "Unknown webhook", Detail: "The configuration has no such webhook any more.",
		}
	}
	s := t.scope(d.Row)
	defer t.release(s)
	s.event.topic, s.event.data = d.Topic, d.data
	request, p := s.render(w)
	if p != nil {
		p.Webhook, p.Topic = w.name, d.Topic
	}
	return request, p
}

func (s *scope) render(w *webhook) (r Request, p *Problem) {
	r = Request{Method: w.method, Header: make(http.Header, len(w.headers)+1)}
	if r.URL, p = s.url(&w.url); p != nil {
		return r, p
	}
	if p = s.header(r.Header, w.headers); p != nil {
		return r, p
	}
	switch w.method {
	case http.MethodGet, http.MethodHead, http.MethodDelete:
		r.URL, p = s.query(r.URL, w)
		return r, p
	}
	if r.Body, p = s.body(w); p != nil {
		return r, p
	}
	if r.Header["Content-Type"] == nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return r, nil
}

// header evaluates the headers. One that is null is left out.
func (s *scope) header(header http.Header, params []param) *Problem {
	for _, h := range params {
		value, p := s.value(h.value, cty.String, "A header must be a string, a number or a bool.")
		if p != nil {
			return p
		}
		if value.IsNull() {
			continue
		}
		text := value.AsString()
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return &Problem{
				Summary: "Invalid header",
				Detail:  "The value of the header " + h.name + " has a line break or another control character in it.",
				Where:   where(h.value.Range()),
			}
		}
		header[h.name] = []string{text}
	}
	return nil
}
