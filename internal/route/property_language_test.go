package route

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"pgregory.net/rapid"

	"github.com/walpost/walpost/config"
)

// TestLocalsLikeInlined: an expression over locals is plain HCL with the locals written
// out in it, whatever they are and how often they are used; and so is captured() if it
// is a function like any other.
func TestLocalsLikeInlined(t *testing.T) {
	t.Parallel()
	f := functions(t)
	plainly := maps.Clone(f)
	plainly[capturedFunction] = plainCaptured
	table := &Table{functions: f, work: workLimit, lookup: mirrored}
	rapid.Check(t, func(t *rapid.T) {
		g := &sources{}
		payload := payloadGenerator(t, g)
		captured := `captured("kept", ` + rapid.SampledFrom(eventScalars).Draw(t, "key") + `)`
		g.others = append(g.others, captured, captured+".list[0]", captured+".key")
		var declared []config.Local
		inlined := []string{}
		for i := range rapid.IntRange(1, 4).Draw(t, "locals") {
			source := g.expr(t, maxSourceDepth-1)
			if rapid.Bool().Draw(t, "alias") {
				source = g.leaf(t)
			}
			name := fmt.Sprintf("l%d", i)
			declared = append(declared, config.Local{Name: name, Expr: parseRapid(t, source)})
			inlined = append(inlined, "local."+name, "("+inline(source, inlined)+")")
			g.others = append(g.others, "local."+name)
			g.scalars = append(g.scalars, "local."+name)
		}
		source := g.expr(t, 0)

		c := &compiler{rewriter: rewriter{functions: f}, table: table}
		table.locals = 0
		c.locals = c.newLocals(nil, declared)
		s := table.scope(propertyRow(payload))
		defer table.release(s)
		s.asking = t.Context()
		s.memory.locals = nil // there are others now
		rewritten := c.expression(parseRapid(t, source))
		ours, ourDiags := rewritten.Value(s.ctx)
		whole, err := s.event.value(s)
		if err != nil {
			t.Fatal(err)
		}
		plainText := inline(source, inlined)
		plain, plainDiags := parseRapid(t, plainText).Value(&hcl.EvalContext{Variables: map[string]cty.Value{"event": whole}, Functions: plainly})
		agreeAnywhere(t, source+"\nis "+plainText, payload, plain, ours, plainDiags, ourDiags)
		writtenAlike(t, source, payload, rewritten, s, plain, ourDiags)
	})
}

// inline puts the locals into the source.
func inline(source string, inlined []string) string {
	// From the last to the first: an earlier one isn't within a later one any more.
	return strings.NewReplacer(inlined...).Replace(source)
}

// mirrored finds the key itself under every key.
func mirrored(_ context.Context, _, key string) ([]byte, bool, error) {
	return append(append([]byte(`{"list": [1.50, null], "key": `), appendString(nil, key)...), '}'), true, nil
}

var plainCaptured = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "webhook", Type: cty.String}, {Name: "key", Type: cty.String}},
	Type:   function.StaticReturnType(cty.DynamicPseudoType),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		text, _, _ := mirrored(context.Background(), "", args[1].AsString())
		return decodeJSON(text)
	},
})

func parseRapid(t *rapid.T, source string) hclsyntax.Expression {
	expr, diags := hclsyntax.ParseExpression([]byte(source), "test.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatalf("%s: %v", source, diags)
	}
	return expr
}

// agreeAnywhere is agree for expressions that are not at the same place.
func agreeAnywhere(t *rapid.T, source string, payload []byte, plain, ours cty.Value, plainDiags, ourDiags hcl.Diagnostics) {
	if plainDiags.HasErrors() && ourDiags.HasErrors() {
		return
	}
	agree(t, source, payload, plain, ours, plainDiags, ourDiags)
}

