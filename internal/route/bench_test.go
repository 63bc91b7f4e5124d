package route

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/walpost/walpost/outbox"
)

// benchSource has 27 rules and 20 webhooks, whose `when` and `topics` decide on event
// fields.
func benchSource(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	for i, topic := range load(t, all, nil).Topics {
		aggregate, short, _ := strings.Cut(topic.Name, ".")
		fmt.Fprintf(&b, `
rule "r%d" {
  when  = event.aggregate_type == %q && event.type == %q
  topic = %q
}
`, i, aggregate, short, topic.Name)
	}
	for i := range 19 {
		fmt.Fprintf(&b, `
webhook "w%d" {
  topics = [%q, "meeting.*"]
  when   = event.aggregate_type == "contact" && event.type != "t%d"
  url    = "https://example.com/w%d"
}
`, i, []string{"contact.*", "conversation.*", "user.*", "lead.*"}[i%4], i, i)
	}
	return b.String() + `
webhook "crm" {
  topics  = ["contact.*"]
  when    = event.topic == "contact.tagged"
  url     = "https://crm.example.com/leads/${urlencode(event.data.contact.email)}"
  headers = { X-Source = "walpost" }
  body = {
    LastName = event.data.contact.name
    Email    = event.data.contact.email
    Company  = event.data.contact.company.name
    Plan     = event.data.contact.custom_properties.plan
    Tag      = event.data.tag.name
  }
}
`
}

// benchRow has a payload of 1 kB.
func benchRow(t testing.TB) *outbox.Row {
	t.Helper()
	payload := `{"tag": {"id": 3, "name": "vip"}, "contact": {"id": 7, "name": "Ada Lovelace", "type": "lead", "email": "ada@example.com", "phone": "+44 20 7946 0000", ` +
		`"company": {"id": 12, "name": "Analytical Engines", "size": 2}, "custom_properties": {"plan": "pro", "seats": 12, "notes": "` +
		strings.Repeat("n", 600) + `"}, "location": {"city": "London", "country": "GB", "lat": 51.5072, "lon": -0.1276}, "tags": ["a", "b", "c"]}, "tagged_at": "2026-03-01T12:00:00Z"}`
	if len(payload) < 1000 || len(payload) > 1100 {
		t.Fatalf("the payload has %d bytes", len(payload))
	}
	return row("tagged", payload)
}

// BenchmarkRoute is the routing of one event to 6 of 20 webhooks.
func BenchmarkRoute(b *testing.B) {
	table, event := compile(b, benchSource(b)), benchRow(b)
	if n := len(routed(b, table, event)); n != 6 {
		b.Fatalf("%d deliveries", n)
	}
	b.ReportAllocs()
	for b.Loop() {
		if deliveries, problems := table.Route(event); len(deliveries) != 6 || problems != nil {
			b.Fatal(problems)
		}
	}
}

// BenchmarkRouteAndRender also renders the request whose body has five fields of the
// payload.
func BenchmarkRouteAndRender(b *testing.B) {
	table, event := compile(b, benchSource(b)), benchRow(b)
	b.ReportAllocs()
	for b.Loop() {
		deliveries, _ := table.Route(event)
		request, p := table.Render(context.Background(), &deliveries[len(deliveries)-1])
		if p != nil || len(request.Body) < 100 {
			b.Fatal(p)
		}
	}
}

// BenchmarkRenderPassedThrough renders the default body: the payload as it came.
func BenchmarkRenderPassedThrough(b *testing.B) {
	table, event := compile(b, benchSource(b)), benchRow(b)
	deliveries := routed(b, table, event)
	b.ReportAllocs()
	for b.Loop() {
		if request, p := table.Render(context.Background(), &deliveries[0]); p != nil || len(request.Body) < 1000 {
			b.Fatal(p)
		}
	}
}
