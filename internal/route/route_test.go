package route

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/outbox"
)

// settings is what every configuration needs and no test here is about.
const settings = `
database {
  url = "postgres://localhost/app"
}
`

func load(t testing.TB, source string, env map[string]string) *config.Config {
	t.Helper()
	cfg, diags := config.Parse(
		map[string][]byte{"walpost.hcl": []byte(settings + source)},
		config.WithEnv(func(name string) (string, bool) { value, ok := env[name]; return value, ok }),
	)
	if diags.HasErrors() {
		t.Fatalf("parse the configuration: %v", diags.Errs())
	}
	return cfg
}

func compile(t testing.TB, source string) *Table {
	t.Helper()
	table, diags := Compile(load(t, source, nil))
	if diags.HasErrors() {
		t.Fatalf("compile the configuration: %v", diags)
	}
	return table
}

func row(eventType, payload string) *outbox.Row {
	return &outbox.Row{
		ID:            "0198c1f0-0000-7000-8000-000000000001",
		AggregateType: "contact",
		AggregateID:   "7",
		Type:          eventType,
		Payload:       []byte(payload),
		Headers:       []byte(`{"traceparent": "00-abc"}`),
		CreatedAt:     time.Date(2026, 3, 1, 12, 0, 0, 120e6, time.FixedZone("", 3600)),
		CommittedAt:   time.Date(2026, 3, 1, 11, 0, 1, 0, time.UTC),
		LSN:           0x16B3748,
	}
}

// got lists deliveries as "webhook topic rule".
func got(deliveries []Delivery) []string {
	var list []string
	for _, d := range deliveries {
		list = append(list, strings.TrimSpace(d.Webhook+" "+d.Topic+" "+d.Rule))
	}
	return list
}

// routed routes the row, which must give no problem.
func routed(t testing.TB, table *Table, row *outbox.Row) []Delivery {
	t.Helper()
	deliveries, problems := table.Route(row)
	for _, p := range problems {
		t.Errorf("problem: %v", p)
	}
	return deliveries
}

