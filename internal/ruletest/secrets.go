package ruletest

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/walpost/walpost/config"
)

// hidden is shown in place of a secret.
const hidden = "(secret)"

// minSecret is the shortest value that is looked for in texts, in bytes. Shorter ones would be found everywhere.
const minSecret = 4

// Secrets knows what a configuration got from env() and file(), to keep it out of what is shown.
type Secrets struct {
	values *strings.Replacer
	// params are the headers, query and form parameters, by webhook, kind and name, that are made of secrets in whatever
	// way: a digest or an encoding of one is not to be shown either.
	params map[param]bool
	bodies map[string]*secretTree // the same for values in JSON bodies, by webhook
	inBody map[string]bool        // a secret is anywhere in the webhook's own body
}

type param struct {
	webhook string
	kind    kind
	name    string // of a header in canonical form
}

type kind uint8

const (
	header kind = iota
	query
	form
)

// NewSecrets reads the expressions of a checked configuration.
func NewSecrets(cfg *config.Config) *Secrets {
	s := &Secrets{params: map[param]bool{}, bodies: map[string]*secretTree{}, inBody: map[string]bool{}}
	shared := secretLocals(cfg.Locals, nil)
	for _, w := range cfg.Webhooks {
		locals := secretLocals(w.Locals, shared)
		mark := func(k kind, params []config.Param) {
			for _, p := range params {
				if touches(p.Value, locals) {
					s.params[param{w.Name, k, nameOf(k, p.Name)}] = true
				}
			}
		}
		s.bodies[w.Name] = bodyTree(w, locals)
		s.inBody[w.Name] = w.Body != nil && touches(w.Body, locals)
		mark(header, w.Headers)
		mark(query, w.Query)
		mark(query, w.BodyParams) // where there is no body
		mark(form, w.Form)
	}
	s.values = replacer(secretValues(cfg))
	return s
}

func nameOf(k kind, name string) string {
	if k == header {
		return http.CanonicalHeaderKey(name)
	}
	return name
}

// secretLocals are the names of those locals that are made of secrets, besides those of around that they don't shadow.
func secretLocals(locals []config.Local, around map[string]bool) map[string]bool {
	secret := maps.Clone(around)
	if secret == nil {
		secret = map[string]bool{}
	}
	for _, l := range locals {
		delete(secret, l.Name)
	}
	for range locals { // one may be made of another, which may stand below it
		for _, l := range locals {
			secret[l.Name] = secret[l.Name] || touches(l.Expr, secret)
		}
	}
	return secret
}

// touches reports whether the expression calls env() or file(), itself or by a local.
func touches(expr hcl.Expression, locals map[string]bool) bool {
	native, ok := expr.(hclsyntax.Expression)
	if !ok {
		return false
	}
	found := false
	// The visitor gives no diagnostics.
	_ = hclsyntax.VisitAll(native, func(node hclsyntax.Node) hcl.Diagnostics {
		switch node := node.(type) {
		case *hclsyntax.FunctionCallExpr:
			found = found || isReading(node)
		case *hclsyntax.ScopeTraversalExpr:
			if t := node.Traversal; t.RootName() == "local" && len(t) > 1 {
				attr, ok := t[1].(hcl.TraverseAttr)
				found = found || ok && locals[attr.Name]
			}
		}
		return nil
	})
	return found
}

func isReading(call *hclsyntax.FunctionCallExpr) bool {
	return call.Name == "env" || call.Name == "file"
}

// secretValues are what the configuration's env() and file() give, which they have read when it was loaded.
func secretValues(cfg *config.Config) []string {
	var values []string
	for _, file := range cfg.Files {
		body, ok := file.Body.(*hclsyntax.Body)
		if !ok {
			continue
		}
		// The visitor gives no diagnostics.
		_ = hclsyntax.VisitAll(body, func(node hclsyntax.Node) hcl.Diagnostics {
			call, ok := node.(*hclsyntax.FunctionCallExpr)
			if !ok || !isReading(call) {
				return nil
			}
			// A name that can't be read has no value to hide.
			value, diags := call.Value(&hcl.EvalContext{Functions: cfg.Functions})
			value, _ = value.Unmark()
			if !diags.HasErrors() && !value.IsNull() && value.IsKnown() && value.Type().FriendlyName() == "string" {
				values = append(values, value.AsString())
			}
			return nil
		})
	}
	return values
}

// replacer hides the values in each form in which a request may have them.
func replacer(values []string) *strings.Replacer {
	forms := map[string]bool{}
	for _, value := range values {
		quoted, _ := json.Marshal(value) // a string has a JSON form
		for _, form := range []string{
			value, strings.TrimSpace(value), url.QueryEscape(value), url.PathEscape(value), strings.Trim(string(quoted), `"`),
			base64.StdEncoding.EncodeToString([]byte(value)), base64.URLEncoding.EncodeToString([]byte(value)),
		} {
			if len(form) >= minSecret {
				forms[form] = true
			}
		}
	}
	var pairs []string
	// At the same place the longest wins.
	for _, form := range slices.SortedFunc(maps.Keys(forms), func(a, b string) int { return cmp.Compare(len(b), len(a)) }) {
		pairs = append(pairs, form, hidden)
	}
	return strings.NewReplacer(pairs...)
}

// InBody reports whether the webhook's own body is made of secrets.
func (s *Secrets) InBody(webhook string) bool { return s.inBody[webhook] }

// Hide gives the text without secrets.
func (s *Secrets) Hide(text string) string { return s.values.Replace(text) }

// hideJSON gives JSON text, indented, without what is secret in the webhook's bodies.
func (s *Secrets) hideJSON(webhook string, text []byte) string {
	value, err := decode(text)
	if err != nil {
		return s.Hide(string(text))
	}
	var b strings.Builder
	writeJSON(&b, s.bodies[webhook].hide(value, s.Hide), "")
	return s.Hide(b.String())
}

// credentials are headers that are never shown.
var credentials = []string{"Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "Api-Key"}

// hideHeader gives a header's value, or, of one that is secret, at most its scheme, such as Bearer.
func (s *Secrets) hideHeader(webhook, name, value string) string {
	if !slices.Contains(credentials, name) && !s.params[param{webhook, header, name}] {
		return s.Hide(value)
	}
	if scheme, _, ok := strings.Cut(value, " "); ok && (scheme == "Bearer" || scheme == "Basic") {
		return scheme + " " + hidden
	}
	return hidden
}

// hideParam gives the value of a query or form parameter, if it may be shown.
func (s *Secrets) hideParam(webhook string, k kind, name, value string) string {
	if s.params[param{webhook, k, name}] {
		return hidden
	}
	return s.Hide(value)
}

// hideURL gives a URL without user and secrets.
func (s *Secrets) hideURL(webhook, text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return hidden
	}
	if u.User != nil {
		u.User = url.User(hidden)
	}
	path, _, _ := strings.Cut(u.String(), "?")
	shown := s.Hide(strings.Replace(path, url.User(hidden).String(), hidden, 1))
	if u.RawQuery == "" {
		return shown
	}
	pairs := strings.Split(u.RawQuery, "&")
	for i, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(name)
		if err == nil && s.params[param{webhook, query, plain}] {
			pairs[i] = name + "=" + hidden
		} else if value != "" {
			pairs[i] = name + "=" + s.Hide(value)
		}
	}
	return shown + "?" + strings.Join(pairs, "&")
}
