package route

import (
	"fmt"
	"strings"
	"testing"

	"github.com/walpost/walpost/config"
)

// locally declares a local.
func locally(t testing.TB, name, source string) []config.Local {
	t.Helper()
	return []config.Local{{Name: name, Expr: parse(t, source)}}
}

// TestBombs: what multiplies the values of an event ends, soon, with a problem.
func TestBombs(t *testing.T) {
	t.Parallel()
	e := newEvaluator(t)
	e.table.work = 1 << 20
	numbers := strings.TrimSuffix(strings.Repeat("1,", 5000), ",")
	texts := strings.TrimSuffix(strings.Repeat(`"`+strings.Repeat("x", 50)+`",`, 500), ",")
	bomb := row("tagged", `{"a": [`+numbers+`], "t": [`+texts+`], "s": "`+strings.Repeat("ab\\n", 10_000)+`", "n": 99999999, "o": {"p": 1}, "big": 1e100000}`)
	for _, source := range []string{
		`[for x in event.payload.a : [for y in event.payload.a : y]]`,
		`[for x in event.payload.a : [for y in event.payload.a : [for z in event.payload.a : 1]]]`,
		`length([for x in event.payload.a : [for y in event.payload.a : y if y > 5]])`,
		`{ for i, x in event.payload.a : i => [for y in event.payload.a : y] }`,
		`[for v in [event.payload.a] : [for x in v : [for y in v : x * y]]]`,
		`[for v in [event.payload.a] : [for x in v : v]]`,
		`[for v in [event.payload.a] : jsonencode([for x in v : v])]`,
		`[for v in [event.payload.a] : [for x in v : length(jsonencode(v))]]`,
		`[for v in [event.payload.a] : [for x in v : v == [v]]]`,
		`[for v in [event.payload.a] : length([for x in v : v == v])]`,
		`[for v in [event.payload.a] : length([for x in v : x > 0 ? v : v])]`,
		`[for v in [event.payload.a] : length([for x in v : length(concat(v, v))])]`,
		`[for v in [event.payload.a] : length([for x in v : contains(v, 5)])]`,
		`[for v in [event.payload.a] : length([for x in v : v[*]])]`,
		`try([for x in event.payload.a : [for y in event.payload.a : y]], "made up for")`,
		`can([for x in event.payload.a : [for y in event.payload.a : y]])`,
		`[for x in event.payload.a : event.payload.o.p]`,
		`length([for x in event.payload.a : event.payload.o.p == "x"])`,
		`length([for x in event.payload.a : event.payload.s])`,
		`length([for x in event.payload.a : "<${event.payload.s}>"])`,
		`length([for x in event.payload.a : "${x}${event.payload.big}"])`,
		`[for v in [event.payload.big] : length([for x in event.payload.a : "${x}${v}"])]`,
		`[for v in [event.payload.big] : [for x in event.payload.a : v]]`,
		`setproduct(event.payload.a, event.payload.a)`,
		`setproduct([event.payload.a, event.payload.a, event.payload.t]...)`,
		`join(event.payload.s, event.payload.t)`,
		`replace(event.payload.s, "a", event.payload.s)`,
		`replace(event.payload.s, "/[ab]/", event.payload.s)`,
		`indent(event.payload.n, event.payload.s)`,
		`indent("99999999999999", event.payload.s)`,
		`distinct(event.payload.a)`,
		`distinct(event.payload.a...)`, // an error of another kind
		`matchkeys(event.payload.a, event.payload.a, event.payload.a)`,
		`"%{for x in event.payload.a}%{for y in event.payload.a}${y}%{endfor}%{endfor}"`,
	} {
		text, direct, p := e.eval(t, source, bomb, `{}`)
		if p == nil || p.Summary != "Too much to evaluate" && !strings.Contains(source, "...)") || p.Where != "test.hcl:1" {
			t.Errorf("%s: %d and %d bytes, %v", source, len(text), len(direct), p)
		}
	}
}