func equal(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

const all = `
webhook "all" {
  topics = ["*"]
  url    = "https://example.com/hooks"
}
`

func gistTopics(t *testing.T) []string {
	t.Helper()
	cfg := load(t, all, nil)
	var names []string
	for _, topic := range cfg.Topics {
		names = append(names, topic.Name)
	}
	if len(names) != 27 {
		t.Fatalf("the pack has %d topics", len(names))
	}
	return names
}

// aliased is what an event type gives besides the topic of its name (DESIGN §11).
var aliased = map[string]string{
	"user.created":           "contact.created",
	"lead.created":           "contact.created",
	"conversation.initiated": "conversation.message_received",
}

func TestEveryTopicByEventType(t *testing.T) {
	t.Parallel()
	table := compile(t, all)
	for _, topic := range gistTopics(t) {
		want := []string{"all " + topic}
		if alias := aliased[topic]; alias != "" {
			want = append(want, "all "+alias)
		}
		slices.Sort(want)
		whole := row(topic, `{}`)
		whole.AggregateType = "anything"
		list := got(routed(t, table, whole))
		slices.Sort(list)
		equal(t, "type "+topic, list, want)

		aggregate, short, _ := strings.Cut(topic, ".")
		split := row(short, `{}`)
		split.AggregateType = aggregate
		list = got(routed(t, table, split))
		slices.Sort(list)
		equal(t, "aggregate type "+aggregate+", type "+short, list, want)
	}
}

func TestOtherSpelling(t *testing.T) {
	t.Parallel()
	table := compile(t, all)
	canceled := row("canceled", `{}`)
	canceled.AggregateType = "meeting"
	equal(t, "meeting canceled", got(routed(t, table, canceled)), []string{"all meeting.cancelled"})
	equal(t, "meeting.canceled", got(routed(t, table, row("meeting.canceled", `{}`))), []string{"all meeting.cancelled"})
}

func TestUnrouted(t *testing.T) {
	t.Parallel()
	table := compile(t, all)
	equal(t, "unknown type", got(routed(t, table, row("invoice.paid", `{}`))), nil)
}

func TestDisabledWebhookIsNotThere(t *testing.T) {
	t.Parallel()
	table := compile(t, `
webhook "off" {
  topics  = ["contact.*"]
  url     = "https://example.com/hooks"
  enabled = false
}`)
	tagged := row("tagged", `{}`)
	equal(t, "deliveries", got(routed(t, table, tagged)), nil)
	if _, ok, p := table.Find(tagged, "contact.tagged", "off"); !ok || p != nil {
		t.Errorf("Find of a delivery that is owed to it = %v, %v", ok, p)
	}
}

func TestRulesComeFirstAndOnce(t *testing.T) {
	t.Parallel()
	table := compile(t, `
topic "vip" { event_types = [] }
rule "first" {
  when  = event.payload.n > 1
  topic = "contact.tagged"
  data  = { by = "first" }
}
rule "second" {
  topic = "contact.tagged"
  data  = { by = "second" }
}
rule "vip" {
  when  = event.aggregate_type == "contact" && event.payload.vip
  topic = "vip"
}
webhook "a" {
  topics   = ["contact.*", "contact.tagged"]
  url      = "https://example.com/a"
  envelope = "raw"
}
webhook "b" {
  topics   = ["vip"]
  when     = event.topic == "vip" && event.data.n != 5
  url      = "https://example.com/b"
  envelope = "raw"
}`)
	tests := []struct {
		payload string
		want    []string
		bodies  []string
	}{
		{`{"n": 2, "vip": true}`, []string{"a contact.tagged first", "b vip vip"}, []string{`{"by":"first"}`, `{"n": 2, "vip": true}`}},
		{`{"n": 1, "vip": false}`, []string{"a contact.tagged second"}, []string{`{"by":"second"}`}},
		{`{"n": 5, "vip": true}`, []string{"a contact.tagged first"}, []string{`{"by":"first"}`}},
	}
	for _, tt := range tests {
		deliveries := routed(t, table, row("tagged", tt.payload))
		equal(t, tt.payload, got(deliveries), tt.want)
		for i := range deliveries {
			request, p := table.Render(context.Background(), &deliveries[i])
			if p != nil || string(request.Body) != tt.bodies[i] {
				t.Errorf("%s: body %s, problem %v; want %s", tt.payload, request.Body, p, tt.bodies[i])
			}
		}
	}
}

// TestRulesSeeNoTopic: a rule's event is the same whatever earlier rules have made.
func TestRulesSeeNoTopic(t *testing.T) {
	t.Parallel()
	table := compile(t, `
rule "first" { topic = "contact.tagged" }
rule "second" {
  topic = "contact.untagged"
  data  = { keys = keys(event) }
}
webhook "all" {
  topics   = ["*"]
  url      = "https://example.com/"
  envelope = "raw"
}`)
	deliveries := routed(t, table, row("tagged", `{}`))
	request, p := table.Render(context.Background(), &deliveries[1])
	want := `{"keys":["aggregate_id","aggregate_type","committed_at","created_at","headers","id","lsn","payload","type"]}`
	if p != nil || string(request.Body) != want {
		t.Errorf("%s, %v", request.Body, p)
	}
}

// TestNormalizedNames: the same text is the same, however it is composed.
func TestNormalizedNames(t *testing.T) {
	t.Parallel()
	table := compile(t, `
topic "cafe.opened" { event_types = ["caf\u00e9.opened"] }
topic "x" { event_types = [] }
rule "composed" {
  when  = event.type == "caf\u00e9.opened" && event.aggregate_type == "caf\u00e9"
  topic = "x"
}`+all)
	event := row("cafe\u0301.opened", `{}`)
	event.AggregateType = "cafe\u0301"
	equal(t, "whole", got(routed(t, table, event)), []string{"all x composed", "all cafe.opened"})
	event.Type = "opened"
	equal(t, "split", got(routed(t, table, event)), []string{"all cafe.opened"})
}

func TestFindAfterRestart(t *testing.T) {
	t.Parallel()
	source := `
rule "shape" {
  when  = event.type == "tagged"
  topic = "contact.tagged"
  data  = { who = event.payload.contact.name, at = event.created_at, all = { for k, v in event.payload.contact : upper(k) => v } }
}
webhook "one" {
  topics = ["contact.tagged"]
  when   = event.data.who == "Ada"
  url    = "https://example.com/${urlencode(event.data.who)}"
  headers = { X-Trace = event.headers.traceparent, X-None = event.data.none }
}`
	tagged := row("tagged", `{"contact": {"name": "Ada", "z": 1, "a": [1, 2.50]}}`)
	table := compile(t, source)
	deliveries := routed(t, table, tagged)
	if len(deliveries) != 1 {
		t.Fatalf("deliveries: %v", got(deliveries))
	}
	first, p := table.Render(context.Background(), &deliveries[0])
	if p != nil {
		t.Fatal(p)
	}
	restarted := compile(t, source)
	found, ok, p := restarted.Find(tagged, "contact.tagged", "one")
	if !ok || p != nil {
		t.Fatalf("Find = %v, %v", ok, p)
	}
	if found.ID != deliveries[0].ID || found.Rule != "shape" {
		t.Errorf("found %+v", found)
	}
	for range 3 {
		again, p := restarted.Render(context.Background(), &found)
		if p != nil {
			t.Fatal(p)
		}
		if requestText(t, again) != requestText(t, first) {
			t.Errorf("requests differ:\n%s\n%s", requestText(t, again), requestText(t, first))
		}
	}
	if _, ok, _ := restarted.Find(tagged, "contact.tagged", "gone"); ok {
		t.Error("a webhook that isn't there was found")
	}
	// Neither rule nor event type gives the topic any more.
	found, ok, p = compile(t, all).Find(tagged, "contact.form_submitted", "all")
	if !ok || p != nil || found.Rule != "" || string(found.data) != string(tagged.Payload) {
		t.Errorf("Find = %+v, %v, %v", found, ok, p)
	}
}

func requestText(t *testing.T, r Request) string {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestCompileWarns(t *testing.T) {
	t.Parallel()
	_, diags := Compile(load(t, `
topic "quiet" { event_types = [] }
rule "unheard" { topic = "quiet" }
rule "never" {
  when  = event.type == "a" && 1 > 2 || false
  topic = "contact.tagged"
}
rule "nope" {
  when  = 1 > 2
  topic = "contact.tagged"
}
webhook "one" {
  topics = ["contact.*"]
  url    = "https://example.com/"
}`, nil))
	var list []string
	for _, d := range diags {
		if d.Severity != hcl.DiagWarning {
			t.Errorf("error: %v", d)
		}
		list = append(list, d.Summary+" "+where(*d.Subject))
	}
	equal(t, "warnings", list, []string{"Topic without webhook walpost.hcl:7", "Rule never matches walpost.hcl:12"})
}

func TestDeliveryID(t *testing.T) {
	t.Parallel()
	id := DeliveryID("0198c1f0-0000-7000-8000-000000000001", "contact.tagged", "crm")
	// uuid.NewSHA1(namespace, …), and Python's uuid.uuid5, give the same. It may
	// never change: receivers know deliveries by it.
	if id != "7408e93d-1fd7-52e6-a625-8f681dd77c0d" {
		t.Errorf("id = %s", id)
	}
	seen := map[string]bool{id: true}
	for _, other := range []string{
		DeliveryID("0198c1f0-0000-7000-8000-000000000002", "contact.tagged", "crm"),
		DeliveryID("0198c1f0-0000-7000-8000-000000000001", "contact.untagged", "crm"),
		DeliveryID("0198c1f0-0000-7000-8000-000000000001", "contact.tagged", "crm2"),
		DeliveryID(strings.Repeat("long", 200), "contact.tagged", "crm"),
	} {
		if seen[other] {
			t.Errorf("%s twice", other)
		}
		seen[other] = true
	}
}
