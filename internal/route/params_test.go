package route

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const paramPayload = `{"name": "A d&é=+?#/", "n": 1.10, "big": 123456789012345678901234567890.5, "list": [1, "a b", null, {"x": [1]}, 2.0],
	"empty": [], "none": null, "o": {"a": "b"}, "inject": "x@evil.example/\r\nX-Evil: 1&admin=1#"}`

func TestQuery(t *testing.T) {
	t.Parallel()
	const query = `query = { name = event.data.name, big = event.data.big, list = event.data.list, "a b" = true, none = event.data.none,
    absent = event.data.x.y, empty = event.data.empty, o = event.data.o, n = event.data.n, sum = event.data.n + 1, env = "x" }`
	const encoded = "name=A+d%26%C3%A9%3D%2B%3F%23%2F&big=123456789012345678901234567890.5&list=1&list=a+b&list=%7B%22x%22%3A+%5B1%5D%7D&list=2.0" +
		"&a+b=true&o=%7B%22a%22%3A+%22b%22%7D&n=1.10&sum=2.1&env=x"
	for _, tt := range []struct{ arguments, want string }{
		{`url = "https://example.com/x"`, "https://example.com/x?" + encoded},
		{`url = "https://example.com/x?a=1#part"`, "https://example.com/x?a=1&" + encoded},
		{`url = "https://example.com/${event.type}?a=${event.data.n}"`, "https://example.com/tagged?a=1.1&" + encoded},
		{
			"url = \"https://example.com/x\"\nmethod = \"GET\"\nbody_params = { who = event.aggregate_id }",
			"https://example.com/x?" + encoded + "&id=0198c1f0-0000-7000-8000-000000000001&topic=contact.tagged&created_at=1772362800&who=7",
		},
	} {
		request, p := render(t, `
webhook "one" {
  topics = ["contact.tagged"]
  `+tt.arguments+`
  `+query+`
}`, row("tagged", paramPayload))
		if p != nil || request.URL != tt.want {
			t.Errorf("got  %s\nwant %s\n%v", request.URL, tt.want, p)
		}
	}
	request, p := render(t, `
webhook "one" {
  topics = ["contact.tagged"]
  url    = "https://example.com/x"
  query  = { none = event.data.none, empty = event.data.empty }
}`, row("tagged", paramPayload))
	if p != nil || request.URL != "https://example.com/x" {
		t.Errorf("nothing to append: %s, %v", request.URL, p)
	}
}

func TestForm(t *testing.T) {
	t.Parallel()
	source := `
webhook "one" {
  topics = ["contact.tagged"]
  url    = "https://example.com/x"
  form = {
    email  = event.data.name
    big    = event.data.big
    "a[b]" = event.data.list
    none   = event.data.none
    o      = event.data.o
    yes    = true
  }
}`
	request, p := render(t, source, row("tagged", paramPayload))
	want := "email=A+d%26%C3%A9%3D%2B%3F%23%2F&big=123456789012345678901234567890.5&a%5Bb%5D=1&a%5Bb%5D=a+b&a%5Bb%5D=%7B%22x%22%3A+%5B1%5D%7D&a%5Bb%5D=2.0" +
		"&o=%7B%22a%22%3A+%22b%22%7D&yes=true"
	if p != nil || string(request.Body) != want || request.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || request.URL != "https://example.com/x" {
		t.Errorf("got  %s\nwant %s\n%v %v", request.Body, want, request.Header, p)
	}
	if values, err := url.ParseQuery(string(request.Body)); err != nil || values.Get("email") != "A d&é=+?#/" || len(values["a[b]"]) != 4 {
		t.Errorf("%v, %v", values, err)
	}
	empty := strings.Replace(source, "yes    = true", "", 1)
	request, p = render(t, empty, row("tagged", `{}`))
	if p != nil || request.Body == nil || len(request.Body) != 0 {
		t.Errorf("an empty form: %q, %v", request.Body, p)
	}
	own := strings.Replace(source, "form =", "headers = { Content-Type = \"application/x-www-form-urlencoded; charset=utf-8\" }\n form =", 1)
	if request, _ = render(t, own, row("tagged", paramPayload)); request.Header.Get("Content-Type") != "application/x-www-form-urlencoded; charset=utf-8" {
		t.Errorf("headers %v", request.Header)
	}
}

