package ruletest

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/route"
)

// Describe gives a request as text, without secrets: method and URL, a line for each header in alphabetical order, and
// after an empty line the body, JSON indented and a form with a line for each parameter.
func Describe(s *Secrets, w *config.Webhook, r route.Request) string {
	var b strings.Builder
	b.WriteString(r.Method + " " + s.hideURL(w.Name, r.URL) + "\n")
	all := withAuth(r.Header, w.Auth)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b.WriteString(strings.ToLower(name) + ": " + s.hideHeader(w.Name, name, strings.Join(all[name], ", ")) + "\n")
	}
	if len(r.Body) > 0 {
		b.WriteString("\n" + s.describeBody(w, r))
	}
	return b.String()
}

func (s *Secrets) describeBody(w *config.Webhook, r route.Request) string {
	if isForm(r.Header) {
		if values, err := url.ParseQuery(string(r.Body)); err == nil {
			var b strings.Builder
			for _, name := range slices.Sorted(maps.Keys(values)) {
				b.WriteString(name + " = " + s.hideParam(w.Name, form, name, strings.Join(values[name], ", ")) + "\n")
			}
			return b.String()
		}
	}
	return s.hideJSON(w.Name, r.Body) + "\n"
}

func isForm(h http.Header) bool {
	return strings.HasPrefix(h.Get("Content-Type"), "application/x-www-form-urlencoded")
}

// withAuth is the header with the Authorization that sender adds, as far as it is known before.
func withAuth(h http.Header, auth *config.Auth) http.Header {
	if auth == nil {
		return h
	}
	h = h.Clone()
	switch auth.Kind {
	case config.AuthBasic:
		// Only SetBasicAuth knows the form; it needs nothing but the header.
		(&http.Request{Header: h}).SetBasicAuth(auth.Username, auth.Password.Reveal())
	case config.AuthBearer:
		h.Set("Authorization", "Bearer "+auth.Token.Reveal())
	case config.AuthOAuth2, config.AuthJWTBearer:
		h.Set("Authorization", "Bearer (a token from the token endpoint)")
	}
	return h
}

// Diff gives the difference of two texts as a unified diff; empty: there is none.
func Diff(oldName, oldText, newName, newText string) string {
	text := string(diff.Diff(oldName, []byte(oldText), newName, []byte(newText)))
	_, text, _ = strings.Cut(text, "\n") // the line for patch(1)
	return text
}

type rawJSON = json.RawMessage
