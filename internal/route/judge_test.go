package route

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func judged(t testing.TB, arguments string) (*Table, []*Delivery) {
	t.Helper()
	table := compile(t, `
webhook "one" {
  topics = ["contact.tagged"]
  url    = "https://example.com/hooks"
  `+arguments+`
}`)
	return table, batched(t, table, `{"n": 1}`)
}

func TestOpinions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		arguments string
		status    int
		body      string
		want      Opinion
	}{
		{`success_when = response.json.ok`, 200, `{"ok": true}`, Delivered},
		{`success_when = response.json.ok`, 200, `{"ok": false}`, Retry},
		{`success_when = response.json.ok`, 200, `{}`, Retry},
		{`success_when = response.json.ok`, 200, `oops`, Retry},
		{`success_when = response.json.errors == null`, 500, `oops`, None}, // a failure is none the less one
		{`success_when = response.json.errors == null`, 404, `oops`, None},
		{"success = [404]\nsuccess_when = response.status == 404", 404, ``, Delivered},
		{"success = [404]\nsuccess_when = response.status == 404", 200, ``, None},
		{`success_when = response.status == 200 && response.json.ok`, 204, ``, Retry},
		{`success_when = response.body == "ok"`, 200, `ok`, Delivered},
		{`success_when = response.headers["x-status"] == "done"`, 200, ``, Delivered},
		{`success_when = response.headers.nothing == null`, 200, ``, Delivered},
		{`success_when = response.json.n == event.data.n`, 200, `{"n": 1.0}`, Delivered},
		{`success_when = try(response.json.a.b, "none") == "none"`, 200, `{"a": {}}`, Delivered},
		{`permanent_when = response.status == 400 && response.json.title == "Gone"`, 400, `{"title": "Gone"}`, Permanent},
		{`permanent_when = response.status == 400 && response.json.title == "Gone"`, 400, `{"title": "Busy"}`, None},
		{`permanent_when = response.status == 400 && response.json.title == "Gone"`, 400, `<html>`, None},
		{`permanent_when = response.status == 400 && response.json.title == "Gone"`, 200, `{}`, None},
		{"success_when = response.json.ok\npermanent_when = response.json.final", 200, `{"ok": true, "final": true}`, Delivered},
		{"success_when = response.json.ok\npermanent_when = response.json.final", 200, `{"ok": false, "final": true}`, Permanent},
		{"success_when = response.json.ok\npermanent_when = response.json.final", 200, `{"ok": false, "final": false}`, Retry},
		{"success_when = response.json.ok\npermanent_when = response.json.final", 500, `{"ok": true}`, None},
		{"locals {\n n = event.data.n\n}\nsuccess_when = response.json.n == local.n", 200, `{"n": 1}`, Delivered},
	}
	for _, tt := range tests {
		table, ds := judged(t, tt.arguments)
		if !table.Judges("one") {
			t.Errorf("%s: nothing is judged", tt.arguments)
		}
		judgement, p := table.Judge(t.Context(), "one", ds, Response{
			Status: tt.status, Header: http.Header{"X-Status": {"done", "more"}}, Body: []byte(tt.body),
		})
		if p != nil || judgement.Opinion != tt.want || judgement.Failed != nil || judgement.Captures != nil {
			t.Errorf("%s\nof %d %s: %+v, %v; want %d", tt.arguments, tt.status, tt.body, judgement, p, tt.want)
		}
	}
	table, ds := judged(t, ``)
	if table.Judges("one") || table.Judges("none") {
		t.Error("something is judged")
	}
	if judgement, p := table.Judge(t.Context(), "one", ds, Response{Status: 200}); p != nil || judgement.Opinion != None {
		t.Errorf("%+v, %v", judgement, p)
	}
}

