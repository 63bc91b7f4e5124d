package sender

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// stuck is a connection whose first write fails after n bytes.
type stuck struct {
	net.Conn
	n int
}

func (s stuck) Write(p []byte) (int, error) {
	_ = s.Close()
	return min(s.n, len(p)), syscall.EPIPE
}

func TestRedialOnlyBeforeAByteWasWritten(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for _, tc := range []struct {
		name    string
		fails   int // dials that fail
		err     error
		written int // with no err: bytes written before the connection breaks
		verdict Verdict
		class   Class
		status  int
		dials   int64
	}{
		{"refused once", 1, refused, 0, Delivered, ClassOK, 200, 2},
		{"refused for good", 9, refused, 0, Retry, ClassRefused, 0, 2},
		{"reset while connecting", 1, &net.OpError{Op: "dial", Err: syscall.ECONNRESET}, 0, Delivered, ClassOK, 200, 2},
		{"broken before a byte", 1, nil, 0, Delivered, ClassOK, 200, 2},
		{"broken before a byte, twice", 2, nil, 0, Retry, ClassReset, 0, 2},
		{"broken after a byte", 1, nil, 1, Retry, ClassReset, 0, 1},
		{"broken after more", 1, nil, 50, Retry, ClassReset, 0, 1},
		{"not resolved", 9, &net.DNSError{Err: "no such host", IsNotFound: true}, 0, Retry, ClassDNS, 0, 1},
		{"denied", 9, &EgressError{}, 0, Rejected, ClassEgress, 0, 1},
		{"no route", 9, &net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}, 0, Retry, ClassUnreachable, 0, 1},
		{"timed out", 9, &net.OpError{Op: "dial", Err: syscall.ETIMEDOUT}, 0, Retry, ClassTimeout, 0, 1},
	} {
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			t.Run(tc.name+" "+method, func(t *testing.T) {
				t.Parallel()
				var bodies []string
				server := serve(t, func(_ http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					bodies = append(bodies, string(body))
				})
				var dials atomic.Int64
				tcp := counted(&dials)
				e := open(t, Options{}, wiring{dial: func(ctx context.Context, network, address string) (net.Conn, error) {
					conn, err := tcp(ctx, network, address)
					if err != nil || dials.Load() > int64(tc.fails) {
						return conn, err
					}
					if tc.err != nil {
						_ = conn.Close()
						return nil, tc.err
					}
					return stuck{conn, tc.written}, nil
				}})
				attempt := post(server.URL)
				attempt.Method = method
				start := time.Now()
				expect(t, e.Send(t.Context(), attempt), tc.verdict, tc.class, tc.status)
				if time.Since(start) > 5*time.Second {
					t.Error("the client slept before it dialled again")
				}
				if n := dials.Load(); n != tc.dials {
					t.Errorf("%d dials, want %d", n, tc.dials)
				}
				if method == http.MethodPost && len(bodies) == 1 && bodies[0] != string(attempt.Body) {
					t.Errorf("the body after the redial is %q", bodies[0])
				}
			})
		}
	}
}

// resendable are attempts of all sorts: net/http would send GET, HEAD and what carries an idempotency key again by itself.
var resendable = map[string]Attempt{
	"POST":                {Method: "POST", Body: []byte("body")},
	"GET":                 {Method: "GET"},
	"HEAD":                {Method: "HEAD"},
	"DELETE":              {Method: "DELETE"},
	"Idempotency-Key":     {Method: "POST", Body: []byte("body"), Header: http.Header{"Idempotency-Key": {"1"}}},
	"X-Idempotency-Key":   {Method: "PUT", Body: []byte("body"), Header: http.Header{"x-idempotency-key": {"1"}}},
	"key without a body":  {Method: "POST", Header: http.Header{"Idempotency-Key": {"1"}}},
	"DELETE with the key": {Method: "DELETE", Header: http.Header{"Idempotency-Key": {"1"}}},
}

