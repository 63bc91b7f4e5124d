package route

import (
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// urlTemplate is a webhook's URL. Package config has made sure that its scheme and host
// are written out in it; as an event decides the rest, the result is checked again.
type urlTemplate struct {
	expr hclsyntax.Expression
	// origins are the schemes and hosts that the result may have; see originOf.
	origins []string
	// constant is the result if no event decides it; empty: evaluate.
	constant string
}

func (c *compiler) url(expr hcl.Expression) urlTemplate {
	u := urlTemplate{expr: c.expression(expr)}
	u.origins = origins(u.expr)
	if literal, ok := u.expr.(*hclsyntax.LiteralValueExpr); ok && len(u.origins) > 0 {
		if text, why := u.check(literal.Val.AsString()); why == "" {
			u.constant = text
		}
	}
	return u
}

// origins returns the origins that are written out at the beginning of the URL, or of
// each of the URLs, that the expression can give.
func origins(expr hclsyntax.Expression) []string {
	switch e := expr.(type) {
	case *hclsyntax.LiteralValueExpr:
		if e.Val.Type() == cty.String && !e.Val.IsNull() {
			return appendOrigin(nil, e.Val.AsString(), true)
		}
	case *templateExpr:
		var text strings.Builder
		for _, part := range e.Parts {
			literal, ok := part.(*hclsyntax.LiteralValueExpr)
			if !ok || literal.Val.Type() != cty.String || literal.Val.IsNull() {
				break
			}
			text.WriteString(literal.Val.AsString())
		}
		return appendOrigin(nil, text.String(), false)
	case *hclsyntax.ConditionalExpr:
		return append(origins(e.TrueResult), origins(e.FalseResult)...)
	case *boundedExpr:
		return origins(e.Expression)
	case *weighedExpr:
		return origins(e.Expression)
	case *localExpr:
		return origins(e.local.expr)
	case *hclsyntax.FunctionCallExpr: // of try() or coalesce(); config admits no other
		var all []string
		for _, arg := range e.Args {
			all = append(all, origins(arg)...)
		}
		return all
	}
	return nil
}

// appendOrigin appends the origin of a URL's beginning, if the host is sure to end in it.
func appendOrigin(origins []string, text string, whole bool) []string {
	_, rest, found := strings.Cut(text, "://")
	if !found || !whole && !strings.ContainsAny(rest, "/?#") {
		return origins
	}
	end := len(text)
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		end = len(text) - len(rest) + i
	}
	if u, err := url.Parse(text[:end]); err == nil {
		origins = append(origins, originOf(u))
	}
	return origins
}

// originOf returns a URL's scheme, user and host, so that equal ones are equal strings.
func originOf(u *url.URL) string {
	origin := strings.ToLower(u.Scheme) + "://"
	if u.User != nil {
		origin += u.User.String() + "@"
	}
	return origin + strings.ToLower(u.Host)
}

// check returns the URL as it goes on the wire, or why it can't.
func (t *urlTemplate) check(text string) (wire, why string) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "", "It can't be read as a URL; urlencode() makes any value fit for one."
	case u.Scheme != "http" && u.Scheme != "https":
		return "", "It does not begin with https:// or http://."
	case u.Hostname() == "":
		return "", "It has no host."
	case !slices.Contains(t.origins, originOf(u)):
		return "", "A value of the event would send the request to another host."
	}
	u.Fragment, u.RawFragment = "", "" // never sent
	u.RawQuery = escapeQuery(u.RawQuery)
	return u.String(), ""
}

// escapeQuery escapes what can't be in a request line; url.Parse leaves queries alone.
func escapeQuery(query string) string {
	const hex = "0123456789ABCDEF"
	unsafe := func(r rune) bool { return r <= ' ' || r >= 0x7f }
	if !strings.ContainsFunc(query, unsafe) {
		return query
	}
	var b strings.Builder
	for i := range len(query) {
		if c := query[i]; unsafe(rune(c)) {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// url evaluates the URL.
func (s *scope) url(t *urlTemplate) (string, *Problem) {
	if t.constant != "" {
		return t.constant, nil
	}
	value, p := s.value(t.expr, cty.String, "The URL must be a string.")
	if p != nil {
		return "", p
	}
	why := "It is null."
	if !value.IsNull() {
		var wire string
		if wire, why = t.check(value.AsString()); why == "" {
			return wire, nil
		}
	}
	return "", &Problem{Summary: "Invalid URL", Detail: why, Where: where(t.expr.Range())}
}
