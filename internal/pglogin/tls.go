// Package pglogin says what failed logins have in common, for all who log in to Postgres.
package pglogin

import (
	"crypto/tls"
	"errors"
	"slices"
	"strings"
)

// DisagreesOnTLS reports whether a login failed because the server has no TLS where sslmode demands it, or a certificate that isn't
// trusted: waiting cures neither. Where sslmode lets another try follow without TLS, that one says what is wrong.
func DisagreesOnTLS(err error) bool {
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &certificate) || err != nil && refused(err)
}

// refused reports whether every try was.
func refused(err error) bool {
	var tries interface{ Unwrap() []error }
	if errors.As(err, &tries) {
		return !slices.ContainsFunc(tries.Unwrap(), func(try error) bool { return !refused(try) })
	}
	return strings.Contains(err.Error(), "server refused TLS connection") // untyped in pgconn
}
