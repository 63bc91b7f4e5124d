//go:build unix

package faults

import (
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// proxy is the network between walpost and Postgres: it forwards TCP connections, and can be slow, frozen or cut.
type proxy struct {
	listener net.Listener
	target   string
	wg       sync.WaitGroup

	mu      sync.Mutex
	links   map[*link]struct{}
	latency time.Duration
	pieces  int           // size of what is written at once; 0: as it came
	thawed  chan struct{} // closed when nothing is frozen
	closed  bool
}

// link is one connection through the proxy.
type link struct {
	client, server *net.TCPConn
	lost           atomic.Bool // no byte passes any more
}

func newProxy(target string) (*proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: listener, target: target, links: map[*link]struct{}{}, thawed: make(chan struct{})}
	close(p.thawed)
	p.wg.Go(p.accept)
	return p, nil
}

// address is where walpost connects to.
func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(client.(*net.TCPConn)) })
	}
}

// serve forwards one connection until either side ends it.
func (p *proxy) serve(client *net.TCPConn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil { // Postgres is down: so are we
		reset(client)
		return
	}
	l := &link{client: client, server: server.(*net.TCPConn)}
	if !p.add(l) {
		l.reset()
		return
	}
	defer p.remove(l)
	var both sync.WaitGroup
	both.Go(func() { p.forward(l, l.server, l.client) })
	both.Go(func() { p.forward(l, l.client, l.server) })
	both.Wait()
}

// forward copies one direction. Bytes wait while the network is slow or frozen.
func (p *proxy) forward(l *link, to, from *net.TCPConn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			p.delay()
			if l.lost.Load() {
				continue
			}
			if err := p.write(to, buffer[:n]); err != nil {
				_ = from.CloseRead()
				return
			}
		}
		if err != nil {
			p.delay()
			if l.lost.Load() {
				return
			}
			if err == io.EOF { //nolint:errorlint // Read gives io.EOF itself
				_ = to.CloseWrite()
			} else {
				reset(to)
			}
			return
		}
	}
}

// write passes bytes on, in pieces while they are to trickle.
func (p *proxy) write(to *net.TCPConn, b []byte) error {
	p.mu.Lock()
	size := p.pieces
	p.mu.Unlock()
	if size == 0 {
		size = len(b)
	}
	for piece := range slices.Chunk(b, size) {
		if _, err := to.Write(piece); err != nil {
			return err
		}
	}
	return nil
}

// trickle makes the network pass a few bytes at a time; 0 is the end of it.
func (p *proxy) trickle(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pieces = size
}

// delay waits as long as the network takes now.
func (p *proxy) delay() {
	p.mu.Lock()
	latency, thawed := p.latency, p.thawed
	p.mu.Unlock()
	if latency > 0 {
		<-time.After(latency)
	}
	<-thawed
}

func (p *proxy) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.links[l] = struct{}{}
	return true
}

func (p *proxy) remove(l *link) {
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
	_ = l.client.Close() // they may be closed already
	_ = l.server.Close()
}

// slow makes each packet take d longer.
func (p *proxy) slow(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency = d
}

// freeze holds all bytes back, in both directions and the ends of connections too, as a network does that drops
// every packet: neither side is told anything. thaw ends it.
func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.thawed:
		p.thawed = make(chan struct{})
	default:
	}
}

// thaw lets what was held back go on.
func (p *proxy) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.thawed:
	default:
		close(p.thawed)
	}
}

// cut ends all connections. How is told each of the two ends.
func (p *proxy) cut(how func(*net.TCPConn)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		how(l.client)
		how(l.server)
	}
}

// forget loses all connections as a firewall does that drops their state: the server's halves end, walpost's stay open,
// take every byte, and are never answered. New connections are good.
func (p *proxy) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.lost.Store(true)
		reset(l.server)
	}
}

// closeServers ends the server's halves of all connections; walpost's stay open and silent while the network is frozen.
func (p *proxy) closeServers() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		reset(l.server)
	}
}

func (l *link) reset() {
	reset(l.client)
	reset(l.server)
}

// reset closes a connection with RST.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0) // it may be closed already
	_ = c.Close()
}

// end closes a connection in order, as far as one side can.
func end(c *net.TCPConn) { _ = c.CloseWrite() }

// close ends the proxy and everything that goes through it.
func (p *proxy) close() {
	_ = p.listener.Close() // nothing to lose
	p.thaw()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cut(reset)
	p.wg.Wait()
}
