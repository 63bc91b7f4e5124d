package vendormock

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// urlPattern is a URL with placeholders, such as https://{dc}.api.mailchimp.com/3.0/lists/{list_id}/members/{hash}.
type urlPattern struct {
	origin   *regexp.Regexp // scheme and host
	path     *regexp.Regexp // of the escaped path
	names    []string       // of the path's placeholders, in order
	required []string       // query parameters
	optional map[string][]string
}

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

func newURLPattern(text string, optional map[string]string) urlPattern {
	var p urlPattern
	text, query, _ := strings.Cut(text, "?")
	origin, path := split(text)
	p.origin = pattern(origin, `[^/.]+`)
	if strings.HasPrefix(origin, "{") { // {instance_url}, {base}
		p.origin = regexp.MustCompile(`^https?://[^/]+$`)
	}
	p.path = pattern(path, `[^/]+`)
	for _, name := range placeholder.FindAllString(path, -1) {
		p.names = append(p.names, strings.Trim(name, "{}"))
	}
	for _, parameter := range strings.FieldsFunc(query, func(r rune) bool { return r == '&' }) {
		name, _, _ := strings.Cut(parameter, "=")
		p.required = append(p.required, name)
	}
	p.optional = map[string][]string{}
	for name, values := range optional {
		p.optional[name] = strings.Split(values, "|")
	}
	return p
}

// split parts a pattern into origin and path.
func split(text string) (origin, path string) {
	start := 0
	if i := strings.Index(text, "://"); i >= 0 {
		start = i + len("://")
	}
	if i := strings.Index(text[start:], "/"); i >= 0 {
		return text[:start+i], text[start+i:]
	}
	return text, ""
}

// pattern makes placeholders groups: {a|b} of these words, {a} of what free matches.
func pattern(text, free string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString("^")
	for {
		at := placeholder.FindStringIndex(text)
		if at == nil {
			break
		}
		b.WriteString(regexp.QuoteMeta(text[:at[0]]))
		if words := strings.Trim(text[at[0]:at[1]], "{}"); strings.Contains(words, "|") {
			b.WriteString("(" + words + ")")
		} else {
			b.WriteString("(" + free + ")")
		}
		text = text[at[1]:]
	}
	return regexp.MustCompile(b.String() + regexp.QuoteMeta(text) + "$")
}

// params returns what stands for the path's placeholders, unescaped; ok is false if the path is another.
func (p *urlPattern) params(u *url.URL) (params map[string]string, ok bool) {
	groups := p.path.FindStringSubmatch(u.EscapedPath())
	if groups == nil {
		return nil, false
	}
	params = map[string]string{}
	for i, name := range p.names {
		value, err := url.PathUnescape(groups[i+1])
		if err != nil {
			return nil, false
		}
		params[name] = value
	}
	return params, true
}

// query says what is wrong with the query parameters; "" if nothing is.
func (p *urlPattern) query(q url.Values) string {
	for _, name := range p.required {
		if q.Get(name) == "" {
			return "the query parameter " + name + " is missing"
		}
	}
	for name, values := range q {
		switch allowed, known := p.optional[name]; {
		case len(values) != 1:
			return "the query parameter " + name + " is there more than once"
		case slices.Contains(p.required, name):
		case !known:
			return "there is no query parameter " + name
		case !slices.Contains(allowed, values[0]):
			return "the query parameter " + name + " can't be " + values[0]
		}
	}
	return ""
}
