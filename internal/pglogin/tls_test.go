package pglogin

import (
	"crypto/tls"
	"errors"
	"fmt"
	"testing"
)

func TestDisagreesOnTLS(t *testing.T) {
	t.Parallel()
	refused, other := errors.New("server refused TLS connection"), errors.New("connection refused")
	for _, tc := range []struct {
		name string
		err  error
		want bool
	}{
		{"none", nil, false},
		{"another", other, false},
		{"refused", fmt.Errorf("connect: %w", refused), true},
		{"certificate", fmt.Errorf("connect: %w", &tls.CertificateVerificationError{Err: errors.New("unknown authority")}), true},
		{"refused at every host", fmt.Errorf("connect: %w", errors.Join(refused, fmt.Errorf("b: %w", refused))), true},
		{"refused, then something else without TLS", errors.Join(refused, other), false},
	} {
		if got := DisagreesOnTLS(tc.err); got != tc.want {
			t.Errorf("%s: %t", tc.name, got)
		}
	}
}
