package route

import (
	"context"
	"maps"
	"net/http"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/walpost/walpost/config"
)

// Request is the HTTP request of a delivery, the same at every attempt unless
// captured() finds something else.
type Request struct {
	Method string
	URL    string
	Header http.Header // with Content-Type where there is a body; it may be another request's, too, and isn't to be modified
	Body   []byte      // nil: none
}

// webhook is a compiled webhook.
type webhook struct {
	name     string
	enabled  bool
	when     condition
	waitFor  condition
	method   string
	url      urlTemplate
	query    []param
	headers  []header
	params   []param       // body_params
	form     *form         // nil: none
	body     *body         // nil: by form or envelope
	batch    *config.Batch // nil: a request for each event
	judge    *judge        // nil: the status says it all
	order    *order        // nil: none
	envelope config.Envelope
	taken    []step // top-level keys of the default body that the data can't have
	at       hcl.Range
}

// header is an entry of `headers`.
type header struct {
	name  string
	value hclsyntax.Expression
}

// Render makes the request of a delivery. If it is one to a webhook with a batch, it is
// a batch of one. The context is that of what captured() looks up.
//
// A problem is either the event's, or it is Temporary or Waiting: see [Problem].
func (t *Table) Render(ctx context.Context, d *Delivery) (Request, *Problem) {
	return t.RenderBatch(ctx, []*Delivery{d})
}

// RenderBatch makes the one request of several deliveries, which are all to the same
// webhook: one with a batch, unless there is one delivery.
func (t *Table) RenderBatch(ctx context.Context, ds []*Delivery) (Request, *Problem) {
	w, p := t.addressee(ds)
	if p != nil {
		return Request{}, p
	}
	s := t.scope(nil)
	defer t.release(s)
	s.asking = ctx
	s.take(w, ds)
	request, p := s.render(w)
	return request, p.of(w.name, ds)
}

// addressee returns the webhook of the deliveries.
func (t *Table) addressee(ds []*Delivery) (*webhook, *Problem) {
	if len(ds) == 0 {
		return nil, &Problem{Summary: "Empty batch", Detail: "There is no delivery to make a request of."}
	}
	name := ds[0].Webhook
	w := t.webhooks[name]
	if w == nil {
		p := &Problem{Summary: "Unknown webhook", Detail: "The configuration has no such webhook any more."}
		return nil, p.of(name, ds)
	}
	for _, d := range ds[1:] {
		if w.batch == nil || d.Webhook != name {
			p := &Problem{Summary: "Not a batch", Detail: "The deliveries can't share a request.", Where: where(w.at)}
			return nil, p.of(name, ds)
		}
	}
	return w, nil
}

// of says whose problem it is.
func (p *Problem) of(webhook string, ds []*Delivery) *Problem {
	if p == nil {
		return nil
	}
	p.Webhook, p.Topic = webhook, ds[0].Topic
	for _, d := range ds {
		if d.Topic != p.Topic {
			p.Topic = "" // there are several
		}
	}
	return p
}

// take makes the deliveries what the scope's expressions see.
func (s *scope) take(w *webhook, ds []*Delivery) {
	if w.batch == nil {
		s.show(ds[0].Row, ds[0].Topic, ds[0].data)
		return
	}
	s.events = make(batch, len(ds))
	for i, d := range ds {
		s.events[i] = event{row: d.Row, topic: d.Topic, data: d.data}
	}
	s.allow()
}

func (s *scope) render(w *webhook) (r Request, p *Problem) {
	r = Request{Method: w.method}
	ready, p := s.holds(w.waitFor)
	if p != nil {
		return r, p
	}
	if !ready {
		return r, &Problem{
			Summary: "Waiting", Detail: "The webhook's wait_for is not true yet.",
			Where: where(w.waitFor.expr.Range()), Waiting: true,
		}
	}
	if r.URL, p = s.url(&w.url); p != nil {
		return r, p
	}
	bodiless := w.method == http.MethodGet || w.method == http.MethodHead || w.method == http.MethodDelete
	if r.URL, p = s.query(r.URL, w, bodiless); p != nil {
		return r, p
	}
	if r.Header, p = s.header(w, bodiless); p != nil || bodiless {
		return r, p
	}
	r.Body, p = s.body(w)
	return r, p
}

// The headers of webhooks that have none of their own.
var (
	noHeader   = http.Header{}
	jsonHeader = http.Header{"Content-Type": {"application/json"}}
	formHeader = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
)

// header evaluates the headers, with the type of the body. One that is null is left out.
func (s *scope) header(w *webhook, bodiless bool) (http.Header, *Problem) {
	preset := jsonHeader
	switch {
	case bodiless:
		preset = noHeader
	case w.form != nil:
		preset = formHeader
	}
	if len(w.headers) == 0 {
		return preset, nil
	}
	made := make(http.Header, len(w.headers)+1)
	maps.Copy(made, preset)
	for _, h := range w.headers {
		value, p := s.value(h.value, cty.String, "A header must be a string, a number or a bool.")
		if p != nil {
			return nil, p
		}
		if value.IsNull() {
			continue
		}
		text := value.AsString()
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return nil, &Problem{
				Summary: "Invalid header",
				Detail:  "The value of the header " + h.name + " has a line break or another control character in it.",
				Where:   where(h.value.Range()),
			}
		}
		made[h.name] = []string{text}
	}
	return made, nil
}
