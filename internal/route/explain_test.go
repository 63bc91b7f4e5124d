package route

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const explained = `
locals {
  kind = event.type
}
topic "vip" { event_types = [] }
topic "lonely" { event_types = [] }
rule "no" {
  when  = event.payload.contact.plan == "free" && local.kind == "tagged"
  topic = "vip"
}
rule "yes" {
  when  = event.payload.contact.plan == "pro" && event.payload.key != "x${local.kind}"
  topic = "vip"
  data  = { plan = event.payload.contact.plan }
}
rule "late" {
  topic = "vip"
}
rule "breaks" {
  when  = event.payload.contact.nothing > 1
  topic = "user.created"
}
rule "unheard" {
  when  = event.aggregate_type == "contact"
  topic = "lonely"
}
webhook "one" {
  topics = ["vip", "contact.*", "user.*"]
  when   = event.data.plan == "pro" || event.topic != "vip"
  url    = "https://example.com/"
}
webhook "off" {
  topics  = ["vip"]
  enabled = false
  url     = "https://example.com/"
}
webhook "never" {
  topics = ["vip"]
  when   = event.data.plan == "free"
  url    = "https://example.com/"
}
webhook "breaks" {
  topics = ["contact.tagged"]
  when   = length(event.data.contact.plan.x) > 1
  url    = "https://example.com/"
}`

func TestExplain(t *testing.T) {
	t.Parallel()
	table := compile(t, explained)
	event := row("tagged", `{"contact": {"plan": "pro", "id": 1.50}, "key": "k"}`)
	x := table.Explain(event)
	equal(t, "event types", x.EventTypes, []string{"tagged", "contact.tagged"})
	var rules []string
	for _, r := range x.Rules {
		line := r.Name + " " + r.Topic + " " + string(r.Result)
		for _, read := range r.Reads {
			line += fmt.Sprintf(" %s=%s", read.Name, read.Value)
			if read.Secret {
				t.Errorf("%s is secret", read.Name)
			}
		}
		if (r.Problem != nil) != (r.Result == Failed) || !strings.HasPrefix(r.Where, "walpost.hcl:") {
			t.Errorf("%+v", r)
		}
		rules = append(rules, line)
	}
	equal(t, "rules", rules, []string{
		`no vip not matched event.payload.contact.plan="pro" local.kind="tagged"`,
		`yes vip matched event.payload.contact.plan="pro" event.payload.key="k" local.kind="tagged"`,
		`late vip superseded`,
		`breaks user.created problem event.payload.contact.nothing=null`,
		`unheard lonely matched event.aggregate_type="contact"`,
	})
	var topics []string
	for _, topic := range x.Topics {
		line := fmt.Sprintf("%s by %s%s %s:", topic.Name, topic.Rule, topic.EventType, topic.Data)
		for _, w := range topic.Webhooks {
			line += " " + w.Name + " " + string(w.Result)
			if w.Delivery != "" && w.Delivery != DeliveryID(event.ID, topic.Name, w.Name) {
				t.Errorf("delivery %s", w.Delivery)
			}
			if (w.Delivery != "") != (w.Result == Matched) || (w.Problem != nil) != (w.Result == Failed) {
				t.Errorf("%+v", w)
			}
		}
		topics = append(topics, line)
	}
	equal(t, "topics", topics, []string{
		`vip by yes {"plan":"pro"}: one matched off disabled never not matched`,
		`user.created by breaks :`,
		`lonely by unheard ` + string(event.Payload) + `:`,
		`contact.tagged by contact.tagged ` + string(event.Payload) + `: one matched breaks problem`,
	})
	text, err := json.Marshal(x)
	if err != nil || strings.Contains(string(text), ":null,\"webhooks") {
		t.Errorf("%s, %v", text, err)
	}
}

// TestExplainedAsRouted: an explanation is one of what Route does.
func TestExplainedAsRouted(t *testing.T) {
	t.Parallel()
	table := compile(t, explained)
	for _, payload := range []string{`{}`, `{"contact": {"plan": "pro"}}`, `{"contact": {"plan": "free"}}`, `{"contact": {"nothing": 5, "plan": {"x": "long"}}}`, `{"contact": 1}`} {
		for _, eventType := range []string{"tagged", "created", "user.created", "contact.tagged", "other"} {
			event := row(eventType, payload)
			deliveries, problems := table.Route(event)
			x := table.Explain(event)
			equal(t, eventType+payload, got(x.Deliveries), got(deliveries))
			var explained, routed []string
			for _, r := range x.Rules {
				if r.Problem != nil {
					explained = append(explained, r.Problem.Error())
				}
			}
			for _, topic := range x.Topics {
				for _, w := range topic.Webhooks {
					if w.Problem != nil {
						explained = append(explained, w.Problem.Error())
					}
				}
			}
			for _, p := range problems {
				routed = append(routed, p.Error())
			}
			equal(t, "problems", explained, routed)
		}
	}
}

// TestSecretsAreNotExplained: config refuses secrets in conditions; if it didn't, they
// would not be shown.
func TestSecretsAreNotExplained(t *testing.T) {
	t.Parallel()
	cfg := load(t, `
locals {
  token = env("SECRET")
}
webhook "one" {
  topics  = ["*"]
  url     = "https://example.com/"
  headers = { Authorization = local.token }
}`, map[string]string{"SECRET": "s3cr3t"})
	c := &compiler{rewriter: rewriter{functions: cfg.Functions}, table: &Table{functions: cfg.Functions, work: workLimit}}
	c.locals = c.newLocals(nil, append(cfg.Locals,
		locally(t, "auth", `{ header = "Bearer ${local.token}", type = event.type }`)[0], locally(t, "alias", `local.auth`)[0], locally(t, "plain", `event.type`)[0]))
	s := c.table.scope(row("tagged", `{}`))
	reads := s.read(c.condition(parse(t, `local.token == "x" || local.auth.header == "x" || local.alias == 1 || local.auth.type == "x" || keys(local) == [] || local.plain == "x"`)))
	if len(reads) != 6 {
		t.Fatalf("%+v", reads)
	}
	for _, read := range reads {
		if hidden := read.Name != "local.plain"; read.Secret != hidden || (read.Value == nil) != hidden {
			t.Errorf("%s = %s", read.Name, read.Value)
		}
	}
}
