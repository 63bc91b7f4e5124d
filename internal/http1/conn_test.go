package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestBodyBehindItsEnd reads what has ended while another request has its buffer.
func TestBodyBehindItsEnd(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		answer string
		before func(t *testing.T, body io.ReadCloser)
		want   error
	}{
		{"closed", ok, func(*testing.T, io.ReadCloser) {}, http.ErrBodyReadAfterClose},
		{"read", ok, func(_ *testing.T, b io.ReadCloser) { _, _ = io.ReadAll(b) }, io.EOF},
		{"broken", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", func(t *testing.T, b io.ReadCloser) {
			if _, err := io.ReadAll(b); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("a body that broke off ended with %v", err)
			}
		}, io.ErrUnexpectedEOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				first, other := &server{}, &server{script: answering(ok)}
				first.script = func(_ int, conn net.Conn) {
					_ = next(bufio.NewReader(conn))
					_, _ = io.WriteString(conn, tc.answer)
				}
				transport := opened(t, func(ctx context.Context, h Host) (net.Conn, error) {
					if h.Name == "first.test" {
						return first.pipe(ctx, h)
					}
					return other.pipe(ctx, h)
				})
				resp, err := transport.RoundTrip(request(t.Context(), t, http.MethodGet, "http://first.test/", nil))
				if err != nil {
					t.Fatal(err)
				}
				tc.before(t, resp.Body)
				_ = resp.Body.Close()
				another, err := transport.RoundTrip(request(t.Context(), t, http.MethodGet, "http://other.test/", nil))
				if err != nil {
					t.Fatal(err)
				}
				defer another.Body.Close()
				if n, err := resp.Body.Read(make([]byte, 9)); n != 0 || !errors.Is(err, tc.want) {
					t.Errorf("read %d bytes behind the end, and %v; want %v", n, err, tc.want)
				}
				if rest, err := io.ReadAll(another.Body); err != nil || string(rest) != "ok" {
					t.Errorf("the other answer has %q, %v", rest, err)
				}
			})
		})
	}
}

// TestDeadlineEndsWithItsRequest has a connection idle for longer than its last request had time.
func TestDeadlineEndsWithItsRequest(t *testing.T) {
	t.Parallel()
	s := &server{script: answering(ok)}
	address := s.listen(t)
	var conn net.Conn
	transport := opened(t, func(ctx context.Context, h Host) (_ net.Conn, err error) {
		conn, err = dial(ctx, h)
		return conn, err
	})
	expect(t, transport, "http://"+address, "ok")
	_ = conn.SetDeadline(past) // as time does
	expect(t, transport, "http://"+address, "ok")
	s.connected(t, 1)
}

// TestWhatIsSaidToNobody plays what a server can do to an idle connection. Only silence keeps it.
func TestWhatIsSaidToNobody(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		tls   bool
		does  func(conn net.Conn)
		conns int64
	}{
		{"nothing", false, func(net.Conn) {}, 1},
		{"end", false, func(conn net.Conn) { _ = conn.(*net.TCPConn).CloseWrite() }, 2},
		{"reset", false, func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0); _ = conn.Close() }, 2},
		{"timeout", false, func(conn net.Conn) { _, _ = io.WriteString(conn, "HTTP/1.1 408 Request Timeout\r\n\r\n") }, 2},
		{"an answer", false, func(conn net.Conn) { _, _ = io.WriteString(conn, ok) }, 2},
		{"nothing, TLS", true, func(net.Conn) {}, 1},
		{"close_notify, TLS", true, func(conn net.Conn) { _ = conn.(*tls.Conn).CloseWrite() }, 2},
		{"end without close_notify, TLS", true, func(conn net.Conn) { _ = conn.(*tls.Conn).NetConn().Close() }, 2},
		{"an answer, TLS", true, func(conn net.Conn) { _, _ = io.WriteString(conn, ok) }, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			secure, client := certified(t)
			idle, done := make(chan struct{}), make(chan struct{})
			s := &server{script: func(n int, conn net.Conn) {
				if tc.tls {
					conn = tls.Server(conn, secure)
				}
				if n > 1 {
					answering(ok)(n, conn)
					return
				}
				in := bufio.NewReader(conn)
				_ = next(in)
				_, _ = io.WriteString(conn, ok)
				<-idle
				tc.does(conn)
				close(done)
				if next(in) == nil && tc.conns == 1 {
					_, _ = io.WriteString(conn, ok)
				}
				untilClosed(conn)
			}}
			address := s.listen(t)
			transport := opened(t, connecting(tc.tls, client))
			url := "http://" + address
			expect(t, transport, url, "ok")
			close(idle)
			<-done
			expect(t, transport, url, "ok")
			s.connected(t, tc.conns)
		})
	}
}

