//go:build unix

package integrations

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/walpost/walpost/internal/route"
)

// gistSchema is that of what the application's events have.
func gistSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	path, err := filepath.Abs("testdata/gist/objects.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.NewCompiler().Compile(path)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// parse reads a payload, with its numbers as they are written.
func parse(t testing.TB, payload []byte) map[string]any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(payload))
	object, ok := value.(map[string]any)
	if err != nil || !ok {
		t.Fatalf("%s: %v", payload, err)
	}
	return object
}

// fits reports whether a payload is one of that topic.
func fits(schema *jsonschema.Schema, topic string, payload map[string]any) error {
	notification := maps.Clone(payload)
	notification["id"], notification["topic"], notification["created_at"] = "1", topic, json.Number("1700000300")
	return schema.Validate(notification)
}

// replacements are what stands in place of a value of a payload, one after the other; nil is null.
var replacements = []any{
	nil, "", " ", "x", "4711", strings.Repeat("long ", 200), "日本 \u0001 \"quoted\" <b>&amp;\\", "a/b?c=d#e%2F", "true",
	json.Number("0"), json.Number("4711"), json.Number("1700000000"), true,
	[]any{},
	map[string]any{},
}

// scalars is how many of the replacements, from the first, are no lists and objects. The schema says nothing of what is
// beside the objects, such as the email of lead.email_submitted; nothing but these is put there.
const scalars = 13

// variations calls try with each payload that differs from this one in one place, by another value or by none. What
// topics.json says that a topic is about stays there, and what has an id keeps one.
func variations(payload map[string]any, top bool, try func()) {
	for _, name := range slices.Sorted(maps.Keys(payload)) {
		was := payload[name]
		inner, isObject := was.(map[string]any)
		if !top || !isObject {
			delete(payload, name)
			try()
			others := replacements
			if top {
				others = replacements[:scalars]
			}
			for _, other := range others {
				if text, ok := other.(string); ok && name == "id" && (strings.TrimSpace(text) == "" || len(text) > 255) {
					continue
				}
				payload[name] = other
				try()
			}
			payload[name] = was
		}
		if isObject {
			variations(inner, false, try)
		}
	}
}

// Whatever fits the schema of Gist's objects makes a request that fits the vendor's, or is left out by `when`: no value that
// an event may have is refused by a vendor, and none breaks a rule.
func TestRequestsOfVariationsFitTheVendor(t *testing.T) {
	t.Parallel()
	schema := gistSchema(t)
	all, err := samples()
	if err != nil {
		t.Fatal(err)
	}
	forEach(t, func(t *testing.T, example string) {
		cfg := load(t, example, nil)
		table := compile(t, cfg, route.WithCaptures(ticketNumber))
		vendor, tried, valid := specOf(t, example), 0, 0
		reported := map[string]bool{}
		for _, topic := range slices.Sorted(maps.Keys(all)) {
			for _, text := range all[topic] {
				payload := parse(t, text)
				variations(payload, true, func() {
					if fits(schema, topic, payload) != nil {
						return
					}
					tried++
					varied, err := json.Marshal(payload)
					if err != nil {
						t.Fatal(err)
					}
					ds, problems := table.Route(row(topic, varied, tried))
					for i := range problems {
						report(t, reported, fmt.Sprint(&problems[i]), topic, varied)
					}
					for i := range ds {
						webhook := cfg.Webhook(ds[i].Webhook)
						request, problem := render(t, table, webhook, &ds[i])
						if problem != nil {
							report(t, reported, fmt.Sprint(problem), topic, varied)
							continue
						}
						if why := refusal(vendor, example, request); why != "" {
							report(t, reported, why, topic, varied)
							continue
						}
						valid++
					}
				})
			}
		}
		t.Logf("%d requests of %d variations are valid", valid, tried)
	})
}

// report shows a problem once.
func report(t *testing.T, reported map[string]bool, problem, topic string, payload []byte) {
	t.Helper()
	kind, _, _ := strings.Cut(problem, "{")
	if !reported[kind] {
		reported[kind] = true
		t.Errorf("%s\nof %s %s", problem, topic, payload)
	}
}
