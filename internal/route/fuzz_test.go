package route

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const fuzzed = kept + `
locals {
  a    = event.payload.a
  list = [for x in event.payload.list : { n = x.n, all = x }]
  up   = try(upper(local.a), "none")
}
rule "shape" {
  when  = event.payload.a != 1 || event.payload.b > 2
  topic = "contact.tagged"
  data  = { a = event.payload.a, all = event.payload, n = event.payload.b == null ? 0 : event.payload.b, names = try([for x in event.payload.a : x.n], []) }
}
webhook "shaped" {
  topics      = ["contact.tagged"]
  url         = "https://example.com/${event.data.a}?q=${event.payload.a}"
  headers     = { X-A = event.data.a }
  body_params = { a = event.data.a, k = try(keys(event.data.all), null), s = "${event.data.n * 2}", u = local.up, l = try(local.list, null) }
}
webhook "form" {
  locals { key = captured("kept", event.payload.a) }
  topics   = ["contact.tagged"]
  wait_for = try(local.key == null, true)
  url      = "https://example.com/${urlencode(local.up)}"
  query    = { a = local.a, list = event.payload.list, key = try(local.key.n, null) }
  headers  = { X-Up = urlencode(local.up) }
  form     = { a = local.a, all = event.data, list = event.payload.list }
}
webhook "batch" {
  topics  = ["contact.tagged"]
  url     = "https://example.com/${length(events)}"
  query   = { first = events[0].data.a }
  body    = [for e in events : { a = e.data.a, p = e.payload, m = try(e.payload.list[*].n, []) } if e.payload.b != 5]
  success_when = response.json.a == null || try(length(response.json.a) > 0, true)
  batch {
    max    = 2
    failed = [for x in response.json.list : events[0].id if x.n != 1]
  }
}
webhook "plain" {
  topics = ["contact.tagged"]
  url    = "https://example.com/"
}`

// FuzzRender: no payload makes a request that isn't one, or one to another host; and no
// answer breaks what judges it.
func FuzzRender(f *testing.F) {
	for _, seed := range []string{
		`{"a": "x", "b": 1e9}`, `{"a": "\r\nX: y"}`, `{"a": {"b": [1, {"c": null}]}}`, `{"a": "@evil/", "id": 1}`, `{"a": "1e999999999"}`, `{"a":[{"n":1},{"n":"x"}]}`,
		`{"a": "?x=1&y=2#z", "list": [{"n": 1}, {"n": null}, 5, [], "&="]}`, `{"a": 123456789012345678901234567890.50, "list": {"k": {"n": 1e400}}}`,
		`{"a": null, "list": null, "b": 5}`, `{"a": "kept", "list": [[[[1]]], "\ud800"]}`, `{"a": [], "b": "5", "list": "text"}`, `{"list":[{"n":1},{"n":1}],"a":"\u0000"}`,
	} {
		f.Add([]byte(seed))
	}
	table := compileWith(f, fuzzed, WithCaptures(func(_ context.Context, _, key string) ([]byte, bool, error) {
		return append(append([]byte(`{"n": `), appendString(nil, key)...), '}'), key == "kept", nil
	}))
	f.Fuzz(func(t *testing.T, payload []byte) {
		if !json.Valid(payload) || !isObject(payload) {
			return
		}
		event := row("tagged", string(payload))
		deliveries, problems := table.Route(event)
		for _, p := range problems {
			notCrashed(t, payload, &p)
		}
		if explained := table.Explain(event); strings.Join(got(explained.Deliveries), "\n") != strings.Join(got(deliveries), "\n") {
			t.Errorf("%s: explained as %v", payload, explained)
		}
		for i := range deliveries {
			d := &deliveries[i]
			ds := []*Delivery{d}
			if d.Webhook == "batch" {
				ds = append(ds, d)
			}
			request, p := table.RenderBatch(t.Context(), ds)
			if p != nil {
				notCrashed(t, payload, p)
				if d.Webhook == "plain" {
					t.Errorf("%s: %v", payload, p)
				}
				continue
			}
			isRequest(t, payload, d.Webhook, request)
			again, _ := table.RenderBatch(t.Context(), ds)
			if requestText(t, again) != requestText(t, request) {
				t.Errorf("%s: rendered twice, it differs", payload)
			}
			if table.Judges(d.Webhook) {
				_, p := table.Judge(t.Context(), d.Webhook, ds, Response{Status: 200, Body: payload})
				notCrashed(t, payload, p)
			}
		}
	})
}

func notCrashed(t *testing.T, payload []byte, p *Problem) {
	t.Helper()
	if p != nil && p.Summary == "Expression crashed" {
		t.Errorf("%s: %v", payload, p)
	}
}

func isRequest(t *testing.T, payload []byte, webhook string, request Request) {
	t.Helper()
	made, err := http.NewRequest(request.Method, request.URL, nil)
	if err != nil || made.URL.Host != "example.com" || made.URL.Scheme != "https" || strings.ContainsAny(made.URL.RequestURI(), " \r\n") {
		t.Errorf("%s: URL %q, %v", payload, request.URL, err)
	}
	for _, values := range request.Header {
		if strings.ContainsAny(values[0], "\r\n\x00") {
			t.Errorf("%s: header %q", payload, values[0])
		}
	}
	if webhook == "form" {
		if form, err := url.ParseQuery(string(request.Body)); err != nil || !form.Has("all") {
			t.Errorf("%s: form %s, %v", payload, request.Body, err)
		}
	} else if !json.Valid(request.Body) {
		t.Errorf("%s: body %s", payload, request.Body)
	}
}
