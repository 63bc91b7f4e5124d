package http1

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// script is what a server does on its nth connection, from 1. The connection is closed behind it.
type script func(n int, conn net.Conn)

// server is a script's.
type server struct {
	script script
	conns  atomic.Int64
}

// pipe connects to the server without a socket: for bubbles.
func (s *server) pipe(context.Context, Host) (net.Conn, error) {
	here, there := net.Pipe()
	n := int(s.conns.Add(1))
	go func() {
		defer there.Close()
		s.script(n, there)
	}()
	return here, nil
}

// listen starts the server on a real socket.
func (s *server) listen(t testing.TB) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			n := int(s.conns.Add(1))
			serving.Go(func() {
				defer conn.Close()
				s.script(n, conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	return l.Addr().String()
}

// answering is a script that gives each request of any connection the same answer, until the client closes.
func answering(answer string) script {
	return func(_ int, conn net.Conn) {
		for in := bufio.NewReader(conn); next(in) == nil; {
			_, _ = io.WriteString(conn, answer)
		}
	}
}

// next reads a request with its body.
func next(in *bufio.Reader) error {
	req, err := http.ReadRequest(in)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err
}

// untilClosed reads what comes until the client closes.
func untilClosed(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

const (
	ok      = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	nothing = "HTTP/1.1 204 No Content\r\n\r\n"
)

// opened makes a transport that is closed at the end of the test.
func opened(t testing.TB, connect func(context.Context, Host) (net.Conn, error)) *Transport {
	t.Helper()
	transport := &Transport{Connect: connect, MaxConns: 4, IdleTimeout: 30 * time.Second, MaxHeader: 64 << 10}
	t.Cleanup(transport.Close)
	return transport
}

// dial connects over TCP.
func dial(ctx context.Context, to Host) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", to.Address)
}

// get sends a GET request and reads the answer's body.
func get(ctx context.Context, t testing.TB, via http.RoundTripper, url string) (resp *http.Response, body string, err error) {
	t.Helper()
	return do(t, via, request(ctx, t, http.MethodGet, url, nil))
}

func request(ctx context.Context, t testing.TB, method, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func do(t testing.TB, via http.RoundTripper, req *http.Request) (resp *http.Response, body string, err error) {
	t.Helper()
	if resp, err = via.RoundTrip(req); err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, "", nil
	}
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

// expect is a GET request that is answered with a body.
func expect(t testing.TB, via http.RoundTripper, url, want string) {
	t.Helper()
	if _, body, err := get(context.Background(), t, via, url); err != nil || body != want {
		t.Errorf("got %q, %v; want %q", body, err, want)
	}
}

// connected compares the number of connections that a server got.
func (s *server) connected(t testing.TB, want int64) {
	t.Helper()
	if n := s.conns.Load(); n != want {
		t.Errorf("%d connections, want %d", n, want)
	}
}