// TestBombsOfLocals: each of them is small.
func TestBombsOfLocals(t *testing.T) {
	t.Parallel()
	f := functions(t)
	for _, double := range []string{`"${local.x%d}${local.x%[1]d}"`, `[local.x%d, local.x%[1]d]`, `{ a = local.x%d, b = local.x%[1]d }`, `concat(local.x%d, local.x%[1]d)`} {
		c := &compiler{rewriter: rewriter{functions: f}, table: &Table{functions: f, work: 1 << 22}}
		first := "event.type"
		if strings.HasPrefix(double, "concat") {
			first = "[event.type]"
		}
		declared := locally(t, "x0", first)
		for i := range 60 {
			declared = append(declared, locally(t, fmt.Sprintf("x%d", i+1), fmt.Sprintf(double, i))...)
		}
		c.locals = c.newLocals(nil, declared)
		for _, source := range []string{`local.x60`, `jsonencode(local.x60)`, `[local.x60 == local.x59]`} {
			s := c.table.scope(row("tagged", `{}`))
			expr := c.expression(parse(t, source))
			if text, p := s.json(nil, compileJSON(expr), expr.Range()); p == nil || p.Summary != "Too much to evaluate" {
				t.Errorf("%s: %s: %d bytes, %v", double, source, len(text), p)
			}
		}
	}
}

// TestWorkIsForEach: what one rule wasted, others still have.
func TestWorkIsForEach(t *testing.T) {
	t.Parallel()
	table := compile(t, `
topic "other" { event_types = [] }
rule "bomb" {
  when  = length([for x in event.payload.a : [for y in event.payload.a : y]]) > 0
  topic = "contact.tagged"
}
rule "harmless" {
  when  = length([for x in event.payload.a : x if x > 0]) == 2000
  topic = "other"
  data  = { sum = sum(event.payload.a) }
}
webhook "bomb" {
  topics = ["other"]
  when   = length([for x in event.payload.a : [for y in event.payload.a : y]]) > 0
  url    = "https://example.com/"
}`+strings.Replace(all, "\n}", "\n  when = sum(event.payload.a) > 0\n}", 1))
	table.work = 1 << 24
	bomb := row("tagged", `{"a": [`+strings.TrimSuffix(strings.Repeat("1,", 2000), ",")+`]}`)
	for range 2 {
		deliveries, problems := table.Route(bomb)
		equal(t, "deliveries", got(deliveries), []string{"all other harmless"})
		if len(problems) != 2 || problems[0].Rule != "bomb" || problems[1].Webhook != "bomb" || problems[0].Summary != "Too much to evaluate" {
			t.Errorf("problems: %v", problems)
		}
	}
}

// TestLargeEventsFit: what is linear in an event is never too much.
func TestLargeEventsFit(t *testing.T) {
	t.Parallel()
	var items strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&items, `{"id": %d, "name": "item %d", "text": "%s"},`, i, i, strings.Repeat("t", 60))
	}
	large := row("tagged", `{"items": [`+strings.TrimSuffix(items.String(), ",")+`]}`)
	table := compile(t, `
webhook "one" {
  topics = ["contact.tagged"]
  url    = "https://example.com/"
  body   = {
    all   = event.data
    ids   = event.data.items[*].id
    names = [for i in event.data.items : { name = upper(i.name), text = "${i.id}: ${i.text}" } if i.id > 10]
    by_id = { for i in event.data.items : i.id => i.name }
    count = length(event.data.items)
    json  = jsonencode(event.data)
  }
}`)
	table.work = 0 // all that there is comes from the event's bytes
	deliveries := routed(t, table, large)
	request, p := table.Render(t.Context(), &deliveries[0])
	if p != nil || len(request.Body) < 3*len(large.Payload) {
		t.Errorf("%d bytes of %d, %v", len(request.Body), len(large.Payload), p)
	}
}
