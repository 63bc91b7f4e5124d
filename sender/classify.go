package sender

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
)

// errUnreachable stands for the addresses that the guard let pass and that were not connected to, where the dialer reports
// only the one that the guard denied.
var errUnreachable = errors.New("no allowed address of the host could be connected to")

// requestError is an attempt that cannot be made a request.
type requestError struct {
	class   Class
	problem string
}

func (e *requestError) Error() string { return e.problem }

// classify finds the class of a failed round trip by the types of its errors. connected tells what nothing types: whether
// a connection had been got.
func classify(err error, connected bool) Class {
	var (
		request *requestError
		token   *tokenError
		egress  *EgressError
		dns     *net.DNSError
		network net.Error
	)
	switch {
	case errors.As(err, &request):
		return request.class
	case errors.As(err, &token):
		return ClassAuth
	case errors.As(err, &egress):
		return ClassEgress
	case errors.As(err, &dns):
		return ClassDNS
	case errors.As(err, &network) && network.Timeout():
		return ClassTimeout
	case isTLS(err):
		return ClassTLS
	case errors.Is(err, syscall.ECONNREFUSED):
		return ClassRefused
	case isReset(err):
		return ClassReset
	case connected:
		return ClassProtocol
	default:
		return ClassUnreachable
	}
}

func isTLS(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		record       tls.RecordHeaderError
		alert        tls.AlertError
		remote       *net.OpError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
	)
	return errors.As(err, &verification) || errors.As(err, &record) || errors.As(err, &alert) ||
		errors.As(err, &authority) || errors.As(err, &hostname) || errors.As(err, &invalid) ||
		errors.Is(err, http.ErrSchemeMismatch) ||
		errors.As(err, &remote) && remote.Op == "remote error" || // an alert that the peer sent
		strings.Contains(err.Error(), "tls: ") // most of crypto/tls' errors have no type
}

func isReset(err error) bool {
	for _, target := range []error{
		io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return strings.Contains(err.Error(), "server closed idle connection") // untyped; pinned by a test
}

// unprocessed reports whether an HTTP/2 endpoint has refused the stream, or said GOAWAY before it, so that the request may be
// sent again although it was written, and only lacked what net/http needs for that.
func unprocessed(err error) bool {
	return strings.Contains(err.Error(), "http2: Transport: cannot retry err [") // untyped; pinned by a test
}