// writtenAlike fails unless the expression, written without being evaluated, is its value.
func writtenAlike(t *rapid.T, source string, payload []byte, expr hclsyntax.Expression, s *scope, value cty.Value, diags hcl.Diagnostics) {
	if diags.HasErrors() {
		return
	}
	viaValue, err := appendJSON(nil, value)
	if err != nil {
		return // an infinite number
	}
	direct, diags := compileJSON(expr).appendTo(nil, s.ctx)
	if diags.HasErrors() {
		t.Fatalf("%s: %v", source, diags)
	}
	a, errA := decodeJSON(direct)
	b, errB := decodeJSON(viaValue)
	if errA != nil || errB != nil || !a.RawEquals(b) {
		t.Fatalf("%s\non %s\nwritten %s\n  value %s", source, payload, direct, viaValue)
	}
}

// TestEventsLikePlainHCL: what a batch reads lazily is what plain HCL reads of a list of
// whole events.
func TestEventsLikePlainHCL(t *testing.T) {
	t.Parallel()
	f := functions(t)
	table := &Table{functions: f, work: workLimit}
	rapid.Check(t, func(t *rapid.T) {
		g := &sources{}
		payload := payloadGenerator(t, g)
		// Paths of one event, as those of its element.
		element := func(name string) *sources {
			within := &sources{}
			for _, path := range g.scalars {
				within.scalars = append(within.scalars, strings.Replace(path, "event.", name+".", 1))
			}
			for _, path := range g.others {
				within.others = append(within.others, strings.Replace(path, "event.", name+".", 1))
			}
			return within
		}
		e, deep := element("e"), maxSourceDepth-1
		path := strings.TrimPrefix(g.path(t), "event.")
		rewrite := func(s string) string { return strings.ReplaceAll(s, "event.", "e.") }
		source := rapid.SampledFrom([]string{
			"[for e in events : " + rewrite(e.expr(t, deep)) + "]",
			"[for i, e in events : [i, " + rewrite(e.expr(t, deep)) + "] if " + e.path(t) + " != " + g.literal(t) + "]",
			"{ for i, e in events : i => " + rewrite(e.expr(t, deep)) + " }",
			"[for e in events : [for x in [1, 2] : [x, " + rewrite(e.expr(t, deep)) + "]]]",
			"[for e in events : [for f in events : [e.id, f." + path + "]]]",
			"[for e in events : [for e in [{ id = 1 }] : e.id]]",
			"[for e in events : try(e." + path + ", e.nothing, 5)]",
			"events[*]." + path, "events.*." + "payload", "events[*]", "events", "length(events)",
			"events[1]." + path, "[events[0], events[1].payload]", "try(events[9].id, 3)", "[for e in reverse(events) : e." + path + "]",
			"[for e in events : e]", "{ for e in events : \"x\" => e.id... }", "[for e in events : e.id if e.payload]",
			"events[*].payload.items[*].id", "{ a = [for e in events : { (e.type) = e.payload, b = e }] }",
		}).Draw(t, "source")
		s := table.scope(nil)
		defer table.release(s)
		s.events = batch{
			{row: propertyRow(payload), topic: "contact.tagged", data: payload},
			{row: propertyRow(payload), topic: "contact.created", data: []byte(`{"d": 1}`)},
		}
		s.allow()
		var wholes []cty.Value
		for i := range s.events {
			whole, err := s.events[i].value(s)
			if err != nil {
				t.Fatal(err)
			}
			wholes = append(wholes, whole)
		}
		r := rewriter{functions: f}
		rewritten := r.rewrite(parseRapid(t, source), place{})
		ours, ourDiags := rewritten.Value(s.ctx)
		plain, plainDiags := parseRapid(t, source).Value(&hcl.EvalContext{Variables: map[string]cty.Value{"events": cty.TupleVal(wholes)}, Functions: f})
		agree(t, source, payload, plain, ours, plainDiags, ourDiags)
		writtenAlike(t, source, payload, rewritten, s, plain, ourDiags)
	})
}
