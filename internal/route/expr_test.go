package route

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/walpost/walpost/outbox"
)

// functions are those of every configuration.
func functions(t testing.TB) map[string]function.Function {
	t.Helper()
	return load(t, all, nil).Functions
}

func parse(t testing.TB, source string) hclsyntax.Expression {
	t.Helper()
	expr, diags := hclsyntax.ParseExpression([]byte(source), "test.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatalf("%s: %v", source, diags)
	}
	return expr
}

// evaluator evaluates expressions as a webhook's.
type evaluator struct {
	functions map[string]function.Function
	table     *Table
}

func newEvaluator(t testing.TB) *evaluator {
	t.Helper()
	f := functions(t)
	return &evaluator{functions: f, table: &Table{functions: f, work: workLimit}}
}

// eval returns the value of the expression, compiled, as JSON: by way of the value, and
// written without it.
func (e *evaluator) eval(t testing.TB, source string, row *outbox.Row, data string) (viaValue, direct string, p *Problem) {
	t.Helper()
	r := rewriter{functions: e.functions}
	expr := r.rewrite(parse(t, source), place{})
	s := e.table.scope(row)
	defer e.table.release(s)
	s.event.topic, s.event.data = "contact.tagged", []byte(data)
	written, p := s.json(nil, compileJSON(expr), expr.Range())
	if p != nil {
		return "", "", p
	}
	value, p := s.json(nil, &jsonValue{expr: expr}, expr.Range())
	if p != nil {
		t.Errorf("%s can be written, but not evaluated: %v", source, p)
		return "", "", p
	}
	return string(value), string(written), nil
}

