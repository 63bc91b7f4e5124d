package http1

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestEndedContextSendsNothing: neither over a new connection nor over one that is there.
func TestEndedContextSendsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		requests := 0
		s := &server{}
		s.script = func(n int, conn net.Conn) {
			answering(ok)(n, counting{conn, &requests})
		}
		transport := opened(t, s.pipe)
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		for range 20 {
			if _, _, err := get(ctx, t, transport, "http://receiver.test/"); !errors.Is(err, why) {
				t.Errorf("got %v, want the context's cause", err)
			}
		}
		s.connected(t, 0)
		expect(t, transport, "http://receiver.test/", "ok")
		before := requests
		for range 20 {
			if _, _, err := get(ctx, t, transport, "http://receiver.test/"); !errors.Is(err, why) {
				t.Errorf("got %v, want the context's cause", err)
			}
		}
		synctest.Wait()
		if requests != before {
			t.Error("a request of an ended context was sent")
		}
		expect(t, transport, "http://receiver.test/", "ok")
		s.connected(t, 1)
	})
}

// counting counts what is read with success.
type counting struct {
	net.Conn
	reads *int
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		*c.reads++
	}
	return n, err
}

// TestRequestsWaitForAConnection, and no longer than they may.
func TestRequestsWaitForAConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{script: answering(ok)}
		transport := opened(t, s.pipe)
		transport.MaxConns = 2
		transport.Deadline = func(ctx context.Context) time.Time {
			at, _ := ctx.Value(limit{}).(time.Time)
			return at
		}
		var holding []*http.Response
		for range transport.MaxConns {
			resp, err := transport.RoundTrip(request(t.Context(), t, http.MethodGet, "http://receiver.test/", nil))
			if err != nil {
				t.Fatal(err)
			}
			holding = append(holding, resp)
		}
		start := time.Now()
		late := context.WithValue(t.Context(), limit{}, start.Add(time.Second))
		if _, _, err := get(late, t, transport, "http://receiver.test/"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("got %v after %s, want the deadline's end after 1 s", err, time.Since(start))
		}
		ctx, cancel := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if _, _, err := get(ctx, t, transport, "http://receiver.test/"); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want the context's end", err)
			}
		})
		for range 3 {
			waiting.Go(func() { expect(t, transport, "http://receiver.test/", "ok") })
		}
		synctest.Wait()
		cancel()
		_ = holding[0].Body.Close() // unread: in its place comes another
		waiting.Wait()
		_ = holding[1].Body.Close()
		s.connected(t, 3)
		expect(t, transport, "http://other.test/", "ok")
		s.connected(t, 4)
	})
}

// limit is the key of a deadline in a context.
type limit struct{}

// TestUnusedIsForgotten: connections are closed when they have been idle for long, or too many are, and with the last one its host
// is forgotten.
func TestUnusedIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{script: answering(ok)}
		transport := opened(t, s.pipe)
		for i := range 100 {
			expect(t, transport, fmt.Sprintf("http://host%d.test/", i), "ok")
			transport.has(t, min(i+1, transport.MaxConns))
			time.Sleep(time.Second)
		}
		s.connected(t, 100)
		expect(t, transport, "http://host96.test/", "ok") // the oldest that is there
		s.connected(t, 100)
		time.Sleep(transport.IdleTimeout - time.Second)
		synctest.Wait()
		transport.has(t, 1)
		time.Sleep(time.Second)
		synctest.Wait()
		transport.has(t, 0)
		if _, _, err := get(t.Context(), t, transport, "ftp://host.test/"); err == nil {
			t.Error("a URL of another scheme got an answer")
		}
		transport.Connect = func(context.Context, Host) (net.Conn, error) { return nil, errors.New("refused") }
		if _, _, err := get(t.Context(), t, transport, "http://host.test/"); err == nil {
			t.Error("no connection gave an answer")
		}
		transport.has(t, 0)
	})
}

// has compares how many connections are idle, each one of another host, and how many hosts are known.
func (t *Transport) has(test testing.TB, idle int) {
	test.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle) != idle || len(t.hosts) != idle {
		test.Errorf("%d idle connections and %d hosts, want %d of each", len(t.idle), len(t.hosts), idle)
	}
}

