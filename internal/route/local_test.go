package route

import (
	"context"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"

	"github.com/walpost/walpost/config"
)

func TestLocals(t *testing.T) {
	t.Parallel()
	table := compile(t, `
locals {
  api    = "https://api.example.com"
  base   = "${local.api}/v1"
  email  = lower(event.payload.contact.email)
  kind   = event.type
  stages = { tagged = "hot", created = "cold" }
  name   = "top"
}
rule "by_local" {
  when  = local.kind == "tagged" && local.email == "ada@example.com"
  topic = "contact.tagged"
  data  = { email = local.email, contact = event.payload.contact }
}
webhook "one" {
  locals {
    name    = "own ${local.contact.name}"
    contact = event.data.contact
    props   = { z = local.contact.amount, a = local.email, missing = local.contact.nothing.at.all }
    list    = [for t in local.contact.tags : { id = t.id, of = local.name }]
  }
  topics  = ["contact.*"]
  when    = local.contact.id == 7
  url     = "${local.base}/contacts/${urlencode(local.email)}"
  query   = { stage = local.stages[event.type], none = local.stages[event.aggregate_type] }
  headers = { X-Name = local.name, X-Company = try(local.contact.company.name, "unknown") }
  body    = { props = local.props, again = local.props, list = local.list, contact = local.contact }
}`)
	deliveries := routed(t, table, row("tagged", `{"contact": {"id": 7, "name": "Ada", "email": "ADA@example.com", "amount": 1.50, "tags": [{"id": 1.0}]}}`))
	equal(t, "deliveries", got(deliveries), []string{"one contact.tagged by_local"})
	request, p := table.Render(t.Context(), &deliveries[0])
	if p != nil {
		t.Fatal(p)
	}
	if want := "https://api.example.com/v1/contacts/ada%40example.com?stage=hot"; request.URL != want {
		t.Errorf("URL %s, want %s", request.URL, want)
	}
	if name, company := request.Header.Get("X-Name"), request.Header.Get("X-Company"); name != "own Ada" || company != "unknown" {
		t.Errorf("headers %v", request.Header)
	}
	const props = `{"z":1.50,"a":"ada@example.com","missing":null}`
	want := `{"props":` + props + `,"again":` + props + `,"list":[{"id":1,"of":"own Ada"}],"contact":{"id": 7, "name": "Ada", "email": "ADA@example.com", "amount": 1.50, "tags": [{"id": 1.0}]}}`
	if string(request.Body) != want {
		t.Errorf("got  %s\nwant %s", request.Body, want)
	}
	if len(table.index.byType["tagged"]) != 1 {
		t.Error("a local that is another name of event.type isn't indexed")
	}
}

// TestLocalsAreForTheirEvent: what a scope remembers of one event or topic is forgotten
// with it.
func TestLocalsAreForTheirEvent(t *testing.T) {
	t.Parallel()
	table := compile(t, `
locals {
  topic = "${event.topic}!"
}
webhook "one" {
  topics  = ["contact.*", "user.*"]
  when    = local.topic != "contact.created!"
  url     = "https://example.com/"
  headers = { X-Topic = local.topic }
}`)
	created := row("user.created", `{}`)
	for range 3 {
		deliveries := routed(t, table, created)
		equal(t, "deliveries", got(deliveries), []string{"one user.created"})
		request, p := table.Render(t.Context(), &deliveries[0])
		if p != nil || request.Header.Get("X-Topic") != "user.created!" {
			t.Errorf("%v, %v", request.Header, p)
		}
	}
}

