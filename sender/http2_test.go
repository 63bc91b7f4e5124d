package sender

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestHTTP2WhereTheEndpointHasIt sends many requests at a time over HTTP/2: to an endpoint that allows fewer streams on a
// connection than that, and to one that says GOAWAY again and again. Each is delivered, once.
func TestHTTP2WhereTheEndpointHasIt(t *testing.T) {
	t.Parallel()
	const concurrency, requests = 32, 300
	for _, tc := range []struct {
		name    string
		streams int
		goaway  int64 // after every so many requests; 0: never
	}{
		{"streams for all", 100, 0},
		{"fewer streams than requests", 10, 0},
		{"goaway", 100, 20},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var running, most, count, older atomic.Int64
			var mu sync.Mutex
			seen := map[string]int{}
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n := running.Add(1)
				defer running.Add(-1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				if r.ProtoMajor != 2 {
					older.Add(1)
				}
				mu.Lock()
				seen[r.Header.Get("webhook-id")]++
				mu.Unlock()
				if tc.goaway > 0 && count.Add(1)%tc.goaway == 0 {
					w.Header().Set("Connection", "close") // in HTTP/2: GOAWAY, and what is under way goes on
				}
			}))
			server.EnableHTTP2 = true
			server.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: tc.streams}
			server.StartTLS()
			t.Cleanup(server.Close)
			roots := x509.NewCertPool()
			roots.AddCert(server.Certificate())
			e := open(t, Options{Concurrency: concurrency}, wiring{rootCAs: roots})

			numbers := make(chan int)
			var workers sync.WaitGroup
			for range concurrency {
				workers.Go(func() {
					for i := range numbers {
						a := Attempt{DeliveryID: fmt.Sprint(i), Topic: "a.b", Number: 1, Method: http.MethodPost, URL: server.URL, Body: []byte(`{}`)}
						if o := e.Send(t.Context(), a); o.Verdict != Delivered {
							t.Errorf("request %d: %s %s %v", i, o.Verdict, o.Class, o.Err)
						}
					}
				})
			}
			for i := range requests {
				numbers <- i
			}
			close(numbers)
			workers.Wait()
			if older.Load() > 0 {
				t.Errorf("%d requests over an older HTTP", older.Load())
			}
			if most.Load() > concurrency {
				t.Errorf("%d requests at a time", most.Load())
			}
			if len(seen) != requests {
				t.Errorf("%d of %d arrived", len(seen), requests)
			}
			for id, n := range seen {
				if n != 1 {
					t.Errorf("request %s arrived %d times", id, n)
				}
			}
		})
	}
}

// TestConnectionThatHTTP2DoesNotNeed is opened to find out what the host speaks, and closed when there is another one.
func TestConnectionThatHTTP2DoesNotNeed(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(answer(http.StatusOK))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	var opened, closed atomic.Int64
	e := open(t, Options{}, wiring{rootCAs: roots, dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := counted(&opened)(ctx, network, address)
		return &closingConn{Conn: conn, closed: &closed}, err
	}})
	for i := range int64(3) {
		expect(t, e.Send(t.Context(), post(server.URL)), Delivered, ClassOK, 200)
		if opened.Load() != i+1 || closed.Load() != i {
			t.Errorf("send %d: %d connections, of which %d are closed", i+1, opened.Load(), closed.Load())
		}
		e.pool.forget(strings.TrimPrefix(server.URL, "https://"))
	}
	for i := range 3 * rememberedMost {
		chosen := &speaksHTTP2{conn: &closingConn{Conn: discard{}, closed: &closed}}
		e.pool.meet(fmt.Sprint(i), chosen)
		e.pool.part(chosen)
	}
	if n := len(e.pool.speaks2); n > rememberedMost {
		t.Errorf("%d hosts are remembered", n)
	}
	if n := len(e.pool.met); n > 0 {
		t.Errorf("%d connections are still to be asked for", n)
	}
}

// closingConn counts when it is closed.
type closingConn struct {
	net.Conn
	closed *atomic.Int64
	once   sync.Once
}

func (c *closingConn) Close() error {
	c.once.Do(func() { c.closed.Add(1) })
	return c.Conn.Close()
}

// discard is a connection that can be closed.
type discard struct{ net.Conn }

func (discard) Close() error { return nil }

// TestHostThatChangesItsMind speaks HTTP/2, 1.1, and HTTP/2 again, on a new connection each time.
func TestHostThatChangesItsMind(t *testing.T) {
	t.Parallel()
	var speaks, spoke atomic.Value
	var requests atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		spoke.Store(r.Proto)
		w.Header().Set("Connection", "close")
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	config := server.TLS.Clone()
	server.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		config := config.Clone()
		config.NextProtos = []string{speaks.Load().(string)}
		return config, nil
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	e := open(t, Options{Timeout: time.Minute}, wiring{rootCAs: roots})
	sends := int64(0)
	for _, protocol := range []struct{ alpn, http string }{{"h2", "HTTP/2.0"}, {"http/1.1", "HTTP/1.1"}, {"h2", "HTTP/2.0"}, {"http/1.1", "HTTP/1.1"}} {
		speaks.Store(protocol.alpn)
		for spoke.Store(""); spoke.Load() != protocol.http; sends++ { // a connection may live on until its GOAWAY is read
			expect(t, e.Send(t.Context(), post(server.URL)), Delivered, ClassOK, 200)
			if t.Failed() {
				return
			}
		}
		expect(t, e.Send(t.Context(), post(server.URL)), Delivered, ClassOK, 200)
		sends++
		if spoke.Load() != protocol.http {
			t.Errorf("%s, want %s", spoke.Load(), protocol.http)
		}
	}
	if n := requests.Load(); n != sends {
		t.Errorf("%d sends made %d requests", sends, n)
	}
}

// TestNothingIsSentTwiceByNetHTTP has net/http, which may find a host that speaks HTTP/1.1 by now, keep a connection that the receiver
// closes after it has read a request.
func TestNothingIsSentTwiceByNetHTTP(t *testing.T) {
	t.Parallel()
	for name, attempt := range resendable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen atomic.Int64
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if seen.Add(1) >= 2 {
					panic(http.ErrAbortHandler)
				}
			}))
			server.Config.ErrorLog = quiet
			server.StartTLS()
			t.Cleanup(server.Close)
			roots := x509.NewCertPool()
			roots.AddCert(server.Certificate())
			e := open(t, Options{}, wiring{rootCAs: roots})
			attempt.URL = server.URL
			for range 2 {
				e.pool.speaks2[strings.TrimPrefix(server.URL, "https://")] = struct{}{}
				e.Send(t.Context(), attempt)
			}
			if n := seen.Load(); n != 2 {
				t.Errorf("two sends made %d requests", n)
			}
		})
	}
}

// TestEmptyBodyIsNotChunked: what has an idempotency key and no body is an ordinary request.
func TestEmptyBodyIsNotChunked(t *testing.T) {
	t.Parallel()
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
			t.Errorf("Content-Length %d, Transfer-Encoding %v", r.ContentLength, r.TransferEncoding)
		}
	})
	e := open(t, Options{}, wiring{})
	expect(t, e.Send(t.Context(), Attempt{
		Method: "POST", URL: server.URL, Header: http.Header{"Idempotency-Key": {"1"}},
	}), Delivered, ClassOK, 200)
}