// TestNothingIsInjected: what a payload says goes where it was meant to, by whatever way
// it comes.
func TestNothingIsInjected(t *testing.T) {
	t.Parallel()
	const source = `
locals {
  evil = event.payload.inject
  path = "/${local.evil}"
}
webhook "one" {
  topics  = ["contact.tagged"]
  url     = "https://example.com/${urlencode(local.evil)}"
  query   = { q = local.evil, p = local.path }
  headers = { X-Safe = urlencode(local.path) }
  form    = { f = local.evil }
}`
	request, p := render(t, source, row("tagged", paramPayload))
	if p != nil {
		t.Fatal(p)
	}
	made, err := http.NewRequest(request.Method, request.URL, nil)
	const evil = "x@evil.example/\r\nX-Evil: 1&admin=1#"
	switch {
	case err != nil:
		t.Fatal(err)
	case made.URL.Host != "example.com" || made.URL.Fragment != "" || len(made.URL.Query()) != 2 || made.URL.Query().Get("q") != evil || made.URL.Query().Get("p") != "/"+evil:
		t.Errorf("URL %s", request.URL)
	}
	if form, err := url.ParseQuery(string(request.Body)); err != nil || len(form) != 1 || form.Get("f") != evil {
		t.Errorf("form %s, %v", request.Body, err)
	}
	for _, tt := range []struct{ old, evil, summary string }{
		{`"https://example.com/${urlencode(local.evil)}"`, `"https://example.com/${local.evil}"`, "Invalid URL"}, // a line break
		{`urlencode(local.path)`, `local.path`, "Invalid header"},
		{`urlencode(local.path)`, `"a${local.evil}"`, "Invalid header"},
		{`urlencode(local.path)`, `event.data`, "Wrong type"},
		{`urlencode(local.path)`, `"x${event.data.nothing}"`, "Invalid template interpolation value"},
		{`q = local.evil`, `q = "x${event.data.nothing}"`, "Invalid template interpolation value"},
		{`f = local.evil`, `f = "x${local.nothing}"`, "Invalid template interpolation value"},
	} {
		changed := strings.Replace(source, tt.old, tt.evil, 1)
		changed = strings.Replace(changed, "locals {", "locals {\n  nothing = event.payload.nothing.at.all", 1)
		if !strings.Contains(tt.evil, "local.nothing") {
			changed = strings.Replace(changed, `X-Safe =`, `X-Nothing = local.nothing, X-Safe =`, 1)
		}
		_, p := render(t, changed, row("tagged", paramPayload))
		if p == nil || p.Summary != tt.summary || strings.Contains(p.Error(), "evil.example") {
			t.Errorf("%s: %v", tt.evil, p)
		}
	}
}

// TestHostsOfLocals: the host of a URL that a local makes can't come from an event.
func TestHostsOfLocals(t *testing.T) {
	t.Parallel()
	const refused = "A value of the event would send the request to another host."
	for _, tt := range []struct{ local, url, want, detail string }{
		{`"https://example.com"`, `"${local.x}/${event.payload.x}"`, "https://example.com/.evil.example/", ""},
		{`"https://example.com/${event.payload.x}"`, `local.x`, "https://example.com/.evil.example/", ""},
		{`event.payload.yes ? "https://a.example/${event.type}" : "https://b.example/"`, `local.x`, "https://a.example/tagged", ""},
		// config refuses these; if it didn't, they would be refused here.
		{`"https://example.com${event.payload.x}"`, `local.x`, "", refused},
		{`"https://example.com"`, `"${local.x}${event.payload.x}"`, "", refused},
		{`event.payload.x`, `"https://example.com${local.x}"`, "", refused},
		{`event.payload.url`, `local.x`, "", refused},
		{`{ url = event.payload.url }`, `local.x.url`, "", refused},
		{`["https://example.com/", event.payload.url]`, `local.x[1]`, "", refused},
	} {
		c := &compiler{rewriter: rewriter{functions: functions(t)}, table: &Table{functions: functions(t), work: workLimit}}
		c.locals = c.newLocals(nil, locally(t, "x", tt.local))
		template := c.url(parse(t, tt.url))
		s := c.table.scope(row("tagged", `{"x": ".evil.example/", "url": "https://evil.example/", "yes": true}`))
		wire, p := s.url(&template)
		if tt.want != "" && (p != nil || wire != tt.want) || tt.want == "" && (p == nil || p.Detail != tt.detail) {
			t.Errorf("local.x = %s, %s: %s, %v", tt.local, tt.url, wire, p)
		}
	}
}
