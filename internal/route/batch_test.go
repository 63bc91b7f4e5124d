package route

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// batched routes each row to the one webhook of the source and returns all deliveries.
func batched(t testing.TB, table *Table, payloads ...string) []*Delivery {
	t.Helper()
	var all []*Delivery
	for i, payload := range payloads {
		r := row("tagged", payload)
		r.ID = fmt.Sprintf("0198c1f0-0000-7000-8000-%012d", i+1)
		r.AggregateID = fmt.Sprint(i + 1)
		deliveries := routed(t, table, r)
		if len(deliveries) != 1 {
			t.Fatalf("%d deliveries", len(deliveries))
		}
		all = append(all, &deliveries[0])
	}
	return all
}

func batch2(arguments string) string {
	return `
webhook "one" {
  topics = ["contact.tagged"]
  url    = "https://example.com/hooks"
  batch {
    max  = 50
    wait = "2s"
  }
  ` + arguments + `
}`
}

func TestBatchBodies(t *testing.T) {
	t.Parallel()
	const id = "0198c1f0-0000-7000-8000-00000000000"
	tests := []struct{ name, arguments, want string }{
		{
			"gist", ``,
			`[{"id":"` + id + `1","topic":"contact.tagged","created_at":1772362800,"c": {"email": "a@x", "n": 1.10}},` +
				`{"id":"` + id + `2","topic":"contact.tagged","created_at":1772362800,"c": {"email": null, "tags": [1]}}]`,
		},
		{
			"standard", `envelope = "standard"`,
			`[{"type":"contact.tagged","timestamp":"2026-03-01T11:00:00.12Z","data":{"c": {"email": "a@x", "n": 1.10}}},` +
				`{"type":"contact.tagged","timestamp":"2026-03-01T11:00:00.12Z","data":{"c": {"email": null, "tags": [1]}}}]`,
		},
		{"raw", `envelope = "raw"`, `[{"c": {"email": "a@x", "n": 1.10}},{"c": {"email": null, "tags": [1]}}]`},
		{"for", `body = { inputs = [for e in events : { id = e.data.c.email, n = e.data.c.n, c = e.data.c }] }`, `{"inputs":[{"id":"a@x","n":1.10,"c":{"email": "a@x", "n": 1.10}},{"id":null,"n":null,"c":{"email": null, "tags": [1]}}]}`},
		{"for with if", `body = [for i, e in events : { i = i, t = e.topic } if e.data.c.email != null]`, `[{"i":0,"t":"contact.tagged"}]`},
		{"for with keys", `body = { for e in events : e.aggregate_id => e.data.c.tags }`, `{"1":null,"2":[1]}`},
		{"for within for", `body = [for e in events : [for f in events : "${e.aggregate_id}${f.aggregate_id}"]]`, `[["11","12"],["21","22"]]`},
		{"for that shadows", `body = [for e in events : [for e in [{ id = 5 }] : e.id]]`, `[[5],[5]]`},
		{"try", `body = [for e in events : try(e.data.c.tags, "none")]`, `["none",[1]]`},
		{"splat", `body = events[*].data.c.email`, `["a@x",null]`},
		{"attribute splat", `body = events.*.aggregate_id`, `["1","2"]`},
		{"splat of all", `body = [for x in events[*] : x.type]`, `["tagged","tagged"]`},
		{"index", `body = [events[0].data.c.n, events[1].data.c.tags[0], events[7].data.c, try(events[7].id, "none")]`, `[1.10,1,null,"none"]`},
		{"length", `body = { n = length(events) }`, `{"n":2}`},
		{"functions", `body = [for e in slice(events, 1, 2) : e.data.c.tags]`, `[[1]]`},
		{"as a whole", `body = [for e in reverse(events) : e.lsn]`, `["0/16B3748","0/16B3748"]`},
		{"locals", "locals {\n emails = [for e in events : e.data.c.email if e.data.c.email != null]\n}\nbody = { emails = local.emails, n = length(local.emails) }", `{"emails":["a@x"],"n":1}`},
		{"text", `body = join("\n", [for e in events : jsonencode({ id = e.aggregate_id })])`, "{\"id\":\"1\"}\n{\"id\":\"2\"}"},
		{"form", `form = { data = jsonencode(events[*].aggregate_id), n = length(events) }`, `data=%5B%221%22%2C%222%22%5D&n=2`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			table := compile(t, batch2(tt.arguments))
			ds := batched(t, table, `{"c": {"email": "a@x", "n": 1.10}}`, `{"c": {"email": null, "tags": [1]}}`)
			request, p := table.RenderBatch(t.Context(), ds)
			if p != nil || string(request.Body) != tt.want {
				t.Errorf("got  %s\nwant %s\n%v", request.Body, tt.want, p)
			}
			again, _ := table.RenderBatch(t.Context(), ds)
			if requestText(t, again) != requestText(t, request) {
				t.Error("rendered twice, it differs")
			}
		})
	}
}

