package route

import (
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// TestRuleProblem: what a rule would have sent is unknown, so that its topic is not
// sent; everything else is.
func TestRuleProblem(t *testing.T) {
	t.Parallel()
	table := compile(t, `
topic "big" { event_types = [] }
topic "other" { event_types = [] }
rule "breaks" {
  when  = event.payload.secret > 100
  topic = "contact.tagged"
}
rule "later" {
  topic = "contact.tagged"
}
rule "data_breaks" {
  topic = "big"
  data  = { names = [for tag in event.payload.tags : tag.name] }
}
rule "works" {
  topic = "other"
}`+all)
	deliveries, problems := table.Route(row("tagged", `{"secret": "s3cr3t", "tags": null}`))
	equal(t, "deliveries", got(deliveries), []string{"all other works"})
	if len(problems) != 2 {
		t.Fatalf("problems: %v", problems)
	}
	for i, want := range []struct{ rule, topic, where, summary string }{
		{"breaks", "contact.tagged", "walpost.hcl:9", "Invalid operand"},
		{"data_breaks", "big", "walpost.hcl:17", "Iteration over null value"},
	} {
		p := problems[i]
		if p.Rule != want.rule || p.Topic != want.topic || p.Where != want.where || p.Summary != want.summary || p.Webhook != "" {
			t.Errorf("problem %d = %+v", i, p)
		}
		if strings.Contains(p.Error(), "s3cr3t") || !strings.Contains(p.Error(), want.rule) {
			t.Errorf("problem %d: %s", i, p.Error())
		}
	}
	if !strings.Contains(problems[1].Detail, "event.payload.tags") {
		t.Errorf("the problem doesn't name the path: %s", problems[1].Detail)
	}
	if _, ok, p := table.Find(row("tagged", `{"secret": "s3cr3t"}`), "contact.tagged", "all"); !ok || p == nil || p.Rule != "breaks" || p.Webhook != "all" {
		t.Errorf("Find = %v, %+v", ok, p)
	}
	equal(t, "a row that doesn't fail", got(routed(t, table, row("tagged", `{"secret": 1, "tags": []}`))),
		[]string{"all contact.tagged later", "all big data_breaks", "all other works"})
}

func TestWebhookProblem(t *testing.T) {
	t.Parallel()
	table := compile(t, `
webhook "breaks" {
  topics = ["contact.*"]
  when   = event.data.amount > 5
  url    = "https://example.com/a"
}`+all)
	deliveries, problems := table.Route(row("tagged", `{}`))
	equal(t, "deliveries", got(deliveries), []string{"all contact.tagged"})
	if len(problems) != 1 || problems[0].Webhook != "breaks" || problems[0].Topic != "contact.tagged" || problems[0].Rule != "" {
		t.Errorf("problems = %+v", problems)
	}
}

func TestProblemsHaveNoValues(t *testing.T) {
	t.Parallel()
	e := newEvaluator(t)
	payload := row("tagged", `{"s": "s3cr3t", "o": {"s3cr3t": 1}, "p": {"other": {"s3cr3t": []}}, "list": ["s3cr3t", "s3cr3t"], "big": "9e99999999"}`)
	for _, source := range []string{
		`event.payload.s > 1`,
		`event.payload.s + 1`,
		`-event.payload.s`,
		`!event.payload.s`,
		`event.payload.s && true`,
		`tonumber(event.payload.s)`,
		`formatdate("YYYY", event.payload.s)`,
		`formatdate(event.payload.s, event.created_at)`,
		`base64decode(event.payload.s)`,
		`jsondecode(event.payload.s)`,
		`regex(event.payload.s, "x")`,
		`regex("x", event.payload.s)`,
		`parseint(event.payload.s, 10)`,
		`element(event.payload.s, 0)`,
		`{ for x in event.payload.list : x => 1 }`,
		`{ (event.payload.o) = 1 }`,
		`{ for x in event.payload.s : x => 1 }`,
		`[for x in event.payload.list : x if x]`,
		`event.payload.s ? 1 : 2`,
		`event.payload.list == [] ? event.payload.o : event.payload.p`,
		`"x${event.payload.o}"`,
		`"x${event.payload.nothing}"`,
		`upper(event.payload.o)`,
		`zipmap(event.payload.list, [])`,
		`try(event.payload.o.x, tonumber(event.payload.s))`,
		`lookup(event.payload.o, event.payload.s)`,
		`tobool(event.payload.s)`,
		`max(event.payload.list...)`,
		`max(event.payload.s...)`,
		`format("%d", event.payload.s)`,
		`format(event.payload.s, 1)`,
		`timeadd(event.created_at, event.payload.s)`,
		`urlencode(event.payload.list)`,
		`length(event.payload.nothing)`,
		`keys(event.payload.s)`,
		`env(event.payload.s)`,
		`file(event.payload.s)`,
	} {
		_, _, p := e.eval(t, source, payload, `{}`)
		if p == nil {
			t.Errorf("%s: no problem", source)
			continue
		}
		if text := p.Error(); strings.Contains(text, "s3cr3t") || strings.Contains(text, "other") || p.Detail == "" || p.Where != "test.hcl:1" {
			t.Errorf("%s: %s", source, text)
		}
	}
}

// panicExpr panics, as a library might on a value that nobody thought of.
type panicExpr struct{ hclsyntax.Expression }

func (panicExpr) Value(*hcl.EvalContext) (cty.Value, hcl.Diagnostics) { panic("s3cr3t") }

func (panicExpr) appendTo([]byte, *hcl.EvalContext) ([]byte, hcl.Diagnostics) { panic("s3cr3t") }

func TestPanicIsAProblem(t *testing.T) {
	t.Parallel()
	table := &Table{work: workLimit}
	expr := panicExpr{parse(t, `event.payload.x`)}
	s := table.scope(row("tagged", `{}`))
	_, condition := s.holds(condition{expr: expr})
	_, data := s.json(nil, expr, expr.Range())
	for _, p := range []*Problem{condition, data} {
		if p == nil || p.Summary != "Expression crashed" || p.Where != "test.hcl:1" || strings.Contains(p.Error(), "s3cr3t") {
			t.Errorf("problem: %v", p)
		}
	}
	table.release(s)
	if table.scopes.Get() != nil {
		t.Error("the scope is used again")
	}
}
