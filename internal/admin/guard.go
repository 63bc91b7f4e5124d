package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// guard lets through who has the token, or, where none is asked for, who calls the server by its own address.
func (a *api) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case a.token == "" && !ownName(r.Host):
			a.answer(w, http.StatusForbidden, problem{Format, "without a token, call this server by its address or as localhost"})
		case a.token != "" && !sameToken(bearer(r), a.token):
			w.Header().Set("WWW-Authenticate", `Bearer realm="walpost"`)
			a.answer(w, http.StatusUnauthorized, problem{Format, "send the admin token: Authorization: Bearer …"})
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// bearer is the token that a request carries, or "" (RFC 6750, section 2.1).
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// sameToken compares in a time that tells nothing, not even the length.
func sameToken(given, want string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// ownName reports whether a Host header is an address or localhost. A page that has its own name resolve to this
// machine (DNS rebinding) sends that name.
func ownName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}
