//go:build unix

package doctor_test

import (
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/walpost/walpost/internal/doctor"
	"github.com/walpost/walpost/internal/pgtest"
)

// pooler passes connections on to a server, as PgBouncer does: process ids are its own, and it knows no replication.
type pooler struct {
	t        *testing.T
	server   string // address
	listener net.Listener
	sessions sync.WaitGroup
}

// newPooler gives the connection string that leads through one.
func newPooler(t *testing.T, connString string) string {
	t.Helper()
	u, err := url.Parse(connString)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &pooler{t: t, server: u.Host, listener: listener}
	p.sessions.Go(p.serve)
	t.Cleanup(func() { _ = listener.Close(); p.sessions.Wait() })
	u.Host = listener.Addr().String()
	query := u.Query()
	query.Set("sslmode", "disable")
	u.RawQuery = query.Encode()
	return u.String()
}

func (p *pooler) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.sessions.Go(func() {
			if err := p.session(client); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrUnexpectedEOF) {
				p.t.Errorf("pooler: %v", err)
			}
		})
	}
}

// session logs the client in and copies what follows.
func (p *pooler) session(client net.Conn) error {
	defer client.Close() // whoever ends first ends the session
	backend := pgproto3.NewBackend(client, client)
	startup, err := backend.ReceiveStartupMessage()
	if err != nil {
		return err
	}
	parameters, ok := startup.(*pgproto3.StartupMessage)
	if !ok {
		return nil // a cancellation
	}
	if _, replicates := parameters.Parameters["replication"]; replicates {
		backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "08P01", Message: "unsupported startup parameter: replication"})
		return backend.Flush()
	}
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return err
	}
	defer server.Close()
	frontend := pgproto3.NewFrontend(server, server)
	frontend.Send(parameters)
	if err := frontend.Flush(); err != nil {
		return err
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		defer server.Close()
		_, _ = io.Copy(server, client)
	}()
	defer func() { _ = client.Close(); <-copied }()
	for {
		message, err := frontend.Receive()
		if err != nil {
			return err
		}
		if key, ok := message.(*pgproto3.BackendKeyData); ok {
			key.ProcessID += 1000
		}
		backend.Send(message)
		if err := backend.Flush(); err != nil {
			return err
		}
	}
}

func TestPooler(t *testing.T) {
	t.Parallel()
	p := newPatient(t, pgtest.New(t))
	p.prepare()
	direct := p.url
	p.url = newPooler(t, direct)
	both := p.examine()
	for check, want := range map[string]string{
		"pooler":      "database.replication_url leads through a connection pooler",
		"replication": "a connection pooler is between walpost and Postgres, and it cannot replicate",
	} {
		found := of(both, check)
		if f := found[len(found)-1]; f.Severity != doctor.Stops || f.Found != want || f.Fix == "" {
			t.Errorf("got %s", p.text(found))
		}
	}
	p.replication = direct
	found := of(p.examine(), "pooler")
	if len(found) != 1 || found[0].Severity != doctor.Warning || found[0].Found != "database.url leads through a connection pooler" {
		t.Errorf("got %s", p.text(found))
	}
	if found := of(p.examine(), "replication"); found[0].Severity != doctor.OK {
		t.Errorf("got %s", p.text(found))
	}
}
