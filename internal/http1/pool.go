package http1

import (
	"context"
	"sync"
	"time"
)

// pool has the connections to one host.
type pool struct {
	transport *Transport
	host      Host
	slots     chan struct{} // as many as there may be connections; one is taken for as long as a connection is in use

	mu     sync.Mutex
	idle   []*conn // the one that was used last is last, and the next to be used: what isn't needed becomes old
	sweep  *time.Timer
	closed bool
}

func newPool(t *Transport, h Host) *pool {
	return &pool{transport: t, host: h, slots: make(chan struct{}, t.MaxConns)}
}

// get is a connection for one request: an idle one if there is one that works.
func (p *pool) get(ctx context.Context) (*conn, error) {
	if err := p.take(ctx); err != nil {
		return nil, err
	}
	for c := p.pop(); c != nil; c = p.pop() {
		if c.alive() {
			return c, nil
		}
		_ = c.Close()
	}
	ctx, cancel := p.transport.ending(ctx)
	defer cancel()
	opened, err := p.transport.Connect(ctx, p.host)
	if err != nil {
		<-p.slots
		return nil, err
	}
	return newConn(opened, p), nil
}

// take waits for a slot.
func (p *pool) take(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	ctx, cancel := p.transport.ending(ctx)
	defer cancel()
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *pool) pop() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return nil
	}
	c := p.idle[last]
	p.idle[last] = nil
	p.idle = p.idle[:last]
	return c
}

// put gives a connection back, whether it can be used again or not.
func (p *pool) put(c *conn, usable bool) {
	if !usable || !p.keep(c) {
		_ = c.Close()
	}
	<-p.slots // behind it, so that who waits finds the connection
}

func (p *pool) keep(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	c.idleSince = time.Now()
	p.idle = append(p.idle, c)
	if p.sweep == nil {
		p.sweep = time.AfterFunc(p.transport.IdleTimeout, p.closeOld)
	}
	return true
}

// closeOld closes what has been idle for too long, and comes again when there is something else that may be.
func (p *pool) closeOld() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, n := time.Now(), 0
	for n < len(p.idle) && now.Sub(p.idle[n].idleSince) >= p.transport.IdleTimeout {
		_ = p.idle[n].Close()
		n++
	}
	p.idle = append(p.idle[:0:0], p.idle[n:]...) // a pool that shrinks gives its memory back
	if p.sweep = nil; len(p.idle) > 0 && !p.closed {
		p.sweep = time.AfterFunc(p.transport.IdleTimeout-now.Sub(p.idle[0].idleSince), p.closeOld)
	}
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.idle {
		_ = c.Close()
	}
	p.idle = nil
	if p.sweep != nil {
		p.sweep.Stop()
	}
}
