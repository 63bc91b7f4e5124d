package route

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"pgregory.net/rapid"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/outbox"
)

// The tests of this file compare what this package does with what plain HCL does
// with an event that is converted as a whole.

// sources generates expressions over a payload. Its paths are there, unless absent
// is set: then only scalars are read, and of those some are not there.
type sources struct {
	scalars []string
	others  []string // objects and arrays
	absent  bool
}

const maxSourceDepth = 3

func (g *sources) expr(t *rapid.T, depth int) string {
	if depth >= maxSourceDepth {
		return g.leaf(t)
	}
	sub := func() string { return g.expr(t, depth+1) }
	kinds := []string{"leaf", "compare", "logic", "arithmetic", "not", "if", "template", "tuple", "object", "for", "call", "equal", "wrap"}
	if !g.absent {
		kinds = append(kinds, "try", "items", "index")
	}
	switch rapid.SampledFrom(kinds).Draw(t, "kind") {
	case "compare":
		return fmt.Sprintf("(%s %s %s)", sub(), rapid.SampledFrom([]string{"==", "!=", "<", ">", "<=", ">="}).Draw(t, "op"), sub())
	case "equal":
		return fmt.Sprintf("(%s %s %s)", g.path(t), rapid.SampledFrom([]string{"==", "!="}).Draw(t, "op"), g.literal(t))
	case "logic":
		return fmt.Sprintf("(%s %s %s)", sub(), rapid.SampledFrom([]string{"&&", "||"}).Draw(t, "op"), sub())
	case "arithmetic":
		return fmt.Sprintf("(%s %s %s)", sub(), rapid.SampledFrom([]string{"+", "-", "*", "/", "%"}).Draw(t, "op"), sub())
	case "not":
		return rapid.SampledFrom([]string{"!", "-"}).Draw(t, "op") + "(" + sub() + ")"
	case "if":
		return fmt.Sprintf("(%s ? %s : %s)", sub(), sub(), sub())
	case "template":
		return fmt.Sprintf(`"a${%s}b${%s}"`, sub(), sub())
	case "wrap":
		return fmt.Sprintf(`"${%s}"`, sub())
	case "tuple":
		return fmt.Sprintf("[%s, %s]", sub(), sub())
	case "object":
		return fmt.Sprintf(`{ x = %s, "y z" = %s, (%s) = 1 }`, sub(), sub(), g.leaf(t))
	case "for":
		return fmt.Sprintf("[for k, v in [%s, %s] : [k, v, %s] if v != %s]", sub(), sub(), sub(), g.leaf(t))
	case "call":
		name := rapid.SampledFrom([]string{"upper", "length", "jsonencode", "tostring", "tonumber", "md5", "abs", "keys"}).Draw(t, "function")
		return name + "(" + sub() + ")"
	case "try":
		return fmt.Sprintf("%s(%s)", rapid.SampledFrom([]string{"try", "can"}).Draw(t, "function"), sub())
	case "items":
		return rapid.SampledFrom([]string{
			"event.payload.items[*].id", "event.payload.items.*.name", "event.payload.items[*]",
			"[for i in event.payload.items : i.name if i.id > 1]", "{ for i in event.payload.items : i.name => i.id... }",
			"[for event in event.payload.items : event.id]", "length(event.payload.items)",
		}).Draw(t, "items")
	case "index":
		return fmt.Sprintf(`event.payload["items"][%s].name`, rapid.SampledFrom([]string{"0", "1", "2 - 1", `"1"`, "event.payload.zero"}).Draw(t, "index"))
	}
	return g.leaf(t)
}

func (g *sources) leaf(t *rapid.T) string {
	if rapid.Bool().Draw(t, "literal") {
		return g.literal(t)
	}
	if !g.absent && len(g.others) > 0 && rapid.IntRange(0, 3).Draw(t, "whole") == 0 {
		return rapid.SampledFrom(g.others).Draw(t, "path")
	}
	return g.path(t)
}

func (g *sources) path(t *rapid.T) string { return rapid.SampledFrom(g.scalars).Draw(t, "path") }

func (g *sources) literal(t *rapid.T) string {
	return rapid.SampledFrom([]string{
		"null", "true", "false", "0", "1", "-2.50", "12345678901234567890123", `"a"`, `"é"`, `"true"`, `"1"`, `""`, "[]", `"tagged"`, `"contact"`,
	}).Draw(t, "literal")
}

// paths of the event that are always strings.
var eventScalars = []string{"event.type", "event.aggregate_type", "event.aggregate_id", "event.id", "event.lsn", "event.created_at"}

