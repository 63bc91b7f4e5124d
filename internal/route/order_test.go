package route

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func ordered(by string) string {
	return `
webhook "crm" {
  topics   = ["contact.*"]
  url      = "https://crm.example.com"
  order_by = ` + by + `
}
`
}

func TestOrderKey(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 150)
	tests := []struct{ by, payload, want string }{
		{"event.aggregate_id", `{}`, "7"},
		{"event.payload.account", `{"account": "a\"b"}`, `a"b`},
		{"event.payload.account", `{"account": 12.50}`, "12.50"},
		{"event.payload.account", `{"account": true}`, "true"},
		{"event.payload.account", `{"account": null}`, ""},
		{"event.payload.account", `{}`, ""},
		{"event.payload.account", `{"account": ""}`, ""},
		{"event.data.account", `{"account": "x"}`, "x"},
		{"[event.aggregate_type, event.aggregate_id]", `{}`, `["contact","7"]`},
		{"[event.payload.a, event.payload.b]", `{"a": 1}`, `[1,null]`},
		{"[event.payload.a, event.payload.b]", `{"b": ""}`, ""},
		{`"${event.type}/${event.aggregate_id}"`, `{}`, "contact.created/7"},
		{"event.payload.account", `{"account": "` + long + `"}`, "#"},
		{"event.payload.account", `{"account": "a\u0000b"}`, "#"},
	}
	for _, test := range tests {
		table := compile(t, ordered(test.by))
		deliveries, problems := table.Route(row("contact.created", test.payload))
		if len(deliveries) != 1 || len(problems) != 0 {
			t.Fatalf("%s of %s: %v, %v", test.by, test.payload, deliveries, problems)
		}
		key := deliveries[0].Key
		if test.want == "#" {
			if len(key) > maxKey || !strings.Contains(key, "#") || !utf8.ValidString(key) || strings.Contains(key, "\x00") {
				t.Errorf("%s of %s is %q", test.by, test.payload, key)
			}
			continue
		}
		if key != test.want {
			t.Errorf("%s of %s is %q, want %q", test.by, test.payload, key, test.want)
		}
	}
	if a, b := boundKey(long+"a"), boundKey(long+"b"); a == b {
		t.Error("two long keys are one")
	}
}

// What the key can't be made of costs that one delivery.
func TestOrderKeyProblem(t *testing.T) {
	t.Parallel()
	table := compile(t, ordered("event.payload.account")+strings.Replace(ordered("event.aggregate_id"), "crm", "hub", 1))
	for _, payload := range []string{`{"account": {"id": 1}}`, `{"account": [{"id": 1}]}`, `{"account": [[1]]}`} {
		deliveries, problems := table.Route(row("contact.created", payload))
		if len(deliveries) != 1 || deliveries[0].Webhook != "hub" || len(problems) != 1 ||
			problems[0].Webhook != "crm" || problems[0].Topic != "contact.created" {
			t.Errorf("%s gives %v, %v", payload, deliveries, problems)
		}
	}
	if !table.Orders("crm") || table.Orders("none") {
		t.Error("which webhooks have an order is wrong")
	}
}
