package route

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/walpost/walpost/outbox"
)

// render routes the row, which must give one delivery, and renders it.
func render(t *testing.T, source string, row *outbox.Row) (Request, *Problem) {
	t.Helper()
	table := compile(t, source)
	deliveries := routed(t, table, row)
	if len(deliveries) != 1 {
		t.Fatalf("%d deliveries: %v", len(deliveries), got(deliveries))
	}
	request, p := table.Render(context.Background(), &deliveries[0])
	again, pAgain := table.Render(context.Background(), &deliveries[0])
	if requestText(t, request) != requestText(t, again) || (p == nil) != (pAgain == nil) {
		t.Errorf("rendered twice, it differs:\n%s\n%s", requestText(t, request), requestText(t, again))
	}
	return request, p
}

func TestBodies(t *testing.T) {
	t.Parallel()
	const id, created = `"0198c1f0-0000-7000-8000-000000000001"`, `"2026-03-01T11:00:00.12Z"`
	const gist = `{"id":` + id + `,"topic":"contact.tagged","created_at":1772362800`
	tests := []struct{ name, arguments, payload, want string }{
		{"gist", ``, `{"contact": {"n": 1.10}, "tag": "x"}`, gist + `,"contact": {"n": 1.10}, "tag": "x"}`},
		{"gist, empty", ``, `{ }`, gist + `}`},
		{
			"gist, collisions", ``, `{"id": 1, "a": {"id": 2}, "top\u0069c": "x", "created_at": 3, "z": "}"}`,
			gist + `,"a":{"id": 2},"z":"}"}`,
		},
		{"gist, only collisions", ``, `{"id": 1}`, gist + `}`},
		{
			"gist, parameters", `body_params = { source = "walpost", a = [event.payload.b, event.data.nothing], who = event.aggregate_id }`,
			`{"a": 1, "b": 2}`, gist + `,"b":2,"source":"walpost","a":[2,null],"who":"7"}`,
		},
		{"standard", `envelope = "standard"`, `{"a":  1}`, `{"type":"contact.tagged","timestamp":` + created + `,"data":{"a":  1}}`},
		{
			"standard, parameters", "envelope = \"standard\"\nbody_params = { n = 1 }", `{"n":  1}`,
			`{"type":"contact.tagged","timestamp":` + created + `,"data":{"n":  1},"n":1}`,
		},
		{"raw", `envelope = "raw"`, `{"a":  1, "a": 2}`, `{"a":  1, "a": 2}`},
		{"raw, parameters", "envelope = \"raw\"\nbody_params = { a = 3 }", `{"a":  1, "b": 2}`, `{"b":2,"a":3}`},
		{"raw, parameters only", "envelope = \"raw\"\nbody_params = { a = 3 }", `{}`, `{"a":3}`},
		{"body", `body = { z = event.data.a, a = "x${event.data.n}" }`, `{"a": [1.0], "n": 5}`, `{"z":[1.0],"a":"x5"}`},
		{"body from the payload", `body = event.payload.a`, `{"a": [ 1.0 ]}`, `[ 1.0 ]`},
		{"body, array", `body = [for x in event.payload.a : { id = x }]`, `{"a": [1, "b"]}`, `[{"id":1},{"id":"b"}]`},
		{"body, number", `body = event.payload.a`, `{"a": 1.0}`, `1.0`},
		{"body, text", `body = event.payload.a`, `{"a": "x\u00e9\n"}`, "xé\n"},
		{"body, template", `body = "<a>${event.payload.a}</a>"`, `{"a": "x"}`, `<a>x</a>`},
		{"body, jsonencode", `body = jsonencode({ z = event.payload.a, b = "<" })`, `{"a": 1.10}`, `{"z":1.10,"b":"<"}`},
		{"body, jsonencode of text", `body = jsonencode(event.payload.a)`, `{"a": "x"}`, `"x"`},
		{"body, null", `body = event.payload.nothing`, `{"a": 1}`, gist + `,"a": 1}`},
		{"body, keys from the event", `body = { (event.type) = 1, "a" = event.payload.a }`, `{"a": 1.0}`, `{"a":1,"tagged":1}`},
		{"body, same key twice", `body = { a = 1, "a" = event.payload.a }`, `{"a": 2}`, `{"a":2}`},
		{"body, big numbers", `body = { n = event.payload.n, m = event.payload.n + 0 }`, `{"n": 123456789012345678901234567890.5}`, `{"n":123456789012345678901234567890.5,"m":123456789012345678901234567890.5}`},
		{"body, unicode", `body = { n = upper(event.payload.n) }`, `{"n": "\ud83d\ude00é\u2028<\u0001"}`, "{\"n\":\"😀É\u2028<\\u0001\"}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			request, p := render(t, `
webhook "one" {
  topics = ["contact.tagged"]
  url    = "https://example.com/hooks"
  `+tt.arguments+`
}`, row("tagged", tt.payload))
			if p != nil {
				t.Fatal(p)
			}
			if string(request.Body) != tt.want {
				t.Errorf("got  %s\nwant %s", request.Body, tt.want)
			}
			if text := strings.HasPrefix(tt.name, "body, te"); !text && !json.Valid(request.Body) {
				t.Errorf("no JSON: %s", request.Body)
			}
			if request.Method != http.MethodPost || request.URL != "https://example.com/hooks" || request.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s %s %v", request.Method, request.URL, request.Header)
			}
		})
	}
}

func TestDataThatIsNoObject(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ envelope, want string }{
		{`"gist"`, `"data":[1, 2]}`},
		{`"standard"`, `"data":[1, 2]}`},
		{`"raw"`, `[1, 2]`},
	} {
		request, p := render(t, `
rule "list" {
  topic = "contact.tagged"
  data  = event.payload.list
}
webhook "one" {
  topics   = ["contact.tagged"]
  url      = "https://example.com/hooks"
  envelope = `+tt.envelope+`
}`, row("tagged", `{"list": [1, 2]}`))
		if p != nil || !strings.HasSuffix(string(request.Body), tt.want) {
			t.Errorf("%s: %s, %v", tt.envelope, request.Body, p)
		}
	}
	_, p := render(t, `
rule "list" {
  topic = "contact.tagged"
  data  = event.payload.list
}
webhook "one" {
  topics      = ["contact.tagged"]
  url         = "https://example.com/hooks"
  envelope    = "raw"
  body_params = { a = 1 }
}`, row("tagged", `{"list": [1, 2]}`))
	if p == nil || p.Summary != "No object to add to" || p.Webhook != "one" || p.Topic != "contact.tagged" {
		t.Errorf("problem: %v", p)
	}
}

func TestQueryOfRequestsWithoutBody(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "HEAD", "DELETE"} {
		request, p := render(t, `
webhook "one" {
  topics      = ["contact.tagged"]
  method      = "`+method+`"
  url         = "https://example.com/x y?token=a&b=${event.data.name}#part"
  body_params = { who = event.data.name, n = event.data.n, list = event.data.list, none = event.data.none, yes = true }
}`, row("tagged", `{"name": "A d&é", "n": 1.10, "list": [1, "a"]}`))
		want := "https://example.com/x%20y?token=a&b=A%20d&%C3%A9&id=0198c1f0-0000-7000-8000-000000000001&topic=contact.tagged&created_at=1772362800" +
			"&who=A+d%26%C3%A9&n=1.10&list=1&list=a&yes=true"
		if p != nil || request.URL != want || request.Body != nil || request.Header.Get("Content-Type") != "" {
			t.Errorf("%s: %+v, %v", method, request, p)
		}
		if _, err := http.NewRequest(request.Method, request.URL, nil); err != nil {
			t.Error(err)
		}
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	const refused, null = "A value of the event would send the request to another host.", "Cannot include a null value in a string template."
	tests := []struct{ url, payload, want, detail string }{
		{`"https://Example.com:8443/a"`, `{}`, "https://Example.com:8443/a", ""},
		{`"https://example.com/${event.data.x}"`, `{"x": "a/b?c=d e#f"}`, "https://example.com/a/b?c=d%20e", ""},
		{`"https://example.com/${urlencode(event.data.x)}"`, `{"x": "a/b?é"}`, "https://example.com/a%2Fb%3F%C3%A9", ""},
		{`"https://example.com/${event.data.n}/x"`, `{"n": 12345678901234567890123}`, "https://example.com/12345678901234567890123/x", ""},
		{`"https://example.com/${event.data.x}"`, `{"x": "@evil.example"}`, "https://example.com/@evil.example", ""},
		{`"https://example.com/${event.data.x}"`, `{"x": "//evil.example/"}`, "https://example.com///evil.example/", ""},
		{`event.data.x ? "https://a.example/" : "https://b.example/${event.id}"`, `{"x": true}`, "https://a.example/", ""},
		{`try(event.data.x, "https://a.example/")`, `{}`, "", "config"},
		{`"https://user:${env("SECRET")}@example.com/"`, `{}`, "https://user:s3cr3t@example.com/", ""},
		{`"https://example.com/${event.data.x}"`, `{}`, "", null},
		{`"https://example.com/${event.data.x}"`, `{"x": "a\nb"}`, "", "It can't be read as a URL"},
		{`"https://example.com/${event.data.x}"`, `{"x": "a\u0000b"}`, "", "It can't be read as a URL"},
		{`"https://example.com/${event.data.x}"`, `{"x": "%zz"}`, "", "It can't be read as a URL"},
		{`"https://example.com/${event.data.x}"`, `{"x": {}}`, "", "A value of this type can't be part of a string"},
		// config refuses these; if it didn't, they would be refused here.
		{`"https://example.com${event.data.x}"`, `{"x": ".evil.example/"}`, "", refused},
		{`"https://example.com${event.data.x}"`, `{"x": "@evil.example/"}`, "", refused},
		{`"https://example.com:${event.data.x}"`, `{"x": "80@evil.example/"}`, "", refused},
		{`"https://${event.data.x}/"`, `{"x": "evil.example"}`, "", refused},
		{`event.data.x`, `{"x": "https://evil.example/"}`, "", refused},
		{`event.data.x`, `{"x": "file:///etc/passwd"}`, "", "It does not begin with https:// or http://."},
		{`event.data.x`, `{"x": "https:///a"}`, "", "It has no host."},
		{`event.data.x`, `{"x": null}`, "", "It is null."},
		{`event.data.x`, `{"x": [1]}`, "", "The URL must be a string."},
	}
	for _, tt := range tests {
		if tt.detail == "config" {
			continue
		}
		c := &compiler{rewriter: rewriter{functions: load(t, all+`
webhook "reads" {
  topics  = ["*"]
  url     = "https://example.com/"
  headers = { X-Secret = env("SECRET") }
}`, map[string]string{"SECRET": "s3cr3t"}).Functions}}
		template := c.url(parse(t, tt.url))
		table := &Table{functions: c.functions, work: workLimit}
		s := table.scope(row("tagged", tt.payload))
		s.event.topic, s.event.data = "contact.tagged", []byte(tt.payload)
		wire, p := s.url(&template)
		switch {
		case tt.want != "":
			if p != nil || wire != tt.want {
				t.Errorf("%s with %s = %s, %v", tt.url, tt.payload, wire, p)
			}
		case p == nil:
			t.Errorf("%s with %s = %s", tt.url, tt.payload, wire)
		case !strings.Contains(p.Detail, tt.detail) || strings.Contains(p.Error(), "evil") || p.Where != "test.hcl:1":
			t.Errorf("%s with %s: %v", tt.url, tt.payload, p)
		}
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	source := `
webhook "one" {
  topics  = ["contact.tagged"]
  url     = "https://example.com/hooks"
  headers = {
    x-name       = event.data.name
    X-N          = event.data.n
    X-None       = event.data.none
    X-Const      = "a${1 + 1}"
    content-type = "text/plain; charset=utf-8"

    Idempotency-Key = event.id
  }
}`
	request, p := render(t, source, row("tagged", `{"name": "A\tdé", "n": 12345678901234567890.5}`))
	if p != nil {
		t.Fatal(p)
	}
	for name, want := range map[string]string{
		"X-Name": "A\tdé", "X-N": "12345678901234567890.5", "X-Const": "a2", "Idempotency-Key": "0198c1f0-0000-7000-8000-000000000001", "Content-Type": "text/plain; charset=utf-8",
	} {
		if request.Header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, request.Header.Get(name), want)
		}
	}
	if len(request.Header) != 5 {
		t.Errorf("headers %v", request.Header)
	}
	for _, injected := range []string{`a\r\nX-Evil: 1`, `a\nb`, `a\u0000`, `a\u007f`} {
		_, p := render(t, source, row("tagged", `{"name": "`+injected+`"}`))
		if p == nil || p.Summary != "Invalid header" || p.Where != "walpost.hcl:10" || strings.Contains(p.Error(), "Evil") || !strings.Contains(p.Detail, "X-Name") {
			t.Errorf("%s: %v", injected, p)
		}
	}
	if _, p := render(t, source, row("tagged", `{"name": ["a"]}`)); p == nil || p.Summary != "Wrong type" {
		t.Errorf("problem: %v", p)
	}
}

func TestSecretsComeOut(t *testing.T) {
	t.Parallel()
	cfg := load(t, `
webhook "one" {
  topics  = ["contact.tagged"]
  url     = "https://example.com/${env("SECRET")}/${event.id}"
  headers = { Authorization = "Bearer ${env("SECRET")}" }
  body    = { token = env("SECRET"), upper = upper("${env("SECRET")}${event.type}"), n = [env("SECRET")] }
}`, map[string]string{"SECRET": "s3cr3t"})
	table, diags := Compile(cfg)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	deliveries := routed(t, table, row("tagged", `{}`))
	request, p := table.Render(context.Background(), &deliveries[0])
	if p != nil {
		t.Fatal(p)
	}
	if request.URL != "https://example.com/s3cr3t/0198c1f0-0000-7000-8000-000000000001" ||
		request.Header.Get("Authorization") != "Bearer s3cr3t" ||
		string(request.Body) != `{"token":"s3cr3t","upper":"S3CR3TTAGGED","n":["s3cr3t"]}` {
		t.Errorf("%+v %s", request, request.Body)
	}
}

// TestRenderUnderAnotherTable: deliveries that wait during a reload are rendered by
// the new rules.
func TestRenderUnderAnotherTable(t *testing.T) {
	t.Parallel()
	old := compile(t, all)
	deliveries := routed(t, old, row("tagged", `{"a": 1}`))
	changed := compile(t, strings.Replace(all, "/hooks", "/new", 1))
	request, p := changed.Render(context.Background(), &deliveries[0])
	if p != nil || request.URL != "https://example.com/new" {
		t.Errorf("%+v, %v", request, p)
	}
	gone := compile(t, strings.Replace(all, `"all"`, `"other"`, 1))
	if _, p := gone.Render(context.Background(), &deliveries[0]); p == nil || p.Webhook != "all" || p.Summary != "Unknown webhook" {
		t.Errorf("problem: %v", p)
	}
}
