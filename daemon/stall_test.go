package daemon

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/hashicorp/hcl/v2"

	"github.com/walpost/walpost/config"
)

// stall is a network between a daemon and its database that can stand still: to either side, the other one is frozen.
type stall struct {
	listener net.Listener
	target   string
	mu       sync.RWMutex // held for writing while it stands still
	wg       sync.WaitGroup
}

func newStall(t testing.TB, target string) *stall {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &stall{listener: listener, target: target}
	s.wg.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { s.serve(client) })
		}
	})
	t.Cleanup(func() { _ = listener.Close(); s.wg.Wait() }) // the daemon has closed its connections by then
	return s
}

func (s *stall) serve(client net.Conn) {
	defer client.Close()
	s.mu.RLock()
	target := s.target
	s.mu.RUnlock()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer server.Close()
	var both sync.WaitGroup
	both.Go(func() { s.forward(server, client) })
	both.Go(func() { s.forward(client, server) })
	both.Wait()
}

func (s *stall) forward(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		s.mu.RLock() // waits while nothing passes
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				_ = from.Close() // the other direction ends, too
			}
		}
		if err != nil {
			if err != io.EOF { //nolint:errorlint // Read gives io.EOF itself
				_ = from.Close()
			}
			_ = to.Close()
		}
		s.mu.RUnlock()
		if err != nil {
			return
		}
	}
}

// freeze lets nothing pass until the result is called.
func (s *stall) freeze() (thaw func()) {
	s.mu.Lock()
	return sync.OnceFunc(s.mu.Unlock)
}

// redirect makes new connections lead to another server.
func (s *stall) redirect(target string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.target = target
}

// through makes a daemon connect through a stall of its own.
func (r *rig) through() (*stall, func(*Options)) {
	r.t.Helper()
	at, err := url.Parse(r.db.URL)
	if err != nil {
		r.t.Fatal(err)
	}
	s := newStall(r.t, at.Host)
	at.Host = s.listener.Addr().String()
	load := func() (*config.Config, hcl.Diagnostics) { return r.loadFrom(at.String()) }
	return s, func(o *Options) {
		cfg, diagnostics := load()
		if diagnostics.HasErrors() {
			r.t.Fatal(diagnostics)
		}
		o.Config, o.Load = cfg, load
	}
}
