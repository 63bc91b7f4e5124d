package config

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Secrets that are written out in the configuration are in every copy of it. They
// work, and there is a warning that never quotes them.

var (
	secretHeader = regexp.MustCompile(`(?i)(^|[-_])(authorization|api-?key|key|token|secret|password|cookie)([-_]|$)`)
	secretParam  = regexp.MustCompile(`(?i)secret|key|token|password|signature`)
	// notSecret are headers whose name only looks like it.
	notSecret = regexp.MustCompile(`(?i)^(x-)?idempotency-key$`)
	// authScheme is what an Authorization header begins with.
	authScheme = regexp.MustCompile(`(?i)^(basic|bearer|token|apikey|key)\s+`)
)

// checkLiterals warns of secrets that are written out in the webhook's own arguments.
func (b *block) checkLiterals() {
	for _, argument := range []struct {
		name   string
		secret func(name string) bool
	}{
		{"headers", func(name string) bool { return secretHeader.MatchString(name) && !notSecret.MatchString(name) }},
		{"query", secretParam.MatchString},
		{"form", secretParam.MatchString},
	} {
		attr := b.argument(argument.name)
		if attr == nil {
			continue
		}
		object, ok := attr.Expr.(*hclsyntax.ObjectConsExpr)
		if !ok {
			continue // which was reported
		}
		for _, item := range object.Items {
			key, diags := item.KeyExpr.Value(nil)
			if diags.HasErrors() || key.Type() != cty.String || !key.IsKnown() || key.IsNull() || !argument.secret(key.AsString()) {
				continue
			}
			if text, ok := b.literal(item.ValueExpr); ok && looksSecret(authScheme.ReplaceAllString(text, "")) {
				b.warnLiteral(item.ValueExpr, argument.name+"."+key.AsString(), b.variable(key.AsString()), authScheme.FindString(text))
			}
		}
	}
	b.checkLiteralURL()
}

// checkLiteralURL looks at what is constant of the url.
func (b *block) checkLiteralURL() {
	attr := b.argument("url")
	if attr == nil {
		return
	}
	text, ok := b.literal(attr.Expr)
	if !ok {
		return
	}
	u, err := url.Parse(text)
	if err != nil {
		return // which was reported
	}
	if password, has := u.User.Password(); has && looksSecret(password) {
		b.warnLiteral(attr.Expr, "url", b.variable("password"), "")
		return
	}
	for name, values := range u.Query() {
		if secretParam.MatchString(name) && len(values) > 0 && looksSecret(values[0]) {
			b.warnLiteral(attr.Expr, "url", b.variable(name), "")
			return
		}
	}
}

// checkLiteral warns if an argument that is nothing but a secret is written out.
func (b *block) checkLiteral(argument, of string) {
	attr := b.argument(argument)
	if attr == nil {
		return
	}
	if text, ok := b.literal(attr.Expr); ok && text != "" {
		b.warnLiteral(attr.Expr, of+"."+argument, variableName(b.owner+"_"+argument), "")
	}
}

// literal returns the text of an expression that has the same value for every event,
// and that neither env() nor file() made.
func (b *block) literal(expr hclsyntax.Expression) (string, bool) {
	if hasLoop(expr) {
		return "", false
	}
	s := b.settingScope()
	if b.within.locals != nil {
		s.locals = b.within.locals
	}
	value, diags := expr.Value(s.context(b.config.Functions))
	if diags.HasErrors() || value.ContainsMarked() || !value.IsKnown() || value.IsNull() || value.Type() != cty.String {
		return "", false
	}
	return value.AsString(), true
}

// looksSecret tells "sk_live_51HxQ" from "email" and "contact_id".
func looksSecret(text string) bool {
	hasLetter := strings.ContainsFunc(text, func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' })
	hasDigit := strings.ContainsAny(text, "0123456789")
	mixed := strings.ToLower(text) != text && strings.ToUpper(text) != text
	return len(text) >= 8 && !strings.ContainsAny(text, " \t\n") && (hasLetter && hasDigit || mixed || len(text) >= 24)
}

// variable is a name for an environment variable that holds the webhook's secret.
func (b *block) variable(of string) string {
	of = strings.TrimPrefix(strings.TrimPrefix(of, "X-"), "x-")
	if strings.EqualFold(of, "authorization") {
		of = "token"
	}
	return variableName(b.owner + "_" + of)
}

var notVariable = regexp.MustCompile(`[^A-Z0-9]+`)

func variableName(words string) string {
	return strings.Trim(notVariable.ReplaceAllString(strings.ToUpper(words), "_"), "_")
}

// warnLiteral says what to write instead. The source is not shown.
func (b *block) warnLiteral(expr hclsyntax.Expression, what, variable, scheme string) {
	write := `env("` + variable + `")`
	switch {
	case what == "url":
		write = `"https://…${env("` + variable + `")}…"`
	case scheme != "":
		write = `"` + strings.TrimSpace(scheme) + ` ${env("` + variable + `")}"`
	}
	d := problem(expr.Range(), "Secret written out",
		"What stands for %s looks like a secret, and whoever sees this file sees it. Put it into an environment variable, and write: %s", what, write)
	d.Severity = hcl.DiagWarning
	d.Extra = secretSubject{}
	b.add(d)
}
