package sender

import (
	"context"
	"net"
	"net/http"
	"slices"
)

// rememberedMost is how many hosts are known to speak HTTP/2 at a time: templated URLs may name new ones for ever.
const rememberedMost = 1000

// speaksHTTP2 is http1's answer to a request whose host has chosen HTTP/2, and the connection on which it did.
type speaksHTTP2 struct {
	address string
	conn    net.Conn
}

func (*speaksHTTP2) Error() string { return "the endpoint speaks HTTP/2" }

// roundTrip2 leaves a host that speaks HTTP/1.1 now to http1 from the next request on.
//
// net/http sends what it takes for harmless twice when a kept connection closes on it, even after it was written. Such a request
// gets a body, if an empty one, but no GetBody: so it cannot, and the policy decides.
func (p *pool) roundTrip2(req *http.Request, c *call) (*http.Response, error) {
	if c != nil {
		req = req.WithContext(c.limited())
		if req.Body == nil && replayed(req.Method, c.header) {
			req.Body, _ = c.reopen()
		}
	}
	resp, err := p.http2.RoundTrip(req)
	if resp != nil && resp.ProtoMajor == 1 {
		p.forget(req.URL.Host)
	}
	return resp, err
}

func (p *pool) knownToSpeak2(host string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.speaks2[host]
	return ok
}

func (p *pool) forget(host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.speaks2, host)
}

// meet remembers what the host has chosen, and has the connection ready for when http2 asks for one. When there are too many hosts
// all are forgotten: to find out anew costs each a handshake.
func (p *pool) meet(host string, chosen *speaksHTTP2) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.speaks2) >= rememberedMost {
		clear(p.speaks2)
	}
	p.speaks2[host] = struct{}{}
	p.met = append(p.met, chosen)
}

// part closes the connection if http2 didn't ask for it, having one already.
func (p *pool) part(chosen *speaksHTTP2) {
	if p.take(func(m *speaksHTTP2) bool { return m == chosen }) != nil {
		_ = chosen.conn.Close()
	}
}

// take takes one out of met, if there is such a one.
func (p *pool) take(is func(*speaksHTTP2) bool) *speaksHTTP2 {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.met, is)
	if i < 0 {
		return nil
	}
	found := p.met[i]
	p.met = slices.Delete(p.met, i, i+1)
	return found
}

// dialMet is how http2 connects.
func (p *pool) dialMet(ctx context.Context, network, address string) (net.Conn, error) {
	if met := p.take(func(m *speaksHTTP2) bool { return m.address == address }); met != nil {
		return met.conn, nil
	}
	name, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout) // net/http connects for whoever asks next, beyond the request's own time
	defer cancel()
	return p.dialTLS(ctx, network, name, address)
}