// TestFailingJudge: what can't be judged is tried again.
func TestFailingJudge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ arguments, body string }{
		{`success_when = response.json.n > 1`, `{"n": "s3cr3t"}`},
		{`success_when = response.json.n`, `{"n": "s3cr3t"}`},
		{`permanent_when = response.json.n > 1`, `{"n": {}}`},
		{`success_when = response.json.n > 1`, `{"n": 1e999999999}`},
		{`success_when = length(response.json.n) > 1`, `{"n": ` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}`},
		{"batch {\n failed = response.json.n\n}", `{"n": "s3cr3t"}`},
		{"batch {\n failed = [for e in response.json.n : e.id]\n}", `{"n": "s3cr3t"}`},
		{"batch {\n failed = response.json.n\n}", `{"n": ["unknown"]}`},
		{"batch {\n failed = response.json.n\n}", `{"n": [null]}`},
		{"batch {\n failed = response.json.n\n}", `{"n": [{"a": 1}]}`},
	} {
		table, ds := judged(t, tt.arguments)
		judgement, p := table.Judge(t.Context(), "one", ds, Response{Status: 200, Body: []byte(tt.body)})
		if p == nil || judgement.Opinion != Retry || p.Webhook != "one" || p.Where == "" || strings.Contains(p.Error(), "s3cr3t") || p.Summary == "Expression crashed" {
			t.Errorf("%s: %+v, %v", tt.arguments, judgement, p)
		}
	}
}

func TestFailedEvents(t *testing.T) {
	t.Parallel()
	id := func(n int) string { return fmt.Sprintf("0198c1f0-0000-7000-8000-%012d", n) }
	for _, tt := range []struct {
		failed, body string
		status       int
		want         []int
		opinion      Opinion
	}{
		{`[for e in response.json.errors : e.id]`, `{"errors": [{"id": "` + id(3) + `"}, {"id": "` + id(1) + `"}, {"id": "` + id(3) + `"}]}`, 200, []int{0, 2}, None},
		{`[for e in response.json.errors : e.id]`, `{"errors": []}`, 200, nil, None},
		{`response.json.failed`, `{}`, 200, nil, None},
		{`response.json.failed`, `{"failed": ["` + id(2) + `"]}`, 500, nil, None},
		{`[for e in events : e.id if !contains(response.json.ok, e.data.n)]`, `{"ok": [1, 3]}`, 207, []int{1}, None},
		{`response.status == 207 ? [for i in response.json.rows : events[0].id if i == 0] : []`, `{"rows": [0]}`, 207, []int{0}, None},
	} {
		table := compile(t, strings.Replace(batch2(""), `wait = "2s"`, "failed = "+tt.failed, 1))
		ds := batched(t, table, `{"n": 1}`, `{"n": 2}`, `{"n": 3}`)
		judgement, p := table.Judge(t.Context(), "one", ds, Response{Status: tt.status, Body: []byte(tt.body)})
		if p != nil || !reflect.DeepEqual(judgement.Failed, tt.want) || judgement.Opinion != tt.opinion {
			t.Errorf("%s of %s: %+v, %v", tt.failed, tt.body, judgement, p)
		}
	}
}

func TestCaptures(t *testing.T) {
	t.Parallel()
	const capture = `
  capture {
    key   = event.data.conversation
    value = response.json.ticket
  }`
	for _, tt := range []struct {
		arguments, payload, body string
		status                   int
		want                     []Capture
	}{
		{capture, `{"conversation": "c1"}`, `{"ticket": {"id": 1.0}}`, 201, []Capture{{Key: "c1", Value: []byte(`{"id": 1.0}`)}}},
		{capture, `{"conversation": 42}`, `{"ticket": "t"}`, 201, []Capture{{Key: "42", Value: []byte(`"t"`)}}},
		{capture, `{"conversation": 12345678901234567890123}`, `{"ticket": 1}`, 201, []Capture{{Key: "12345678901234567890123", Value: []byte(`1`)}}},
		{capture, `{}`, `{"ticket": 1}`, 201, nil},
		{capture, `{"conversation": 1}`, `{}`, 201, nil},
		{capture, `{"conversation": 1}`, `{"ticket": 1}`, 404, nil},
		{capture + "\nsuccess_when = response.json.ok", `{"conversation": 1}`, `{"ticket": 1}`, 200, nil},
		{capture + "\npermanent_when = true", `{"conversation": 1}`, `{"ticket": 1}`, 200, nil},
	} {
		table := compile(t, strings.Replace(all, "\n}", tt.arguments+"\n}", 1))
		deliveries := routed(t, table, row("tagged", tt.payload))
		judgement, p := table.Judge(t.Context(), "all", []*Delivery{&deliveries[0]}, Response{Status: tt.status, Body: []byte(tt.body)})
		if p != nil || !reflect.DeepEqual(judgement.Captures, tt.want) {
			t.Errorf("%s on %s: %+v, %v", tt.arguments, tt.body, judgement, p)
		}
	}
}

func TestCapturesOfABatch(t *testing.T) {
	t.Parallel()
	table := compile(t, strings.Replace(batch2(`
  capture {
    key   = event.aggregate_id
    value = one([for r in response.json.results : r.vid if r.email == event.data.email])
  }`), `wait = "2s"`, `failed = [for e in events : e.id if contains(response.json.errors, e.data.email)]`, 1))
	ds := batched(t, table, `{"email": "a@x"}`, `{"email": "b@x"}`, `{"email": "c@x"}`)
	judgement, p := table.Judge(t.Context(), "one", ds, Response{
		Status: 207, Body: []byte(`{"results": [{"email": "c@x", "vid": 3}, {"email": "a@x", "vid": 1}], "errors": ["b@x"]}`),
	})
	want := Judgement{
		Opinion: None, Failed: []int{1},
		Captures: []Capture{{Index: 0, Key: "1", Value: []byte("1")}, {Index: 2, Key: "3", Value: []byte("3")}},
	}
	if p != nil || !reflect.DeepEqual(judgement, want) {
		t.Errorf("%+v, %v", judgement, p)
	}
}

// TestFailingCapture: the request was accepted, and must not be repeated.
func TestFailingCapture(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ key, value string }{
		{`event.aggregate_id`, `response.json.id + 1`},
		{`event.data.n + 1`, `response.json.id`},
		{`event.data`, `response.json.id`},
	} {
		table := compile(t, strings.Replace(all, "\n}", `
  success_when = response.status == 200
  capture {
    key   = `+tt.key+`
    value = `+tt.value+`
  }
}`, 1))
		deliveries := routed(t, table, row("tagged", `{"n": "s3cr3t"}`))
		judgement, p := table.Judge(t.Context(), "all", []*Delivery{&deliveries[0]}, Response{Status: 200, Body: []byte(`{"id": "s3cr3t"}`)})
		if p == nil || judgement.Opinion != Delivered || strings.Contains(p.Error(), "s3cr3t") {
			t.Errorf("%+v, %v", judgement, p)
		}
	}
}

func TestJudgeLooksUp(t *testing.T) {
	t.Parallel()
	source := kept + `