func TestExpressions(t *testing.T) {
	t.Parallel()
	e := newEvaluator(t)
	const payload = `{
		"contact": {"name": "Ada", "n": null, "amount": 1.50, "id": 12345678901234567890123456789, "first-name": "A", "9": "nine",
			"tags": [{"name": "a", "x": {"y": 1}}, {"id": 2}, null, "text"], "none": []},
		"flag": true, "text": "12", "big": 1e400, "key": "name", "pos": 1,
		"name": "x", "name": "last"
	}`
	tests := []struct{ source, want string }{
		// What is there.
		{`event.payload.contact.name`, `"Ada"`},
		{`event.payload["contact"]["first-name"]`, `"A"`},
		{`event.payload.contact["9"]`, `"nine"`},
		{`event.payload.contact[9]`, `"nine"`},
		{`event.payload.contact.tags[0].x.y`, `1`},
		{`event.payload.contact.tags.0.name`, `"a"`},
		{`event.payload.contact.id`, `12345678901234567890123456789`},
		{`event.payload.contact.id + 1`, `12345678901234567890123456790`},
		{`event.payload.name`, `"last"`},
		{`event["payload"].flag`, `true`},
		{`(event.payload).contact.name`, `"Ada"`},
		{`"${event.payload.flag}"`, `true`},
		{`"<${event.payload.flag}>"`, `"<true>"`},
		{`event.payload.contact[event.payload.key]`, `"Ada"`},
		{`event.payload.contact.tags[event.payload.pos].id`, `2`},
		{`event.payload.contact.tags[event.payload.pos - 1].name`, `"a"`},
		{`event.payload[format("%s", "contact")].name`, `"Ada"`},
		{`length(event.payload.big) > 0 ? 1 : 0`, ``}, // a number has no length: an error
		// The event itself.
		{`event.id`, `"0198c1f0-0000-7000-8000-000000000001"`},
		{`event.topic`, `"contact.tagged"`},
		{`"${event.aggregate_type}/${event.aggregate_id}/${event.type}"`, `"contact/7/tagged"`},
		{`event.created_at`, `"2026-03-01T11:00:00.12Z"`},
		{`event.committed_at`, `"2026-03-01T11:00:01Z"`},
		{`event.lsn`, `"0/16B3748"`},
		{`event.headers.traceparent`, `"00-abc"`},
		{`event.data.who`, `"me"`},
		{`event.data`, `{"who":"me"}`},
		{`event.headers`, `{"traceparent":"00-abc"}`},
		{`keys(event)`, `["aggregate_id","aggregate_type","committed_at","created_at","data","headers","id","lsn","payload","topic","type"]`},
		{`[for k, v in event : k if k == "lsn"]`, `["lsn"]`},
		// What isn't: null at any depth.
		{`event.payload.nothing`, `null`},
		{`event.payload.nothing.at.all[7].whatever["x"]`, `null`},
		{`event.payload.contact.n`, `null`},
		{`event.payload.contact.n.o.p`, `null`},
		{`event.payload.contact.name.first`, `null`},
		{`event.payload.contact.tags.length`, `null`},
		{`event.payload.contact.tags[99].name`, `null`},
		{`event.payload.contact.tags[2].name`, `null`},
		{`event.payload.contact.tags[3].name`, `null`},
		{`event.payload.contact.tags[0.5]`, `null`},
		{`event.payload.contact.tags[-1]`, `null`},
		{`event.payload.contact.tags["a"]`, `null`},
		{`event.payload.contact[event.payload.nothing]`, `null`},
		{`event.payload.contact[event.payload.contact]`, `null`},
		{`event.payload.nothing[event.payload.key]`, `null`},
		{`event.headers.nothing.x`, `null`},
		{`event.type.x`, `null`},
		{`event.type.x == null`, `true`},
		{`event.type.x == "tagged"`, `false`},
		{`[for tag in event.payload.contact.tags : tag.name]`, `["a",null,null,null]`},
		{`[for tag in event.payload.contact.tags : tag.x.y.z]`, `[null,null,null,null]`},
		{`event.payload.contact.tags[*].x.y`, `[1,null,null,null]`},
		{`event.payload.contact.tags.*.x`, `[{"y":1},null,null,null]`},
		{`event.payload.nothing[*].x`, `[]`},
		{`event.payload.contact[*].name`, `["Ada"]`},
		{`[for tag in event.payload.contact.none : tag.name]`, `[]`},
		{`{ for i, tag in event.payload.contact.tags : "k${i}" => tag.id if tag.id != null }`, `{"k1":2}`},
		{`[for event in event.payload.contact.tags : event.name if event.name != null]`, `["a"]`},
		{`[for t in event.payload.contact.tags : [for event in [1] : event.x]]`, `[[null],[null],[null],[null]]`},
		// try and can ask whether something is there.
		{`try(event.payload.contact.company, "unknown")`, `"unknown"`},
		{`try(event.payload.contact.company.name, event.payload.contact.name, "unknown")`, `"Ada"`},
		{`try(event.payload.contact.n, "unknown")`, `null`},
		{`try(event.payload.contact.n.x, "unknown")`, `"unknown"`},
		{`try(event.payload.contact.tags[7], "unknown")`, `"unknown"`},
		{`try([for t in event.payload.contact.tags : t.name], "unknown")`, `"unknown"`},
		{`can(event.payload.contact.name)`, `true`},
		{`can(event.payload.contact.name.first)`, `false`},
		{`[can(event.payload.a), event.payload.a]`, `[false,null]`},
		{`try(event.data.nothing, event.headers.nothing, event.payload.nothing, 1)`, `1`},
		{`try(event.payload.contact[event.payload.nothing], 2)`, `2`},
		{`coalesce(event.payload.contact.company, event.payload.contact.name)`, `"Ada"`},
		// Comparisons.
		{`event.payload.contact.name == "Ada"`, `true`},
		{`"Ada" == event.payload.contact.name`, `true`},
		{`event.payload.contact.name != "Ada"`, `false`},
		{`event.payload.nothing == "Ada"`, `false`},
		{`event.payload.nothing != "Ada"`, `true`},
		{`event.payload.nothing == null`, `true`},
		{`event.payload.contact.n == null`, `true`},
		{`event.payload.contact != null`, `true`},
		{`event.payload.flag == true`, `true`},
		{`event.payload.flag == false`, `false`},
		{`event.payload.flag != "true"`, `true`},
		{`event.payload.text == 12`, `false`},
		{`event.payload.text == "12"`, `true`},
		{`event.payload.contact.amount == 1.5`, `true`},
		{`event.payload.contact == "Ada"`, `false`},
		{`event.type == "tagged" && event.aggregate_type == "contact"`, `true`},
		{`event.type == "x" && event.payload.nothing > 1`, `false`},
		{`event.payload.nothing > 1 && event.type == "x"`, `false`},
		{`event.type == "tagged" || event.payload.nothing > 1`, `true`},
		{`event.payload.nothing > 1 || event.type == "tagged"`, `true`},
		{`event.payload.nothing && event.type == "tagged"`, `false`},
		{`!event.payload.flag || event.payload.contact.amount >= 1.5`, `true`},
		// Constants.
		{`upper("a${1 + 1}")`, `"A2"`},
		{`{ a = [1, null, true], (event.type) = "x", "b" = {} }`, `{"a":[1,null,true],"b":{},"tagged":"x"}`},
		{`{ event = 1, type = event.type }`, `{"event":1,"type":"tagged"}`},
		{`event.payload.flag ? event.payload.contact.name : null`, `"Ada"`},
		{`<<EOT
%{for t in event.payload.contact.tags~}
%{if t.name != null}${t.name};%{endif~}
%{endfor~}
EOT
`, `"a;"`},
		{`merge({ a = 1 }, event.payload.contact.tags[0])`, `{"a":1,"name":"a","x":{"y":1}}`},
		{`jsonencode(event.payload.contact.tags[0])`, `"{\"name\":\"a\",\"x\":{\"y\":1}}"`},
		{`concat([event.payload.pos]...)`, ``}, // an error
		{`max([1, event.payload.pos + 5]...)`, `6`},
		{`-event.payload.pos`, `-1`},
	}
	for _, tt := range tests {
		value, direct, p := e.eval(t, tt.source, row("tagged", payload), `{"who":"me"}`)
		if tt.want == "" {
			if p == nil {
				t.Errorf("%s = %s, want an error", tt.source, value)
			}
			continue
		}
		if p != nil {
			t.Errorf("%s: %v", tt.source, p)
			continue
		}
		if value != tt.want {
			t.Errorf("%s = %s, want %s", tt.source, value, tt.want)
		}
		if a, b := canonical(t, direct), canonical(t, value); a != b {
			t.Errorf("%s is written as %s, its value is %s", tt.source, direct, value)
		}
	}
}

