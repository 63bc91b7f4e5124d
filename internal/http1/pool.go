package http1

import (
	"context"
	"slices"
	"time"
)

// host is one that has requests or idle connections.
type host struct {
	Host
	slots chan struct{} // as many as there may be connections; one is taken for as long as a connection is in use
	users int           // requests and idle connections; under the transport's lock
}

// get is a connection for one request: an idle one if there is one that works.
func (t *Transport) get(ctx context.Context, to Host) (*conn, error) {
	h := t.enter(to)
	if err := t.take(ctx, h); err != nil {
		t.leave(h)
		return nil, err
	}
	for c := t.pop(h); c != nil; c = t.pop(h) {
		if c.alive() {
			return c, nil
		}
		c.cut()
	}
	ctx, cancel := t.ending(ctx)
	defer cancel()
	opened, err := t.Connect(ctx, to)
	if err != nil {
		<-h.slots
		t.leave(h)
		return nil, err
	}
	return newConn(opened, t, h), nil
}

// put gives a connection back, whether it can be used again or not.
func (t *Transport) put(c *conn, usable bool) {
	h := c.host
	if !usable {
		c.cut()
		t.leave(h)
	} else if surplus := t.keep(c); surplus != nil {
		surplus.cut()
	}
	<-h.slots // behind it, so that who waits finds the connection
}

// enter counts a request to a host.
func (t *Transport) enter(to Host) *host {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.hosts[to]
	if h == nil {
		if t.hosts == nil {
			t.hosts = map[Host]*host{}
		}
		h = &host{Host: to, slots: make(chan struct{}, t.MaxConns)}
		t.hosts[to] = h
	}
	h.users++
	return h
}

// leave ends what enter began.
func (t *Transport) leave(h *host) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left(h)
}

// left forgets a host that nothing is left of: URLs may name new ones for ever. The lock is held.
func (t *Transport) left(h *host) {
	if h.users--; h.users == 0 {
		delete(t.hosts, h.Host)
	}
}

// take waits for a slot. Nothing is sent for a context that has ended.
func (t *Transport) take(ctx context.Context, h *host) error {
	select {
	case h.slots <- struct{}{}:
	default:
		limited, cancel := t.ending(ctx)
		defer cancel()
		select {
		case h.slots <- struct{}{}:
		case <-limited.Done():
			return context.Cause(limited)
		}
	}
	if ctx.Err() != nil {
		<-h.slots
		return context.Cause(ctx)
	}
	return nil
}

// pop takes the connection of the host that was used last, if one is idle: what isn't needed becomes old.
func (t *Transport) pop(h *host) *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, c := range slices.Backward(t.idle) {
		if c.host == h {
			t.idle = slices.Delete(t.idle, i, i+1)
			t.left(h) // who takes it is counted itself
			return c
		}
	}
	return nil
}

// keep makes a connection an idle one, which counts in place of its request. What it returns is one too many.
func (t *Transport) keep(c *conn) (surplus *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		t.left(c.host)
		return c
	}
	c.idleSince = time.Now()
	t.idle = append(t.idle, c)
	if t.sweep == nil {
		t.sweep = time.AfterFunc(t.IdleTimeout, t.closeOld)
	}
	if len(t.idle) <= t.MaxConns {
		return nil
	}
	return t.remove(1)[0]
}

// remove takes the n oldest out of what is idle. The lock is held.
func (t *Transport) remove(n int) []*conn {
	removed := slices.Clone(t.idle[:n])
	t.idle = slices.Delete(t.idle, 0, n)
	for _, c := range removed {
		t.left(c.host)
	}
	return removed
}

// closeOld closes what has been idle for too long, and comes again when there is something else that may be.
func (t *Transport) closeOld() {
	for _, c := range t.removeOld(time.Now()) {
		_ = c.Close()
	}
}

func (t *Transport) removeOld(now time.Time) []*conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for n < len(t.idle) && now.Sub(t.idle[n].idleSince) >= t.IdleTimeout {
		n++
	}
	old := t.remove(n)
	if t.sweep = nil; len(t.idle) > 0 {
		t.sweep = time.AfterFunc(t.IdleTimeout-now.Sub(t.idle[0].idleSince), t.closeOld)
	}
	return old
}

// Close closes the idle connections, and those that are in use after their requests.
func (t *Transport) Close() {
	for _, c := range t.removeAll() {
		_ = c.Close()
	}
}

func (t *Transport) removeAll() []*conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.sweep != nil {
		t.sweep.Stop()
	}
	return t.remove(len(t.idle))
}
