//go:build unix

package bounds

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// counter is an endpoint that answers 200 at once, and counts.
type counter struct {
	url     string
	mu      sync.Mutex
	count   int
	changed chan struct{} // closed at the next request
}

func newCounter(t testing.TB) *counter {
	t.Helper()
	c := &counter{changed: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.count++
		close(c.changed)
		c.changed = make(chan struct{})
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// await waits until n requests have come in all.
func (c *counter) await(t testing.TB, n int) {
	t.Helper()
	deadline := time.After(patience())
	for {
		c.mu.Lock()
		count, changed := c.count, c.changed
		c.mu.Unlock()
		if count >= n {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%d requests have come, not %d", count, n)
		}
	}
}

// blackHole accepts connections and never says a word.
type blackHole struct {
	url string
	mu  sync.Mutex
	now []net.Conn
}

func newBlackHole(t testing.TB) *blackHole {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &blackHole{url: "http://" + listener.Addr().String()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			h.mu.Lock()
			h.now = append(h.now, conn)
			h.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
		for _, conn := range h.now {
			_ = conn.Close()
		}
	})
	return h
}

// taken is how many connections there were.
func (h *blackHole) taken() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.now)
}
