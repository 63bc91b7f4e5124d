package sender

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// open makes an endpoint that is closed at the end of the test.
func open(t testing.TB, o Options, w wiring) *Endpoint {
	t.Helper()
	e, err := newEndpoint(o, w)
	if err != nil {
		t.Fatalf("make an endpoint: %v", err)
	}
	t.Cleanup(e.Close)
	return e
}

// serve starts a receiver on a real socket. An endpoint has to be opened after it, to be closed before it.
func serve(t testing.TB, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// post is an ordinary attempt.
func post(url string) Attempt {
	return Attempt{
		DeliveryID: "3f0c1f5e-0000-5000-8000-000000000001", Topic: "contact.tagged", Number: 1,
		Method: http.MethodPost, URL: url,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"id":"1"}`),
	}
}

func answer(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// expect compares an outcome's verdict, class and status.
func expect(t testing.TB, o Outcome, verdict Verdict, class Class, status int) {
	t.Helper()
	if o.Verdict != verdict || o.Class != class || o.Status != status {
		t.Errorf("got %s, class %s, status %d (%v); want %s, class %s, status %d",
			o.Verdict, o.Class, o.Status, o.Err, verdict, class, status)
	}
	if (o.Err == nil) != (verdict == Delivered) {
		t.Errorf("a verdict of %s has the error %v", o.Verdict, o.Err)
	}
}

// memory is a network without sockets, for synctest bubbles: what its dial dials, a server of the bubble accepts.
type memory struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// serveMemory starts an http.Server on a new memory network. The function that it returns stops it.
func serveMemory(handler http.HandlerFunc) (*memory, func()) {
	m := &memory{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: handler}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(m)
	}()
	return m, func() {
		_ = server.Close()
		<-done
	}
}

func (m *memory) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case m.conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-m.closed:
		return nil, io.ErrClosedPipe
	}
}

// Accept implements net.Listener.
func (m *memory) Accept() (net.Conn, error) {
	select {
	case conn := <-m.conns:
		return conn, nil
	case <-m.closed:
		return nil, errors.New("the memory network is closed")
	}
}

// Close implements net.Listener.
func (m *memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

// Addr implements net.Listener.
func (m *memory) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "memory"} }

// quiet is for servers whose complaints are expected.
var quiet = log.New(io.Discard, "", 0)