// TestClockOnTheWall: a machine that sleeps stops the timers, but not its peers'.
func TestClockOnTheWall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{script: answering(ok)}
		transport := opened(t, s.pipe)
		expect(t, transport, "http://receiver.test/", "ok")
		transport.idle[0].idleSince = time.Now().Round(0).Add(-transport.IdleTimeout)
		expect(t, transport, "http://receiver.test/", "ok")
		s.connected(t, 2)
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan int, 3)
		s := &server{script: func(n int, conn net.Conn) {
			answering(ok)(n, conn)
			gone <- n
		}}
		transport := opened(t, s.pipe)
		first, err := transport.RoundTrip(request(t.Context(), t, http.MethodGet, "http://receiver.test/", nil))
		if err != nil {
			t.Fatal(err)
		}
		expect(t, transport, "http://receiver.test/", "ok")
		transport.Close()
		if n := <-gone; n != 2 {
			t.Errorf("connection %d was closed, which is in use", n)
		}
		buf := make([]byte, 9)
		if n, _ := first.Body.Read(buf); string(buf[:n]) != "ok" {
			t.Errorf("read %q after Close", buf[:n])
		}
		_ = first.Body.Close()
		if n := <-gone; n != 1 {
			t.Errorf("connection %d was closed, want the first", n)
		}
		expect(t, transport, "http://receiver.test/", "ok") // who is late is served
		<-gone
		synctest.Wait()
		transport.has(t, 0)
	})
}

// TestSilentPeerHoldsNoClose: TLS would say goodbye to a peer that doesn't read, for five seconds.
func TestSilentPeerHoldsNoClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer there.Close()
		transport := opened(t, func(context.Context, Host) (net.Conn, error) { return goodbye{here}, nil })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, _, err := get(ctx, t, transport, "http://receiver.test/"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline's end", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("it took %s, want 1 s", took)
		}
		if _, err := there.Read(make([]byte, 1)); err == nil {
			t.Error("the connection is open")
		}
	})
}

// goodbye is a connection over another one, which takes its time to close.
type goodbye struct{ net.Conn }

func (g goodbye) NetConn() net.Conn { return g.Conn }

func (g goodbye) Close() error {
	time.Sleep(5 * time.Second)
	return g.Conn.Close()
}

func TestHostOf(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]Host{
		"http://receiver.test":           {false, "receiver.test", "receiver.test:80"},
		"https://receiver.test/a?b":      {true, "receiver.test", "receiver.test:443"},
		"https://receiver.test:/":        {true, "receiver.test", "receiver.test:443"},
		"http://receiver.test:443/":      {false, "receiver.test", "receiver.test:443"},
		"https://user:pw@receiver.test/": {true, "receiver.test", "receiver.test:443"},
		"http://[::1]:8080/":             {false, "::1", "[::1]:8080"},
		"https://[2001:db8::1]/":         {true, "2001:db8::1", "[2001:db8::1]:443"},
		"http://[fe80::1%25Eth0]/":       {false, "fe80::1%Eth0", "[fe80::1%Eth0]:80"},
		"https://Bücher.test/":           {true, "xn--bcher-kva.test", "xn--bcher-kva.test:443"},
		"https://xn--bcher-kva.test/":    {true, "xn--bcher-kva.test", "xn--bcher-kva.test:443"},
		"https://receiver.test./":        {true, "receiver.test.", "receiver.test.:443"},
		"http://10.0.0.1/":               {false, "10.0.0.1", "10.0.0.1:80"},
		"http:///path":                   {},
		"ftp://receiver.test/":           {},
		"receiver.test":                  {},
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := HostOf(u); got != want || (err != nil) != (want == Host{}) {
			t.Errorf("%s: %+v, %v; want %+v", raw, got, err, want)
		}
	}
}

// TestURLThatIsChanged: whoever has a URL may change it between two requests.
func TestURLThatIsChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{script: answering(ok)}
		var hosts []string
		transport := opened(t, func(ctx context.Context, h Host) (net.Conn, error) {
			hosts = append(hosts, h.Address)
			return s.pipe(ctx, h)
		})
		req := request(t.Context(), t, http.MethodGet, "http://one.test/", nil)
		for _, name := range []string{"one.test", "two.test", "one.test"} {
			req.URL.Host = name
			if _, _, err := do(t, transport, req); err != nil {
				t.Error(err)
			}
		}
		if fmt.Sprint(hosts) != "[one.test:80 two.test:80]" {
			t.Errorf("connected to %s", hosts)
		}
	})
}
