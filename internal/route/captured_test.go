package route

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// kept is a webhook that keeps something of its answers, and gets nothing.
const kept = `
topic "nothing" { event_types = [] }
webhook "kept" {
  topics = ["nothing"]
  url    = "https://example.com/kept"
  capture {
    key   = event.id
    value = response.json.id
  }
}
`

func compileWith(t testing.TB, source string, options ...Option) *Table {
	t.Helper()
	table, diags := Compile(load(t, source, nil), options...)
	if diags.HasErrors() {
		t.Fatalf("compile the configuration: %v", diags)
	}
	return table
}

// remembered answers captured() from a map, whose keys are "webhook key".
func remembered(values map[string]string) Option {
	return WithCaptures(func(_ context.Context, webhook, key string) ([]byte, bool, error) {
		value, found := values[webhook+" "+key]
		return []byte(value), found, nil
	})
}

// capturing is a webhook with that body.
func capturing(body string) string {
	return kept + `
webhook "one" {
  topics = ["contact.*"]
  url    = "https://example.com/"
  body   = ` + body + `
}`
}

func TestCaptured(t *testing.T) {
	t.Parallel()
	values := remembered(map[string]string{
		"kept 7": `{"id": 1001.0, "x": [1, {"y": "z"}]}`, "kept 12345678901234567890123": `"big"`, "kept null": `1`, "kept x": ` null`,
	})
	for _, tt := range []struct{ body, want string }{
		{`[captured("kept", "7")]`, `[{"id": 1001.0, "x": [1, {"y": "z"}]}]`},
		{`[captured("kept", 7).id]`, `[1001]`},
		{`[captured("kept", event.aggregate_id).x[1].y]`, `["z"]`},
		{`[captured("kept", event.data.big)]`, `["big"]`},
		{`[captured("kept", event.data.nothing)]`, `[null]`},
		{`[captured("kept", "other"), captured("kept", "other").x.y]`, `[null,null]`},
		{`[captured("kept", "x"), captured("kept", "x") == null]`, `[null,true]`},
		{`[try(captured("kept", "other").id, 5), try(captured("kept", "7").id, 5), can(captured("kept", "7").nothing)]`, `[5,1001,false]`},
		{`[for n in event.data.list : n if captured("kept", n) != null]`, `[7]`},
		{`[for n in event.data.list : captured("kept", n).id]`, `[1001,null]`},
	} {
		table := compileWith(t, capturing(tt.body), values)
		deliveries := routed(t, table, row("tagged", `{"big": 12345678901234567890123, "list": [7, 8]}`))
		request, p := table.Render(t.Context(), &deliveries[0])
		if p != nil || string(request.Body) != tt.want {
			t.Errorf("%s = %s, %v; want %s", tt.body, request.Body, p, tt.want)
		}
	}
	table := compileWith(t, capturing(`[captured("kept", event.data)]`), values)
	deliveries := routed(t, table, row("tagged", `{"secret": "s3cr3t"}`))
	if _, p := table.Render(t.Context(), &deliveries[0]); p == nil || p.Summary != "Invalid argument" || strings.Contains(p.Error(), "s3cr3t") {
		t.Errorf("problem: %v", p)
	}
	table = compileWith(t, capturing(`[captured("kept", "7")]`))
	deliveries = routed(t, table, row("tagged", `{}`))
	if request, p := table.Render(t.Context(), &deliveries[0]); p != nil || string(request.Body) != `[null]` {
		t.Errorf("without WithCaptures: %s, %v", request.Body, p)
	}
}

// TestFailedLookupIsTemporary: nothing may make up for it, or a second ticket is opened
// while the ledger is away.
func TestFailedLookupIsTemporary(t *testing.T) {
	t.Parallel()
	away := errors.New("the ledger is away")
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "asked")
	for _, body := range []string{
		`[captured("kept", "7")]`,
		`try(captured("kept", "7"), 1)`,
		`[can(captured("kept", "7").id)]`,
		`[for x in event.data.list : x if try(captured("kept", x) == null, true)]`,
	} {
		table := compileWith(t, capturing(body), WithCaptures(func(ctx context.Context, _, _ string) ([]byte, bool, error) {
			if ctx.Value(key{}) != "asked" {
				t.Error("another context is asked")
			}
			return nil, false, away
		}))
		deliveries := routed(t, table, row("tagged", `{"list": [1]}`))
		_, p := table.Render(ctx, &deliveries[0])
		if p == nil || !p.Temporary || p.Waiting || !errors.Is(p, away) || p.Webhook != "one" || !strings.Contains(p.Error(), "away") {
			t.Errorf("%s: %+v", body, p)
		}
	}
	broken := compileWith(t, capturing(`[captured("kept", "7")]`), remembered(map[string]string{"kept 7": `{"`}))
	deliveries := routed(t, broken, row("tagged", `{}`))
	if _, p := broken.Render(ctx, &deliveries[0]); p == nil || !p.Temporary {
		t.Errorf("what is no JSON: %+v", p)
	}
}

func TestWaitFor(t *testing.T) {
	t.Parallel()
	const source = kept + `
webhook "one" {
  topics   = ["contact.*"]
  wait_for = captured("kept", event.aggregate_id) != null && event.data.never != true
  url      = "https://example.com/${captured("kept", event.aggregate_id).id}"
}`
	for _, tt := range []struct {
		values  map[string]string
		payload string
		waiting bool
	}{
		{map[string]string{"kept 7": `{"id": 5}`}, `{}`, false},
		{map[string]string{"kept 7": `{"id": 5}`}, `{"never": true}`, true},
		{nil, `{}`, true},
	} {
		table := compileWith(t, source, remembered(tt.values))
		deliveries := routed(t, table, row("tagged", tt.payload))
		request, p := table.Render(t.Context(), &deliveries[0])
		switch {
		case tt.waiting:
			if p == nil || !p.Waiting || p.Temporary || p.Webhook != "one" || p.Topic != "contact.tagged" || p.Where == "" {
				t.Errorf("%+v", p)
			}
		case p != nil || request.URL != "https://example.com/5":
			t.Errorf("%+v, %v", request, p)
		}
	}
	table := compileWith(t, strings.Replace(source, "event.data.never != true", "event.data.n > 1", 1), remembered(map[string]string{"kept 7": "1"}))
	deliveries := routed(t, table, row("tagged", `{}`))
	if _, p := table.Render(t.Context(), &deliveries[0]); p == nil || p.Waiting || p.Summary == "" {
		t.Errorf("a wait_for that fails: %+v", p)
	}
}
