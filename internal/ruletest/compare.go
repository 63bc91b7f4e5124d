package ruletest

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/route"
)

// comparison writes down, line by line, what a test names: as it is expected and as it is. Whatever isn't named is in
// neither.
type comparison struct {
	secrets          *Secrets
	webhook          *config.Webhook
	expected, actual strings.Builder // as they may be shown
	hidden           bool            // something differs that isn't shown
}

func newComparison(s *Secrets, w *config.Webhook) *comparison {
	return &comparison{secrets: s, webhook: w}
}

// diff gives the difference; the note is what the diff can't say.
func (c *comparison) diff() (diff, note string) {
	if c.hidden {
		note = "; what differs in a secret is not shown"
	}
	return Diff("expected", c.expected.String(), "actual", c.actual.String()), note
}

// line compares one value; show is how it may be shown.
func (c *comparison) line(name, expected, actual string, show func(string) string) {
	shownExpected, shownActual := show(expected), show(actual)
	c.hidden = c.hidden || expected != actual && shownExpected == shownActual
	c.expected.WriteString(named(name, shownExpected))
	c.actual.WriteString(named(name, shownActual))
}

// named is a line, or of a value that begins with a new one, several.
func named(name, value string) string {
	if strings.HasPrefix(value, "\n") {
		return name + ":" + value + "\n"
	}
	return name + ": " + value + "\n"
}

// optional is line for values that may be missing on either side.
func (c *comparison) optional(name string, expected *string, actual string, found bool, show func(string) string) {
	if expected == nil && !found {
		return
	}
	if expected != nil && found {
		c.line(name, *expected, actual, show)
		return
	}
	if expected != nil {
		c.expected.WriteString(named(name, show(*expected)))
	} else {
		c.actual.WriteString(named(name, show(actual)))
	}
}

// request compares what the test says of the request.
func (c *comparison) request(e *config.Expect, topic string, r route.Request) {
	if e.Topic != "" {
		c.line("topic", e.Topic, topic, c.secrets.Hide)
	}
	if e.Method != "" {
		c.line("method", e.Method, r.Method, c.secrets.Hide)
	}
	if e.URL != "" {
		c.line("url", e.URL, c.comparable(e.URL, r), func(s string) string { return c.secrets.hideURL(c.webhook.Name, s) })
	}
	if e.Query != nil {
		_, text, _ := strings.Cut(r.URL, "?")
		c.values("query", query, e.Query, parse(text))
	}
	if e.Headers != nil {
		c.headers(e.Headers, withAuth(r.Header, c.webhook.Auth))
	}
	if e.Form != nil {
		if isForm(r.Header) {
			c.values("form", form, e.Form, parse(string(r.Body)))
		} else {
			c.values("form", form, e.Form, nil)
		}
	}
	if e.Body != nil {
		c.body(e.Body, r)
	}
}

// comparable is the request's URL without the parameters that walpost has appended, unless the test names them in the
// URL.
func (c *comparison) comparable(expected string, r route.Request) string {
	appended := len(c.webhook.Query) > 0 || r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodDelete
	base, text, found := strings.Cut(r.URL, "?")
	if !found || !appended {
		return r.URL
	}
	_, named, _ := strings.Cut(expected, "?")
	names := parse(named)
	var kept []string
	for pair := range strings.SplitSeq(text, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil && names.Has(plain) {
			kept = append(kept, pair)
		}
	}
	if kept == nil {
		return base
	}
	return base + "?" + strings.Join(kept, "&")
}

// parse reads a query or form as far as it can be read.
func parse(text string) url.Values {
	values, _ := url.ParseQuery(text) // what can't be read isn't what was expected
	return values
}

func (c *comparison) values(name string, k kind, expected map[string]*string, actual url.Values) {
	for _, key := range slices.Sorted(maps.Keys(expected)) {
		c.optional(name+" "+key, expected[key], strings.Join(actual[key], ", "), actual.Has(key), func(s string) string {
			return quote(c.secrets.hideParam(c.webhook.Name, k, key, s))
		})
	}
}

func (c *comparison) headers(expected map[string]*string, actual http.Header) {
	for _, key := range slices.Sorted(maps.Keys(expected)) {
		name := http.CanonicalHeaderKey(key)
		_, found := actual[name]
		c.optional("header "+key, expected[key], strings.Join(actual[name], ", "), found, func(s string) string {
			return c.secrets.hideHeader(c.webhook.Name, name, s)
		})
	}
}

// body compares bodies as JSON. One that is no JSON is a text, and so is one of which a text is expected.
func (c *comparison) body(expected []byte, r route.Request) {
	if isForm(r.Header) {
		c.expected.WriteString("body:" + indented(c.secrets.hideJSON(c.webhook.Name, expected)) + "\n")
		c.actual.WriteString("body: a form" + indented(strings.TrimSuffix(c.secrets.describeBody(c.webhook, r), "\n")) + "\n")
		return
	}
	want, got := PrettyJSON(expected), PrettyJSON(r.Body)
	if text, err := decode(expected); err == nil {
		if s, ok := text.(string); ok && want != got {
			want, got = s, string(r.Body)
		}
	}
	c.line("body", want, got, func(text string) string { return indented(c.secrets.hideJSON(c.webhook.Name, []byte(text))) })
}

func indented(text string) string { return "\n  " + strings.ReplaceAll(text, "\n", "\n  ") }
