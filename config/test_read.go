package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/walpost/walpost/outbox"
)

// testTime is when the events of tests happen that don't say when.
var testTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func (l *loader) decodeTests() {
	taken := map[string]hcl.Range{}
	for _, src := range l.blocks["test"] {
		b := l.open(src)
		if first, again := taken[b.name]; again {
			b.duplicate(b.src.DefRange(), first, fmt.Sprintf("test %q", b.name))
		}
		taken[b.name] = b.src.DefRange()
		l.config.Tests = append(l.config.Tests, b.decodeTest())
	}
}

func (b *block) decodeTest() *Test {
	test := &Test{Name: b.name, Captured: b.testCaptured(), DeclRange: b.src.DefRange()}
	for i, event := range b.children("event") {
		test.Events = append(test.Events, event.testEvent(i))
	}
	if len(test.Events) == 0 {
		b.missing(b.src.DefRange(), "Missing \"event\" block", "A test begins with a row of the outbox. Write: event { … }")
	}
	if response := b.nested("response"); response != nil {
		test.Response = response.testResponse()
	}
	taken := map[string]hcl.Range{}
	for _, c := range b.children("expect") {
		if first, again := taken[c.name]; again {
			b.duplicate(c.src.DefRange(), first, fmt.Sprintf("expect %q", c.name))
		}
		taken[c.name] = c.src.DefRange()
		test.Expects = append(test.Expects, c.expect(test))
	}
	test.ExpectNone = b.expectNone(taken)
	if len(test.Expects) == 0 && b.argument("expect_none") == nil {
		b.missing(b.src.DefRange(), "Nothing expected", "The test can't fail. Write expect \"…\" { … }, or expect_none = [\"…\"].")
	}
	return test
}

// expectNone reads the names of webhooks that get nothing; expected has the others.
func (b *block) expectNone(expected map[string]hcl.Range) []string {
	none, _, _ := list(b, "expect_none", `a list of webhooks, such as ["crm"]`, func(expr hclsyntax.Expression) (string, bool) {
		name, ok := b.loader.text(expr, "expect_none", `webhooks in quotes, such as "crm"`)
		if !ok {
			return "", false
		}
		if first, both := expected[name]; both {
			b.fail(expr.Range(), "Both expected and not", "The test also expects a request of it, at %s. Leave one of the two out.", place(first))
		}
		return name, b.knownWebhook(name, expr.Range())
	})
	return valuesOf(none)
}

// knownWebhook reports a name that no webhook has.
func (l *loader) knownWebhook(name string, at hcl.Range) bool {
	_, ok := l.captures[name]
	if !ok && !l.broken {
		l.fail(at, "Unknown webhook", "There is no webhook of this name.%s", didYouMean(suggest(name, slices.Collect(maps.Keys(l.captures)))))
	}
	return ok
}

// testEvent reads an event, the test's n-th.
func (b *block) testEvent(n int) *outbox.Row {
	row := &outbox.Row{
		ID:            fmt.Sprintf("00000000-0000-4000-8000-%012d", n+1),
		AggregateType: "contact", AggregateID: "1",
		Payload: []byte("{}"), CreatedAt: testTime, CommittedAt: testTime, LSN: uint64(n + 1),
	}
	for argument, field := range map[string]*string{
		"id": &row.ID, "aggregate_type": &row.AggregateType, "aggregate_id": &row.AggregateID, "type": &row.Type,
	} {
		text, ok := b.text(argument, map[string]string{"type": "tagged"}[argument])
		switch {
		case ok && text.value == "":
			b.fail(text.at, fmt.Sprintf("Empty %q", argument), "Rows with an empty %s are quarantined. Write what the row has.", argument)
		case ok:
			*field = text.value
		}
	}
	for argument, field := range map[string]*[]byte{"payload": &row.Payload, "headers": &row.Headers} {
		if value, ok := b.jsonObject(argument); ok {
			*field = value
		}
	}
	if text, ok := b.text("created_at", "2026-01-02T03:04:05Z"); ok {
		at, err := time.Parse(time.RFC3339, text.value)
		if err != nil {
			b.fail(text.at, `Invalid "created_at"`, "It must be a time such as \"2026-01-02T03:04:05Z\".")
		} else {
			row.CreatedAt, row.CommittedAt = at.UTC(), at.UTC()
		}
	}
	return row
}

