package ledger

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestPassing(t *testing.T) {
	t.Parallel()
	noTLS := errors.New("host: server refused TLS connection")
	server := func(code string) error { return fmt.Errorf("connect: %w", &pgconn.PgError{Code: code}) }
	for _, c := range []struct {
		err  error
		want bool
	}{
		{server("57P03"), true},  // the database system is starting up
		{server("53300"), true},  // too many connections
		{server("25006"), true},  // read-only: a standby
		{server("55P03"), true},  // a lock
		{server("28P01"), false}, // password
		{server("3D000"), false}, // no such database
		{server("42501"), false}, // no right
		{ErrSchemaTooNew, false},
		{fmt.Errorf("ask: %w", &net.OpError{Op: "dial", Err: errors.New("connection refused")}), true},
		{&net.DNSError{Name: "db"}, true},
		{context.DeadlineExceeded, true},
		{context.Canceled, false},
		{&tls.CertificateVerificationError{}, false},
		{fmt.Errorf("connect: %w", errors.Join(noTLS)), false},
		{fmt.Errorf("connect: %w", errors.Join(noTLS, fmt.Errorf("host: %w", io.EOF))), true}, // and tried without
		{nil, false},
	} {
		if got := Passing(c.err); got != c.want {
			t.Errorf("%v: %t", c.err, got)
		}
	}
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := refused.Addr().String()
	if err := refused.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), Options{ConnString: "postgres://u@" + address + "/d?sslmode=disable"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Migrate(t.Context()); !Passing(err) {
		t.Errorf("nobody listens: %v", err)
	}
}