// canonical returns JSON text as this package writes values.
func canonical(t testing.TB, text string) string {
	t.Helper()
	value, err := decodeJSON([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	out, err := appendJSON(nil, value)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestPassedThroughAsItCame: what no expression changes keeps its digits, its order
// and its white space.
func TestPassedThroughAsItCame(t *testing.T) {
	t.Parallel()
	_, direct, p := newEvaluator(t).eval(t, `{ z = event.payload.a, a = [event.data.n, { id = event.id }] }`,
		row("tagged", `{"a": {"z": 1.10,  "b": 1e5}}`), `{"n": 2.00}`)
	want := `{"z":{"z": 1.10,  "b": 1e5},"a":[2.00,{"id":"0198c1f0-0000-7000-8000-000000000001"}]}`
	if p != nil || direct != want {
		t.Errorf("got %s, %v", direct, p)
	}
}

func TestNoHeadersNoCreatedAt(t *testing.T) {
	t.Parallel()
	bare := row("tagged", `{}`)
	bare.Headers = nil
	bare.CreatedAt = time.Time{}
	value, _, p := newEvaluator(t).eval(t, `[event.headers, event.headers.x, event.created_at, try(event.headers.x, 1)]`, bare, `{}`)
	if want := `[null,null,"2026-03-01T11:00:01Z",1]`; p != nil || value != want {
		t.Errorf("got %s, %v", value, p)
	}
}

// TestNumbersFromStringsAreBounded: a short string must not become a gigabyte.
func TestNumbersFromStringsAreBounded(t *testing.T) {
	t.Parallel()
	e := newEvaluator(t)
	payload := row("tagged", `{"s": "1e600000000", "json": "{\"a\": [1e600000000]}", "hash": "1234e56789012", "n": 5e100000}`)
	for _, source := range []string{
		`event.payload.s + 1`,
		`event.payload.s % 3`,
		`-event.payload.s`,
		`tonumber(event.payload.s)`,
		`"${tonumber(event.payload.s)}"`,
		`floor(event.payload.s)`,
		`format("%d", event.payload.s)`,
		`format("%s %05d", "a", event.payload.s)`,
		`jsondecode(event.payload.json)`,
		`jsondecode(event.payload.json).a[0]`,
		`[for x in [event.payload.s] : x * 1]`,
		`event.payload.n * event.payload.n`,
		`1 / event.payload.n / event.payload.n`,
		`"x${tonumber(event.payload.s)}"`,
		`max(event.payload.s, 1)`,
	} {
		if value, _, p := e.eval(t, source, payload, `{}`); p == nil || p.Summary != "Number out of range" {
			t.Errorf("%s: %d bytes, %v", source, len(value), p)
		}
	}
	for source, want := range map[string]string{
		`format("%s", event.payload.hash)`: `"1234e56789012"`,
		`upper(event.payload.hash)`:        `"1234E56789012"`,
		`"${event.payload.s}"`:             `"1e600000000"`,
		`event.payload.s == "1e600000000"`: `true`,
	} {
		if value, _, p := e.eval(t, source, payload, `{}`); p != nil || value != want {
			t.Errorf("%s = %.50s, %v", source, value, p)
		}
	}
}

// TestDeepAndMalformedPayload: what can't be decoded is a problem, and only for
// expressions that need its value.
func TestDeepAndMalformedPayload(t *testing.T) {
	t.Parallel()
	e := newEvaluator(t)
	deep := row("tagged", `{"ok": 1, "deep": `+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+`}`)
	if value, direct, p := e.eval(t, `event.payload.ok`, deep, `{}`); p != nil || value != "1" || direct != "1" {
		t.Errorf("beside the deep one: %s, %v", value, p)
	}
	r := rewriter{functions: e.functions}
	s := e.table.scope(deep)
	defer e.table.release(s)
	expr := r.rewrite(parse(t, `[event.payload.deep]`), place{})
	if text, p := s.json(nil, compileJSON(expr), expr.Range()); p != nil || len(text) != 10002 {
		t.Errorf("passed through: %d bytes, %v", len(text), p)
	}
	if _, _, p := e.eval(t, `length(event.payload.deep)`, deep, `{}`); p == nil || p.Summary != "Unreadable JSON" || !strings.Contains(p.Detail, "event.payload.deep") {
		t.Errorf("problem %v", p)
	}
}

// TestCompileLeavesTheConfigurationAlone: config's expressions are shared with
// others, so that evaluating ours must not show in them.
func TestCompileLeavesTheConfigurationAlone(t *testing.T) {
	t.Parallel()
	f := functions(t)
	source := `[event.payload.tags[*].x, { for k, v in event.payload : k => v }, "a${event.id}", event.type == "b" && try(event.payload.z, false)]`
	expr := parse(t, source)
	plain := func() string {
		ctx := &hcl.EvalContext{Functions: f, Variables: map[string]cty.Value{"event": cty.ObjectVal(map[string]cty.Value{
			"payload": cty.ObjectVal(map[string]cty.Value{"tags": cty.EmptyTupleVal}), "id": cty.StringVal("i"), "type": cty.StringVal("b"),
		})}}
		value, diags := expr.Value(ctx)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		return value.GoString()
	}
	before := plain()
	r := rewriter{functions: f}
	rewritten := r.rewrite(expr, place{})
	e := newEvaluator(t)
	s := e.table.scope(row("b", `{"tags": [{"x": 1}]}`))
	defer e.table.release(s)
	if _, p := s.json(nil, &jsonValue{expr: rewritten}, rewritten.Range()); p != nil {
		t.Fatal(p)
	}
	if after := plain(); after != before {
		t.Errorf("before %s, after %s", before, after)
	}
}
