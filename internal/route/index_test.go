package route

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestRequires(t *testing.T) {
	t.Parallel()
	f := functions(t)
	tests := []struct{ when, want string }{
		{`event.type == "a"`, "type a"},
		{`"a" == event.type`, "type a"},
		{`event.aggregate_type == "a"`, "aggregate a"},
		{`(event.aggregate_type == "a") && event.type == "b"`, "type b"},
		{`event.type == "b" && event.aggregate_type == "a" && event.payload.n > 1`, "type b"},
		{`event.payload.x == "y" && (event.type == "a" || event.type == "b")`, "type a b"},
		{`event.type == "a" || event.type == "b" && event.payload.n > 1`, "type a b"},
		{`event.type == upper("a")`, "type A"},
		{`event["type"] == "a" && !event.payload.x`, "type a"},
		{`event.type == "a" && true`, "type a"},
		// Any event may match, or fail.
		{`event.type != "a"`, ""},
		{`!(event.type == "a")`, ""},
		{`event.type == "a" || event.payload.n > 1`, ""},
		{`event.type == "a" || event.aggregate_type == "a"`, ""},
		{`event.type == event.payload.type`, ""},
		{`event.type == null`, ""},
		{`event.payload.type == "a"`, ""},
		{`event.type == "a" ? true : true`, ""},
		// A payload whose x is text fails with every type.
		{`event.type == "a" && event.payload.x`, ""},
		{`event.payload.x && event.type == "a"`, ""},
	}
	for _, tt := range tests {
		r := rewriter{functions: f}
		required, ok := requires(r.rewrite(parse(t, tt.when), place{}))
		got := ""
		if ok {
			got = "type "
			if required.field == fieldAggregateType {
				got = "aggregate "
			}
			got += strings.Join(required.values, " ")
		}
		if got != tt.want {
			t.Errorf("%s requires %q, want %q", tt.when, got, tt.want)
		}
	}
}

func TestCandidatesInFileOrder(t *testing.T) {
	t.Parallel()
	table := compile(t, `
rule "r0" {
  when  = event.type == "tagged"
  topic = "contact.tagged"
}
rule "r1" { topic = "contact.created" }
rule "r2" {
  when  = event.type == "other"
  topic = "contact.created"
}
rule "r3" {
  when  = event.aggregate_type == "contact" && event.payload.n == 1
  topic = "contact.untagged"
}
rule "r4" {
  when  = event.type == "tagged" || event.type == "tagged"
  topic = "lead.created"
}
rule "r5" { topic = "user.created" }
`+all)
	tests := []struct {
		eventType, aggregate string
		want                 []int
	}{
		{"tagged", "contact", []int{0, 1, 3, 4, 5}},
		{"other", "contact", []int{1, 2, 3, 5}},
		{"tagged", "user", []int{0, 1, 4, 5}},
		{"", "", []int{1, 5}},
	}
	for _, tt := range tests {
		event := row(tt.eventType, `{}`)
		event.AggregateType = tt.aggregate
		if got := slices.Collect(table.index.candidates(event)); !slices.Equal(got, tt.want) {
			t.Errorf("%s %s: %v, want %v", tt.aggregate, tt.eventType, got, tt.want)
		}
	}
	equal(t, "deliveries", got(routed(t, table, row("tagged", `{"n": 1}`))), []string{
		"all contact.tagged r0", "all contact.created r1", "all contact.untagged r3", "all lead.created r4", "all user.created r5",
	})
}

// TestManyGoroutines lets the race detector look at what expressions share.
func TestManyGoroutines(t *testing.T) {
	t.Parallel()
	table := compile(t, `
rule "shape" {
  topic = "contact.tagged"
  data  = { names = event.payload.items[*].name, ids = [for i in event.payload.items : i.id], z = try(event.payload.z, event.payload.items[0].id) }
}
webhook "one" {
  topics = ["contact.tagged"]
  when   = length(event.data.names) == 1
  url    = "https://example.com/${event.data.ids[0]}/${event.data.names[0]}"
  body   = { names = event.data.names[*], first = upper(event.data.names[0]), sum = event.data.z + 1 }
}`)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for n := range 50 {
				id := i*1000 + n
				event := row("tagged", fmt.Sprintf(`{"items": [{"id": %d, "name": "n%d"}]}`, id, id))
				deliveries, problems := table.Route(event)
				if len(deliveries) != 1 || problems != nil {
					t.Errorf("deliveries %v, problems %v", deliveries, problems)
					return
				}
				request, p := table.Render(context.Background(), &deliveries[0])
				want := fmt.Sprintf(`{"names":["n%d"],"first":"N%d","sum":%d}`, id, id, id+1)
				if p != nil || string(request.Body) != want || request.URL != fmt.Sprintf("https://example.com/%d/n%d", id, id) {
					t.Errorf("%s %s, %v; want %s", request.URL, request.Body, p, want)
				}
			}
		})
	}
	group.Wait()
}

// TestRouteAllocatesLittle holds the figure of issue 3: at most 40 allocations for
// an event with 27 rules and 20 webhooks.
func TestRouteAllocatesLittle(t *testing.T) {
	table, event := compile(t, benchSource(t)), benchRow(t)
	if n := testing.AllocsPerRun(100, func() { table.Route(event) }); n > 40 {
		t.Errorf("%v allocations", n)
	}
}