// TestLocalsAreEvaluatedOnce counts lookups: nothing else that an expression does can be
// seen from outside.
func TestLocalsAreEvaluatedOnce(t *testing.T) {
	t.Parallel()
	asked := 0
	table := compileWith(t, `
webhook "one" {
  locals {
    a = "${captured("kept", event.id) == null}${captured("kept", event.id) == null}"
    b = [local.a, local.a]
    unused = captured("kept", "unused")
  }
  topics  = ["contact.*"]
  url     = "https://example.com/"
  headers = { X-A = local.a }
  body    = { a = local.a, b = [local.b, local.b] }
}`+kept, WithCaptures(func(context.Context, string, string) ([]byte, bool, error) {
		asked++
		return nil, false, nil
	}))
	deliveries := routed(t, table, row("tagged", `{}`))
	request, p := table.Render(t.Context(), &deliveries[0])
	if want := `{"a":"truetrue","b":[["truetrue","truetrue"],["truetrue","truetrue"]]}`; p != nil || string(request.Body) != want {
		t.Errorf("%s, %v", request.Body, p)
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

// TestConstantLocalsAreFolded: they cost nothing, and are constants to what looks for
// constants.
func TestConstantLocalsAreFolded(t *testing.T) {
	t.Parallel()
	cfg := load(t, `
locals {
  type   = lower("TAGGED")
  secret = env("SECRET")
  url    = "https://example.com/${local.secret}"
}
rule "indexed" {
  when  = event.type == local.type
  topic = "contact.tagged"
}
webhook "one" {
  topics  = ["contact.*"]
  url     = local.url
  headers = { Authorization = "Bearer ${local.secret}" }
}`, map[string]string{"SECRET": "s3cr3t"})
	table, diags := Compile(cfg)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if len(table.index.byType["tagged"]) != 1 {
		t.Error("the rule isn't indexed")
	}
	if w := table.webhooks["one"]; w.url.constant != "https://example.com/s3cr3t" {
		t.Errorf("the URL isn't constant: %q", w.url.constant)
	}
	deliveries := routed(t, table, row("tagged", `{}`))
	request, p := table.Render(t.Context(), &deliveries[0])
	if p != nil || request.Header.Get("Authorization") != "Bearer s3cr3t" {
		t.Errorf("%v, %v", request.Header, p)
	}
}

// TestLocalsMadeOfThemselves: config refuses them; if it didn't, they would fail.
func TestLocalsMadeOfThemselves(t *testing.T) {
	t.Parallel()
	c := &compiler{rewriter: rewriter{functions: functions(t)}, table: &Table{functions: functions(t), work: workLimit}}
	declared := map[string]string{
		"a": "local.b", "b": "[local.c]", "c": "upper(local.a)", "self": "local.self + 1", "any": "local[event.type]",
		"fine": "event.type", "alias": "local.alias.x",
	}
	var list []config.Local
	for name, source := range declared {
		list = append(list, config.Local{Name: name, Expr: parse(t, source), DeclRange: hcl.Range{Filename: "test.hcl"}})
	}
	c.locals = c.newLocals(nil, list)
	s := c.table.scope(row("tagged", `{}`))
	for name := range declared {
		expr := c.expression(parse(t, `[local.`+name+`]`))
		text, p := s.json(nil, compileJSON(expr), expr.Range())
		_, pValue := s.json(nil, &jsonValue{expr: expr}, expr.Range())
		if name == "fine" {
			if p != nil || string(text) != `["tagged"]` {
				t.Errorf("%s = %s, %v", name, text, p)
			}
			continue
		}
		for _, p := range []*Problem{p, pValue} {
			if p == nil || p.Summary != "Locals made of each other" || !strings.Contains(p.Detail, "is made of itself") {
				t.Errorf("%s: %v", name, p)
			}
		}
	}
	whole := c.expression(parse(t, `keys(local)`))
	if _, p := s.json(nil, compileJSON(whole), whole.Range()); p == nil || p.Summary != "Locals made of each other" {
		t.Errorf("all of them: %v", p)
	}
}

func TestAllLocals(t *testing.T) {
	t.Parallel()
	request, p := render(t, `
locals {
  a = 1
  b = event.data.b
  c = "top"
}
webhook "one" {
  locals { c = "own" }
  topics = ["contact.*"]
  url    = "https://example.com/"
  body   = { all = local, names = keys(local), one = local["c"], computed = local[event.data.key], none = local[event.type] }
}`, row("tagged", `{"b": 2, "key": "b"}`))
	want := `{"all":{"a":1,"b":2,"c":"own"},"names":["a","b","c"],"one":"own","computed":2,"none":null}`
	if p != nil || string(request.Body) != want {
		t.Errorf("%s, %v", request.Body, p)
	}
}

// TestShadowedNames: the variables of a `for` hide what there is of the same name.
func TestShadowedNames(t *testing.T) {
	t.Parallel()
	request, p := render(t, `
locals {
  name = "outside"
}
webhook "one" {
  topics = ["contact.*"]
  url    = "https://example.com/"
  body = [
    [for local in event.data.list : local.name],
    [for event in event.data.list : event.name],
    [for events in event.data.list : events.name],
    [for response in event.data.list : response.name],
    [for x in event.data.list : "${local.name}/${event.type}"],
  ]
}`, row("tagged", `{"list": [{"name": "inside"}]}`))
	want := `[["inside"],["inside"],["inside"],["inside"],["outside/tagged"]]`
	if p != nil || string(request.Body) != want {
		t.Errorf("%s, %v", request.Body, p)
	}
}