// TestNothingIsSentTwice keeps a connection, and has the receiver close it after it has read the second request.
func TestNothingIsSentTwice(t *testing.T) {
	t.Parallel()
	for name, attempt := range resendable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen atomic.Int64
			address := script(t, func(conn net.Conn) {
				in := bufio.NewReader(conn)
				for {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, r.Body)
					if seen.Add(1) >= 2 {
						return
					}
					_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
				}
			})
			attempt.URL = "http://" + address
			e := open(t, Options{}, wiring{})
			expect(t, e.Send(t.Context(), attempt), Delivered, ClassOK, 204)
			expect(t, e.Send(t.Context(), attempt), Retry, ClassReset, 0)
			if n := seen.Load(); n != 2 {
				t.Errorf("two sends made %d requests", n)
			}
		})
	}
}

func TestHTTP2(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	bodies := map[string]int{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		bodies[r.Proto+" "+r.Method+" "+string(body)]++
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	var dials atomic.Int64
	e := open(t, Options{Secret: vectorSecret}, wiring{dial: counted(&dials), rootCAs: roots})
	expect(t, e.Send(t.Context(), post(server.URL)), Delivered, ClassOK, 200)
	var senders sync.WaitGroup
	for range 20 {
		senders.Go(func() {
			for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
				attempt := post(server.URL)
				attempt.Method = method
				expect(t, e.Send(t.Context(), attempt), Delivered, ClassOK, 200)
			}
		})
	}
	senders.Wait()
	for request, want := range map[string]int{
		"HTTP/2.0 GET ": 20, `HTTP/2.0 POST {"id":"1"}`: 21, `HTTP/2.0 PUT {"id":"1"}`: 20, `HTTP/2.0 DELETE {"id":"1"}`: 20,
	} {
		if bodies[request] != want {
			t.Errorf("%q arrived %d times, want %d", request, bodies[request], want)
		}
	}
	if n := dials.Load(); n != 1 {
		t.Errorf("81 requests used %d HTTP/2 connections, want 1", n)
	}
}

func TestHandshakeThatBreaksIsDialledAgain(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(answer(http.StatusOK))
	secure.Config.ErrorLog = quiet
	secure.StartTLS()
	t.Cleanup(secure.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	closing := script(t, func(net.Conn) {})
	var dials atomic.Int64
	tcp := counted(&dials)
	e := open(t, Options{}, wiring{rootCAs: roots, dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials.Load() == 0 {
			address = closing
		}
		return tcp(ctx, network, address)
	}})
	expect(t, e.Send(t.Context(), post(secure.URL)), Delivered, ClassOK, 200)
	if n := dials.Load(); n != 2 {
		t.Errorf("%d dials, want 2", n)
	}
}

func TestCertificateOfAnotherHost(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(answer(http.StatusOK))
	secure.Config.ErrorLog = quiet
	secure.StartTLS()
	t.Cleanup(secure.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	address := strings.TrimPrefix(secure.URL, "https://")
	var dials atomic.Int64
	tcp := counted(&dials)
	e := open(t, Options{}, wiring{rootCAs: roots, dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return tcp(ctx, network, address)
	}})
	expect(t, e.Send(t.Context(), post("https://other.walpost.test/")), Retry, ClassTLS, 0)
	if n := dials.Load(); n != 1 {
		t.Errorf("a certificate that will not change was fetched %d times", n)
	}
}

// Not parallel: it sets the environment.
func TestProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, "http://proxy.walpost.test:3128")
	}
	var dialled []string
	e := open(t, Options{}, wiring{dial: func(_ context.Context, _, address string) (net.Conn, error) {
		dialled = append(dialled, address)
		return nil, errors.New("no network here")
	}})
	expect(t, e.Send(t.Context(), post("http://receiver.walpost.test/")), Retry, ClassUnreachable, 0)
	expect(t, e.Send(t.Context(), post("https://receiver.walpost.test/")), Retry, ClassUnreachable, 0)
	if got := strings.Join(dialled, " "); got != "receiver.walpost.test:80 receiver.walpost.test:443" {
		t.Errorf("dialled %s", got)
	}
}

func TestCloseLeavesNoConnection(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{}, 10)
	server := httptest.NewUnstartedServer(answer(http.StatusOK))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			gone <- struct{}{}
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	e := open(t, Options{}, wiring{})
	expect(t, e.Send(t.Context(), post(server.URL)), Delivered, ClassOK, 200)
	e.Close()
	<-gone
}