webhook "one" {
  topics = ["contact.tagged"]
  url    = "https://example.com/hooks"
  success_when = response.json.id == captured("kept", "7").id
}`
	table := compileWith(t, source, remembered(map[string]string{"kept 7": `{"id": 5}`}))
	ds := batched(t, table, `{}`)
	if judgement, p := table.Judge(t.Context(), "one", ds, Response{Status: 200, Body: []byte(`{"id": 5}`)}); p != nil || judgement.Opinion != Delivered {
		t.Errorf("%+v, %v", judgement, p)
	}
	table = compileWith(t, source, WithCaptures(func(context.Context, string, string) ([]byte, bool, error) { return nil, false, errors.New("away") }))
	if judgement, p := table.Judge(t.Context(), "one", ds, Response{Status: 200, Body: []byte(`{"id": 5}`)}); p == nil || !p.Temporary || judgement.Opinion != Retry {
		t.Errorf("%+v, %v", judgement, p)
	}
}

func TestResponse(t *testing.T) {
	t.Parallel()
	got := string(appendResponse(nil, Response{
		Status: 207,
		Header: http.Header{"X-B": {"1", "2"}, "Content-Type": {"text/\"x\""}, "X-None": {}},
		Body:   []byte(" {\"a\": 1.50, \"a\": 2} "),
	}))
	want := `{"status":207,"headers":{"content-type":"text/\"x\"","x-b":"1"},"json": {"a": 1.50, "a": 2} ,"body":" {\"a\": 1.50, \"a\": 2} "}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, body := range []string{"", "{", "\xff", "nul", `{"a":1}x`, "\xef\xbb\xbf{}"} {
		value, err := decodeJSON(appendResponse(nil, Response{Status: 200, Body: []byte(body)}))
		if err != nil || !value.GetAttr("json").IsNull() || value.GetAttr("body").AsString() != strings.ToValidUTF8(body, "\uFFFD") {
			t.Errorf("%q: %#v, %v", body, value, err)
		}
	}
}
