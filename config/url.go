package config

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// origin is the part of a URL that no event may decide: scheme and authority, up to
// and with the character that ends it.
var origin = regexp.MustCompile(`(?i)^https?://[^/?#]+[/?#]`)

// url checks a webhook's url as far as it is known before an event: that it is a
// string, that what is constant of it makes a URL, and that its host is constant, so
// that no payload can send the request elsewhere.
func (b *block) url() hcl.Expression {
	attr := b.argument("url")
	if attr == nil {
		return nil
	}
	value, ok := b.evaluate(attr.Expr, b.within.request)
	if !ok {
		return attr.Expr
	}
	if !mayBe(value, func(ty cty.Type) bool { return ty == cty.String }) {
		b.wrongType(attr.Expr.Range(), "url", value, `a URL in quotes, such as "https://example.com/hooks"`)
		return attr.Expr
	}
	b.checkURL(attr.Expr)
	return attr.Expr
}

// checkURL checks each of the expressions that the url can be.
func (b *block) checkURL(expr hclsyntax.Expression) {
	switch e := expr.(type) {
	case *hclsyntax.ParenthesesExpr:
		b.checkURL(e.Expression)
	case *hclsyntax.TemplateWrapExpr:
		b.checkURL(e.Wrapped)
	case *hclsyntax.ConditionalExpr:
		b.checkURL(e.TrueResult)
		b.checkURL(e.FalseResult)
	case *hclsyntax.FunctionCallExpr:
		if (e.Name == "try" || e.Name == "coalesce") && !e.ExpandFinal {
			for _, arg := range e.Args {
				b.checkURL(arg)
			}
			return
		}
		b.checkURLText(e)
	default:
		b.checkURLText(e)
	}
}

func (b *block) checkURLText(expr hclsyntax.Expression) {
	text, whole, readable := b.constantPrefix(expr)
	if !readable {
		return // env() or file() gave nothing, which is reported
	}
	at := expr.Range()
	var summary, why string
	switch {
	case whole:
		summary, why = "Invalid URL", urlProblem(text)
	case text == "":
		summary, why = "URL from the event", "Its scheme and host would come from the event, and whoever can write a payload could send the request anywhere."
	case origin.MatchString(text):
		summary, why = "Invalid URL", urlProblem(origin.FindString(text))
	default:
		summary, why = prefixProblem(text)
	}
	if why != "" {
		b.fail(at, summary, "%s Write scheme and host out, as in \"https://example.com/contacts/${urlencode(event.aggregate_id)}\".", why)
	}
}

// urlProblem says why a text is no URL to send to; "" if it is one. The text isn't
// quoted, as it may hold a secret.
func urlProblem(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "There is a space or line break in it. If it comes from file(), write trimspace(file(\"…\"))."
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "It can't be read as a URL."
	case u.Scheme == "" && u.Host == "":
		return "It has no scheme and no host."
	case !strings.EqualFold(u.Scheme, "http") && !strings.EqualFold(u.Scheme, "https"):
		return "It does not begin with https:// or http://."
	case u.Hostname() == "":
		return "It has no host."
	}
	return ""
}

// prefixProblem says what is wrong with a constant beginning that is no whole origin.
func prefixProblem(text string) (summary, why string) {
	lower := strings.ToLower(text)
	for _, scheme := range []string{"https://", "http://"} {
		if strings.HasPrefix(lower, scheme) || strings.HasPrefix(scheme, lower) {
			return "Host from the event", "Its host would come from the event, and whoever can write a payload could send the request anywhere. There is no \"/\" after the host before the first ${…}."
		}
	}
	if strings.Contains(text, "://") {
		return "Invalid URL", "It does not begin with https:// or http://."
	}
	return "Invalid URL", "It has no scheme and no host."
}

// constantPrefix returns what an expression's text begins with for every event, and
// whether that is all of it. readable is false if it depends on something that env()
// or file() couldn't give.
func (b *block) constantPrefix(expr hclsyntax.Expression) (text string, whole, readable bool) {
	parts := []hclsyntax.Expression{expr}
	if template, ok := expr.(*hclsyntax.TemplateExpr); ok {
		parts = template.Parts
	}
	var sb strings.Builder
	for _, part := range parts {
		value, diags := part.Value(b.within.request.context(b.config.Functions))
		if diags.HasErrors() {
			return "", false, false // reported when the whole was evaluated
		}
		value, marks := value.Unmark()
		switch {
		case !value.IsKnown() && len(marks) > 0 && len(part.Variables()) == 0:
			return "", false, false
		case !value.IsKnown():
			if value.Type() == cty.String { // format() tells what its result begins with
				sb.WriteString(value.Range().StringPrefix())
			}
			return sb.String(), false, true
		case value.IsNull() || value.Type() != cty.String && len(parts) == 1:
			return "", true, true
		case value.Type() == cty.String:
			sb.WriteString(value.AsString())
		default:
			sb.WriteString("0") // a number or bool: some text without a meaning in URLs
		}
	}
	return sb.String(), true, true
}