func TestBatchRequests(t *testing.T) {
	t.Parallel()
	table := compile(t, batch2(`
  query   = { first = events[0].id }
  headers = { X-Count = length(events), X-Types = join(",", [for e in events : e.type]) }`)+all)
	if most, wait, ok := table.Batch("one"); !ok || most != 50 || wait != 2*time.Second {
		t.Errorf("Batch = %d, %v, %v", most, wait, ok)
	}
	for _, other := range []string{"all", "none"} {
		if _, _, ok := table.Batch(other); ok {
			t.Errorf("%s has batches", other)
		}
	}
	deliveries := routed(t, table, row("tagged", `{}`))
	one, other := &deliveries[0], &deliveries[1]
	request, p := table.RenderBatch(t.Context(), []*Delivery{one, one, one})
	if p != nil || request.Header.Get("X-Count") != "3" || request.Header.Get("X-Types") != "tagged,tagged,tagged" {
		t.Errorf("%+v, %v", request, p)
	}
	if request, p = table.Render(t.Context(), one); p != nil || request.Header.Get("X-Count") != "1" || !strings.HasPrefix(string(request.Body), "[{") {
		t.Errorf("a batch of one: %+v, %v", request, p)
	}
	if request, p = table.RenderBatch(t.Context(), []*Delivery{other}); p != nil || !strings.HasPrefix(string(request.Body), `{"id"`) {
		t.Errorf("one delivery without a batch: %+v, %v", request, p)
	}
	for _, ds := range [][]*Delivery{{other, other}, {one, other}, {}} {
		if _, p := table.RenderBatch(t.Context(), ds); p == nil || p.Temporary || p.Waiting {
			t.Errorf("%d deliveries: %v", len(ds), p)
		}
	}
}

// TestNoEventInABatch: config refuses `event` there; if it didn't, it would fail.
func TestNoEventInABatch(t *testing.T) {
	t.Parallel()
	table := compile(t, batch2(``))
	ds := batched(t, table, `{"a": 1}`, `{"a": 1}`)
	r := rewriter{functions: functions(t)}
	for _, source := range []string{`event.id`, `event.payload.a`, `event.payload.a == "x"`, `[event.data]`, `try(event.id, 1) == 1 ? event.type : 1`, `event`} {
		expr := r.rewrite(parse(t, source), place{})
		s := table.scope(nil)
		s.take(table.webhooks["one"], ds)
		if text, p := s.json(nil, compileJSON(expr), expr.Range()); p == nil || p.Summary != "No event" {
			t.Errorf("%s: %s, %v", source, text, p)
		}
		table.release(s)
	}
}

func TestBatchProblem(t *testing.T) {
	t.Parallel()
	table := compile(t, batch2(`body = [for e in events : e.data.n + 1]`))
	ds := batched(t, table, `{"n": 1}`, `{"n": "s3cr3t"}`)
	_, p := table.RenderBatch(t.Context(), ds)
	if p == nil || p.Webhook != "one" || p.Topic != "contact.tagged" || strings.Contains(p.Error(), "s3cr3t") {
		t.Errorf("problem: %+v", p)
	}
	ds[1].Topic = "contact.created"
	if _, p = table.RenderBatch(t.Context(), ds); p == nil || p.Topic != "" {
		t.Errorf("the problem of several topics: %+v", p)
	}
	if _, p = table.RenderBatch(t.Context(), ds[:1]); p != nil {
		t.Errorf("the one without: %v", p)
	}
}

func TestBatchID(t *testing.T) {
	t.Parallel()
	a, b, c := DeliveryID("a", "t", "w"), DeliveryID("b", "t", "w"), DeliveryID("c", "t", "w")
	ids := map[string]bool{DeliveryID(a, b, c): true}
	for _, members := range [][]string{{a, b}, {b, a}, {a}, {a, b, c}, {a, a}} {
		id := BatchID(members)
		if id != BatchID(members) || len(id) != 36 || id[14] != '5' || ids[id] {
			t.Errorf("the id of %v: %s", members, id)
		}
		ids[id] = true
	}
	if got := BatchID([]string{a, b}); got != "6ca06b6f-96d9-595c-a2dd-10812090f31d" {
		t.Errorf("the id has changed: %s", got)
	}
}

// BenchmarkRenderBatch is the request of 100 events of 1 kB, of which each element's
// body has three fields.
func BenchmarkRenderBatch(b *testing.B) {
	table := compile(b, batch2(`
  body = {
    inputs = [for e in events : { idProperty = "email", id = e.data.contact.email, properties = { plan = e.data.contact.custom_properties.plan, n = e.data.contact.id } }]
  }`))
	ds := make([]*Delivery, 100)
	for i := range ds {
		ds[i] = &routed(b, table, benchRow(b))[0]
	}
	b.ReportAllocs()
	for b.Loop() {
		request, p := table.RenderBatch(b.Context(), ds)
		if p != nil || len(request.Body) < 5000 {
			b.Fatal(p)
		}
	}
	request, _ := table.RenderBatch(b.Context(), ds)
	if !json.Valid(request.Body) {
		b.Errorf("no JSON: %s", request.Body)
	}
}