// TestTLSHasReadMore: a record that has more than the answer is taken from the socket as a whole, so that the rest of it is
// neither in our buffer nor in the socket's.
func TestTLSHasReadMore(t *testing.T) {
	t.Parallel()
	secure, client := certified(t)
	secure.DynamicRecordSizingDisabled = true
	body := strings.Repeat("x", 12<<10)
	s := &server{script: func(_ int, conn net.Conn) {
		conn = tls.Server(conn, secure)
		for in := bufio.NewReader(conn); next(in) == nil; {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 12288\r\n\r\n"+body+"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
		}
	}}
	address := s.listen(t)
	transport := opened(t, connecting(true, client))
	for range 2 {
		resp, err := transport.RoundTrip(request(t.Context(), t, http.MethodGet, "http://"+address, nil))
		if err != nil {
			t.Fatal(err)
		}
		read := make([]byte, 1<<20)
		n, err := io.ReadFull(resp.Body, read)
		if string(read[:n]) != body {
			t.Errorf("a body of %d bytes (%v): it is another answer's", n, err)
		}
		_ = resp.Body.Close()
	}
	s.connected(t, 2)
}

// TestPartsOfARequest: what goes wrong with a request's body ends the request at once, and doesn't wait for an answer to half of it.
func TestPartsOfARequest(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, tc := range []struct {
		name   string
		length int64
		body   io.Reader
		want   string
	}{
		{"broken", inline, io.MultiReader(strings.NewReader("x"), failing{broken}), "broken"},
		{"broken, large", 10 * inline, io.MultiReader(strings.NewReader("x"), failing{broken}), "broken"},
		{"broken, of unknown length", -1, io.MultiReader(strings.NewReader("x"), failing{broken}), "broken"},
		{"too short", inline, strings.NewReader("x"), "with Body length 1"},
		{"too short, large", 10 * inline, strings.NewReader("x"), "with Body length 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &server{script: func(_ int, conn net.Conn) { untilClosed(conn) }}
				transport := opened(t, s.pipe)
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				start, body := time.Now(), &closing{Reader: tc.body}
				req := request(ctx, t, http.MethodPost, "http://receiver.test/", body)
				req.ContentLength = tc.length
				_, _, err := do(t, transport, req)
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got %v, want %q", err, tc.want)
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("it took %s", took)
				}
				if body.closed.Load() == 0 {
					t.Error("the body isn't closed")
				}
			})
		})
	}
}

// TestAnswerBeforeTheRequest: a server may answer before it has read all, and close.
func TestAnswerBeforeTheRequest(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	refused := "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n"
	for _, tc := range []struct {
		name   string
		length int64
		answer string
		then   func(conn net.Conn)
		conns  int64
	}{
		{"and closes", size, refused + "Connection: close\r\n\r\nno", func(net.Conn) {}, 2},
		{"and says so only", size, refused + "Connection: close\r\n\r\nno", untilClosed, 2},
		{"and doesn't read on", size, refused + "\r\nno", func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) }, 2},
		{"and reads the rest", size, refused + "\r\nno", func(conn net.Conn) { _, _ = io.CopyN(io.Discard, conn, size) }, 1},
		{"of unknown length", 0, refused + "Connection: close\r\n\r\nno", untilClosed, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &server{script: func(n int, conn net.Conn) {
					if n == 1 {
						if err := head(conn); err != nil {
							t.Error(err)
						}
						_, _ = io.WriteString(conn, tc.answer)
						tc.then(conn)
						if tc.conns > 1 {
							return
						}
					}
					answering(ok)(n, conn)
				}}
				transport := opened(t, s.pipe)
				start, body := time.Now(), &closing{Reader: strings.NewReader(strings.Repeat("x", size))}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				req := request(ctx, t, http.MethodPost, "http://receiver.test/", body)
				req.ContentLength = tc.length
				resp, got, err := do(t, transport, req)
				if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge || got != "no" {
					t.Errorf("got %v with %q, %v", resp, got, err)
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("it took %s", took)
				}
				if body.closed.Load() != 1 {
					t.Errorf("the body was closed %d times when the answer had been read", body.closed.Load())
				}
				expect(t, transport, "http://receiver.test/", "ok")
				s.connected(t, tc.conns)
			})
		})
	}
}

// head reads a request's headers byte by byte, and nothing of its body.
func head(conn net.Conn) error {
	var read []byte
	for one := make([]byte, 1); !strings.HasSuffix(string(read), "\r\n\r\n"); {
		if _, err := io.ReadFull(conn, one); err != nil {
			return err
		}
		read = append(read, one...)
	}
	return nil
}

// closing counts how often it is closed.
type closing struct {
	io.Reader
	closed atomic.Int64
}

func (c *closing) Close() error {
	c.closed.Add(1)
	return nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// certified gives both sides of a TLS connection their configuration.
func certified(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	lender := httptest.NewUnstartedServer(nil)
	lender.StartTLS()
	defer lender.Close()
	roots := x509.NewCertPool()
	roots.AddCert(lender.Certificate())
	return &tls.Config{Certificates: lender.TLS.Certificates}, &tls.Config{RootCAs: roots, ServerName: "example.com"}
}

// connecting dials TCP, and speaks TLS over it whatever the URL's scheme is.
func connecting(secure bool, config *tls.Config) func(context.Context, Host) (net.Conn, error) {
	return func(ctx context.Context, h Host) (net.Conn, error) {
		conn, err := dial(ctx, h)
		if err != nil || !secure {
			return conn, err
		}
		over := tls.Client(conn, config)
		if err := over.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return over, nil
	}
}
