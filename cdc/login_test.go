package cdc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/rs/zerolog"
)

// F32: what PgBouncer answers to a replication connection.
func TestPoolerIsNamed(t *testing.T) {
	t.Parallel()
	address := refusing(t, &pgproto3.ErrorResponse{
		Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "08P01", Message: "unsupported startup parameter: replication",
	})
	_, err := Setup(t.Context(), Options{
		ConnString: "postgres://u@" + address + "/db?sslmode=disable", Table: "outbox", Slot: "walpost", Publication: "walpost",
	})
	wantSetupError(t, err, nil, "pooler", "replication_url")
}

// A server without TLS is tried without it, unless sslmode demands it: what it says then counts, and not that it has no TLS.
func TestServerWithoutTLS(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sslmode, code, message string
		problem, fix           string // "": it is waited for
	}{
		"may not replicate": {"prefer", "42501", "must be superuser or replication role to start walsender", "may not replicate", "with replication"},
		"starting up":       {"prefer", "57P03", "the database system is starting up", "", ""},
		"demanded":          {"require", "", "", "disagree about TLS", "sslmode"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := refusing(t, &pgproto3.ErrorResponse{Severity: "FATAL", Code: c.code, Message: c.message})
			_, err := Setup(t.Context(), Options{
				ConnString: "postgres://u@" + address + "/db?sslmode=" + c.sslmode, Table: "outbox", Slot: "walpost", Publication: "walpost",
			})
			if c.problem != "" {
				wantSetupError(t, err, nil, c.problem, c.fix)
			} else if !Retryable(err) {
				t.Error(err)
			}
		})
	}
}

// refusing is a server that has no TLS, and answers every login with an error.
func refusing(t *testing.T, answer *pgproto3.ErrorResponse) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			refuse(conn, answer)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String()
}

func refuse(conn net.Conn, answer *pgproto3.ErrorResponse) {
	backend := pgproto3.NewBackend(conn, conn)
	for {
		switch m, err := backend.ReceiveStartupMessage(); m.(type) {
		case *pgproto3.SSLRequest:
			if _, err := conn.Write([]byte("N")); err != nil {
				return
			}
		default:
			if err == nil {
				backend.Send(answer)
				_ = backend.Flush()
			}
			return
		}
	}
}

// A server that isn't there yet, or refuses only once in a while, is waited for.
func TestWaitsForTheServer(t *testing.T) {
	t.Parallel()
	t.Run("refused connection", func(t *testing.T) {
		t.Parallel()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := listener.Addr().String()
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		waitsFor(t, "postgres://u@"+address+"/db?sslmode=disable", "connection refused")
	})
	for name, code := range map[string]string{"starting up": "57P03", "too many connections": "53300", "shutting down": "57P01"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := refusing(t, &pgproto3.ErrorResponse{Severity: "FATAL", Code: code, Message: "the database system is " + name})
			waitsFor(t, "postgres://u@"+address+"/db?sslmode=disable", name)
		})
	}
}

// waitsFor checks that Run tries again, says why, and ends with its context.
func waitsFor(t *testing.T, connString, cause string) {
	t.Helper()
	logged := newLogged()
	s, err := New(Options{
		ConnString: connString, Table: "outbox", Slot: "walpost", Publication: "walpost",
		BackoffMin: time.Millisecond, BackoffMax: 5 * time.Millisecond, Logger: zerolog.New(logged),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- s.Run(ctx) }()
	logged.wait(t, cause)
	if stats := s.Stats(); stats.Connected || !strings.Contains(stats.LastError, cause) || stats.LastErrorAt.IsZero() {
		t.Errorf("stats %+v", stats)
	}
	cancel()
	if err := <-result; err != nil {
		t.Error(err)
	}
	if _, open := <-s.Batches(); open {
		t.Error("batches are open")
	}
}

// The same refusals of a login, once one has succeeded, are a passing state.
func TestRefusedLoginAfterASuccessfulOneIsRetried(t *testing.T) {
	t.Parallel()
	address := refusing(t, &pgproto3.ErrorResponse{Severity: "FATAL", Code: "28P01", Message: "password authentication failed"})
	o := Options{ConnString: "postgres://u@" + address + "/db?sslmode=disable", Table: "outbox", Slot: "walpost", Publication: "walpost"}.withDefaults()
	_, _, err := openReplication(t.Context(), o)
	if err == nil {
		t.Fatal("no error")
	}
	if Retryable(classifyConnect(err, o, false)) {
		t.Error("retryable before")
	}
	if !Retryable(classifyConnect(err, o, true)) {
		t.Error("not retryable after")
	}
	if Retryable(nil) || !Retryable(errors.New("anything")) || Retryable(fmt.Errorf("read: %w", ErrUndecodable)) {
		t.Error("Retryable")
	}
}