// jsonValue reads an argument of a test that can be anything, as JSON text.
func (b *block) jsonValue(argument string) (value cty.Value, text []byte, ok bool) {
	attr := b.argument(argument)
	if attr == nil {
		return cty.NilVal, nil, false
	}
	value, ok = b.evaluate(attr.Expr, b.settingScope())
	if !ok || !value.IsWhollyKnown() {
		return cty.NilVal, nil, false
	}
	if a, _ := shapes[b.kind].argument(argument); !a.secret && !b.refuseSecret(value, attr.Expr.Range(), argument+" of a test") {
		return cty.NilVal, nil, false
	}
	value, _ = value.UnmarkDeep()
	return value, toJSON(value), true
}

// toJSON returns the JSON text of a known value, which has one.
func toJSON(value cty.Value) []byte {
	text, err := ctyjson.SimpleJSONValue{Value: value}.MarshalJSON()
	if err != nil { // there is no capsule among the functions' types
		return []byte("null")
	}
	return text
}

func (b *block) jsonObject(argument string) ([]byte, bool) {
	value, text, ok := b.jsonValue(argument)
	if ok && (value.IsNull() || !isObject(value.Type())) {
		b.wrongType(b.argument(argument).Expr.Range(), argument, value, "an object, such as { contact = { id = 7 } }")
		return nil, false
	}
	return text, ok
}

// fields reads an argument that is an object; nil if it isn't there.
func (b *block) fields(argument string) map[string]cty.Value {
	value, _, ok := b.jsonValue(argument)
	if !ok {
		return nil
	}
	if value.IsNull() || !isObject(value.Type()) {
		b.wrongType(b.argument(argument).Expr.Range(), argument, value, "an object")
		return nil
	}
	fields := value.AsValueMap()
	if fields == nil {
		fields = map[string]cty.Value{}
	}
	return fields
}

// placeOf is where an argument's object has that name, and what to call it there. A name
// that isn't written out may be secret.
func (b *block) placeOf(argument, name string) (at hcl.Range, what string) {
	expr := b.argument(argument).Expr
	if at, ok := itemNamed(expr, name); ok {
		return at, argument + "." + name
	}
	return expr.Range(), argument
}

// testCaptured reads `captured = { webhook = { key = value } }`.
func (b *block) testCaptured() map[string]map[string]json.RawMessage {
	all := map[string]map[string]json.RawMessage{}
	for webhook, entries := range b.fields(captured) {
		at, what := b.placeOf(captured, webhook)
		if !b.knownWebhook(webhook, at) {
			continue
		}
		if !b.captures[webhook] {
			b.fail(at, "Webhook without capture", "The webhook %q keeps nothing of its answers, and captured() can't find anything.", webhook)
		}
		if entries.IsNull() || !isObject(entries.Type()) {
			b.wrongType(at, what, entries, `an object of keys, such as { "42" = 1001 }`)
			continue
		}
		all[webhook] = map[string]json.RawMessage{}
		for key, value := range entries.AsValueMap() {
			all[webhook][key] = toJSON(value)
		}
	}
	return all
}