// payloadGenerator draws a payload and the paths in it.
func payloadGenerator(t *rapid.T, g *sources) []byte {
	g.scalars = append(g.scalars, eventScalars...)
	root := drawObject(t, g, "event.payload", 0)
	if !g.absent {
		root["items"] = []any{
			map[string]any{"id": drawScalar(t), "name": drawScalar(t)},
			map[string]any{"id": drawScalar(t), "name": drawScalar(t)},
		}
		root["zero"] = 0
		g.others = append(g.others, "event.payload", "event.payload.items")
	}
	text, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func drawObject(t *rapid.T, g *sources, path string, depth int) map[string]any {
	object := map[string]any{}
	for _, key := range []string{"a", "b", "c d"} {
		at := path + "." + key
		if key == "c d" {
			at = path + `["c d"]`
		}
		kind := rapid.IntRange(0, 6).Draw(t, "kind")
		switch {
		case kind == 0 && g.absent:
			object[key] = nil // TestAbsentIsNull leaves it out
			g.scalars = append(g.scalars, at)
		case kind == 1 && depth < 2:
			object[key] = drawObject(t, g, at, depth+1)
			g.others = append(g.others, at)
		case kind == 2 && depth < 2 && !g.absent:
			object[key] = []any{drawScalar(t), drawObject(t, g, at+"[1]", depth+1)}
			g.scalars = append(g.scalars, at+"[0]")
			g.others = append(g.others, at, at+"[1]")
		default:
			object[key] = drawScalar(t)
			g.scalars = append(g.scalars, at)
		}
	}
	return object
}

func drawScalar(t *rapid.T) any {
	return rapid.SampledFrom([]any{
		nil, true, false, 0, 1, 2, -3, 1.5, json.Number("12345678901234567890123"), json.Number("1.50"),
		"", "a", "é", "e\u0301", "true", "1", "tagged", "contact", "😀\n\"\\", "x y",
	}).Draw(t, "scalar")
}

// agree fails unless both evaluations give the same value, or the same first error.
func agree(t *rapid.T, source string, payload []byte, plain, ours cty.Value, plainDiags, ourDiags hcl.Diagnostics) {
	if plainDiags.HasErrors() != ourDiags.HasErrors() {
		t.Fatalf("%s\non %s\nplain: %#v %v\n ours: %#v %v", source, payload, plain, plainDiags, ours, ourDiags)
	}
	if plainDiags.HasErrors() {
		a, b := problem(plainDiags, hcl.Range{}), problem(ourDiags, hcl.Range{})
		if a.Summary != b.Summary || a.Where != b.Where {
			t.Fatalf("%s\non %s\nplain: %v\n ours: %v", source, payload, plainDiags, ourDiags)
		}
		return
	}
	if !ours.RawEquals(plain) {
		t.Fatalf("%s\non %s\nplain: %#v\n ours: %#v", source, payload, plain, ours)
	}
}

// TestLikePlainHCL: where no path is missing, lazy evaluation is HCL's.
func TestLikePlainHCL(t *testing.T) {
	t.Parallel()
	f := functions(t)
	table := &Table{functions: f, work: workLimit}
	rapid.Check(t, func(t *rapid.T) {
		g := &sources{}
		payload := payloadGenerator(t, g)
		source := g.expr(t, 0)
		expr, diags := hclsyntax.ParseExpression([]byte(source), "test.hcl", hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatalf("%s: %v", source, diags)
		}
		s := table.scope(propertyRow(payload))
		defer table.release(s)
		r := rewriter{functions: f}
		rewritten := r.rewrite(expr, place{})
		ours, ourDiags := rewritten.Value(s.ctx)
		whole, err := s.event.value(s)
		if err != nil {
			t.Fatal(err)
		}
		plain, plainDiags := expr.Value(&hcl.EvalContext{Variables: map[string]cty.Value{"event": whole}, Functions: f})
		agree(t, source, payload, plain, ours, plainDiags, ourDiags)
		if ourDiags.HasErrors() {
			return
		}
		// Written without being evaluated, it is the same.
		viaValue, err := appendJSON(nil, plain)
		if err != nil {
			return // an infinite number
		}
		direct, diags := compileJSON(rewritten).appendTo(nil, s.ctx)
		if diags.HasErrors() {
			t.Fatalf("%s: %v", source, diags)
		}
		a, errA := decodeJSON(direct)
		b, errB := decodeJSON(viaValue)
		if errA != nil || errB != nil || !a.RawEquals(b) {
			t.Fatalf("%s\non %s\nwritten %s\n  value %s", source, payload, direct, viaValue)
		}
	})
}

func propertyRow(payload []byte) *outbox.Row { return row("tagged", string(payload)) }

// TestAbsentIsNull: a member that isn't there is the same as one that is null.
func TestAbsentIsNull(t *testing.T) {
	t.Parallel()
	f := functions(t)
	table := &Table{functions: f, work: workLimit}
	rapid.Check(t, func(t *rapid.T) {
		g := &sources{absent: true}
		payload := payloadGenerator(t, g)
		source := g.expr(t, 0)
		expr, diags := hclsyntax.ParseExpression([]byte(source), "test.hcl", hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatalf("%s: %v", source, diags)
		}
		with := table.scope(propertyRow(payload))
		defer table.release(with)
		whole, err := with.event.value(with)
		if err != nil {
			t.Fatal(err)
		}
		without := table.scope(propertyRow([]byte(withoutNulls(t, payload))))
		defer table.release(without)
		r := rewriter{functions: f}
		ours, ourDiags := r.rewrite(expr, place{}).Value(without.ctx)
		plain, plainDiags := expr.Value(&hcl.EvalContext{Variables: map[string]cty.Value{"event": whole}, Functions: f})
		agree(t, source, payload, plain, ours, plainDiags, ourDiags)
	})
}

// withoutNulls leaves the members out that are null.
func withoutNulls(t *rapid.T, text []byte) string {
	value, err := decodeJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	out, err := appendJSON(nil, prune(value))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func prune(value cty.Value) cty.Value {
	if value.IsNull() || !value.Type().IsObjectType() {
		return value
	}
	kept := map[string]cty.Value{}
	for key, member := range value.AsValueMap() {
		if !member.IsNull() {
			kept[key] = prune(member)
		}
	}
	return cty.ObjectVal(kept)
}

// TestIndexedLikePlainHCL: the index of rules, and the shortcuts of conditions, show in
// neither deliveries nor problems.
func TestIndexedLikePlainHCL(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var source strings.Builder
		count := rapid.IntRange(1, 6).Draw(t, "rules")
		for i := range count {
			fmt.Fprintf(&source, "rule \"r%d\" {\n  topic = %q\n  when = %s\n}\n", i,
				rapid.SampledFrom([]string{"contact.created", "contact.tagged", "user.created"}).Draw(t, "topic"), drawCondition(t, 0))
		}
		cfg, diags := config.Parse(map[string][]byte{"walpost.hcl": []byte(settings + source.String() + all)})
		if diags.HasErrors() {
			t.Fatalf("%s: %v", source.String(), diags)
		}
		table, diags := Compile(cfg)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		event := propertyRow([]byte(rapid.SampledFrom([]string{
			`{"s": "a", "n": 1, "b": true, "null": null}`, `{"s": "true", "n": 5, "b": false, "null": null}`,
		}).Draw(t, "payload")))
		event.Type = rapid.SampledFrom([]string{"created", "tagged", "é"}).Draw(t, "type")
		event.AggregateType = rapid.SampledFrom([]string{"contact", "user"}).Draw(t, "aggregate")
		deliveries, problems := table.Route(event)

		s := table.scope(event)
		defer table.release(s)
		whole, err := s.event.value(s)
		if err != nil {
			t.Fatal(err)
		}
		ctx := &hcl.EvalContext{Variables: map[string]cty.Value{"event": whole}, Functions: cfg.Functions}
		wantRules, wantProblems := []string{}, []string{}
		settled := map[string]bool{}
		for _, rule := range cfg.Rules {
			if settled[rule.Topic] {
				continue
			}
			value, diags := rule.When.Value(ctx)
			switch {
			case diags.HasErrors():
				p := problem(diags, rule.When.Range())
				wantProblems = append(wantProblems, rule.Name+p.Summary+p.Where)
				settled[rule.Topic] = true
			case !value.IsNull() && value.True():
				wantRules = append(wantRules, rule.Name)
				settled[rule.Topic] = true
			}
		}
		gotRules, gotProblems := []string{}, []string{}
		for _, d := range deliveries {
			if d.Rule != "" {
				gotRules = append(gotRules, d.Rule)
			}
		}
		for _, p := range problems {
			gotProblems = append(gotProblems, p.Rule+p.Summary+p.Where)
		}
		if fmt.Sprint(gotRules, gotProblems) != fmt.Sprint(wantRules, wantProblems) {
			t.Fatalf("%s\n%s %s %s\ngot  %q %q\nwant %q %q", source.String(), event.AggregateType, event.Type, event.Payload, gotRules, gotProblems, wantRules, wantProblems)
		}
	})
}

// drawCondition draws a condition of comparisons, some of which fail.
func drawCondition(t *rapid.T, depth int) string {
	if depth < 3 && rapid.IntRange(0, 3).Draw(t, "nested") > 0 {
		op := rapid.SampledFrom([]string{"&&", "||"}).Draw(t, "op")
		return "(" + drawCondition(t, depth+1) + " " + op + " " + drawCondition(t, depth+1) + ")"
	}
	leaves := []string{
		`event.type == "created"`, `event.type == "tagged"`, `"e\u0301" == event.type`, `event.aggregate_type == "contact"`,
		`event.aggregate_type == "user"`, `event.type != "created"`, `event.payload.s == "a"`, `event.payload.n > 1`,
		`event.payload.b == true`, `event.payload.null > 1`, `!event.payload.s`, `true`, `event.payload.n == 1`,
	}
	if depth > 0 { // no bool by themselves, or not surely
		leaves = append(leaves, `event.payload.b`, `event.payload.s`, `event.payload.null`, `contains(["created"], event.type)`, `can(event.payload.x)`)
	}
	return rapid.SampledFrom(leaves).Draw(t, "leaf")
}