func (b *block) testResponse() *TestResponse {
	r := &TestResponse{Status: 200, Header: http.Header{}, DeclRange: b.src.DefRange()}
	if status, ok := b.integer("status", 100, 599); ok {
		r.Status = status
	}
	if _, text, ok := b.jsonValue("json"); ok {
		r.Body = text
		r.Header.Set("Content-Type", "application/json")
	}
	if text, ok := b.text("body", "accepted"); ok {
		r.Body = []byte(text.value)
		if b.argument("json") != nil {
			b.fail(b.argument("body").NameRange, "Both json and body", "Each is the whole body. Leave one of the two out.")
		}
	}
	for name, value := range b.texts("headers") {
		if value != nil {
			r.Header.Set(name, *value)
		}
	}
	return r
}

// texts reads an argument that is an object of texts, as they are in a request.
func (b *block) texts(argument string) map[string]*string {
	fields := b.fields(argument)
	if fields == nil {
		return nil
	}
	texts := map[string]*string{}
	for name, value := range fields {
		if argument == "headers" {
			name = strings.ToLower(name)
		}
		switch text, err := convert.Convert(value, cty.String); {
		case err != nil:
			at, what := b.placeOf(argument, name)
			b.wrongType(at, what, value, "a string")
		case text.IsNull():
			texts[name] = nil
		default:
			s := text.AsString()
			texts[name] = &s
		}
	}
	return texts
}

func (b *block) expect(test *Test) *Expect {
	e := &Expect{
		Webhook: b.name, Query: b.texts("query"), Headers: b.texts("headers"), Form: b.texts("form"), DeclRange: b.src.DefRange(),
	}
	if len(b.src.Labels) > 0 {
		b.knownWebhook(b.name, b.src.LabelRanges[0])
	}
	if topic, ok := b.text("topic", "contact.tagged"); ok {
		e.Topic = topic.value
		if b.config.Topic(topic.value) == nil {
			b.unknownTopic(topic.value, topic.at)
		}
	}
	if method, ok := b.choice("method", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"); ok {
		e.Method = method
	}
	e.URL = b.expectedURL()
	if _, text, ok := b.jsonValue("body"); ok {
		e.Body = text
	}
	if verdict, ok := b.choice("verdict", string(VerdictDelivered), string(VerdictRetry), string(VerdictRejected), string(VerdictGone)); ok {
		e.Verdict = Verdict(verdict)
	}
	if kept := b.fields("capture"); kept != nil {
		e.Capture = map[string]json.RawMessage{}
		for key, value := range kept {
			e.Capture[key] = toJSON(value)
		}
	}
	failed, there, _ := list(b, "failed", "a list of event ids", func(expr hclsyntax.Expression) (string, bool) {
		return b.loader.text(expr, "failed", "ids in quotes")
	})
	if there {
		e.Failed = valuesOf(failed)
	}
	b.checkExpect(e, test)
	return e
}

func (b *block) expectedURL() string {
	value, ok := b.secret("url")
	if !ok {
		return ""
	}
	return value.value.Reveal()
}

// checkExpect reports what can't come true.
func (b *block) checkExpect(e *Expect, test *Test) {
	for _, argument := range []string{"verdict", "capture", "failed"} {
		if attr := b.argument(argument); attr != nil && test.Response == nil {
			b.fail(attr.NameRange, "No response to judge", "%s is about the answer. Give the test a response block.", argument)
		}
	}
	webhook := b.config.Webhook(e.Webhook)
	if webhook == nil {
		return
	}
	if attr := b.argument("failed"); attr != nil && (webhook.Batch == nil || webhook.Batch.Failed == nil) {
		b.fail(attr.NameRange, "Nothing can fail alone", "The webhook has no batch block with failed = …, so that an answer is about all of its events.")
	}
	if attr := b.argument("capture"); attr != nil && webhook.Capture == nil {
		b.fail(attr.NameRange, "Webhook without capture", "The webhook %q keeps nothing of its answers.", e.Webhook)
	}
	if len(test.Events) > 1 && webhook.Batch == nil {
		b.fail(b.src.DefRange(), "Several events without a batch", "The webhook sends a request for each event, and it is open which one is meant. Write a test for each, or give the webhook a batch block.")
	}
}
