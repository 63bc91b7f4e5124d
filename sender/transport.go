package sender

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/walpost/walpost/internal/http1"
)

// MaxResponseHeader is how many bytes of response headers are read; more is a protocol error.
const MaxResponseHeader = 64 << 10

const (
	idleTimeout    = 30 * time.Second // below the keep-alive of common servers, and few idle connections to keep
	pingAfter      = 15 * time.Second // finds dead HTTP/2 connections, which would swallow every request
	pingTimeout    = 5 * time.Second
	connBufferSize = 4 << 10
	copyBufferSize = 32 << 10
)

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// wiring is what tests replace below an endpoint.
type wiring struct {
	dial     dialFunc // default: guarded TCP
	resolver *net.Resolver
	rootCAs  *x509.CertPool
}

// pool is an endpoint's own connections, as its client sees them. HTTP/1.1 goes over [http1], and what speaks HTTP/2 by net/http.
// It has no CloseIdleConnections, which retryablehttp would call after every failure, and it hides Location, so that the client has
// nothing to follow, to parse or to quote.
//
// It uses no proxy, whatever the environment says: the guard could not see the address that a proxy connects to. Nothing is
// decompressed, so that the cap on what is read of a body is one on memory too.
type pool struct {
	dial    dialFunc
	tls     *tls.Config
	timeout time.Duration // of connecting for nobody in particular
	http1   *http1.Transport
	http2   *http.Transport

	mu      sync.Mutex
	speaks2 map[string]struct{} // the hosts, as URLs name them, that chose HTTP/2
	met     []*speaksHTTP2      // what is on its way from http1, which opened it, to http2
}

func newPool(o Options, w wiring) *pool {
	dial := w.dial
	if dial == nil {
		dial = guardedDial(o.Guard, w.resolver)
	}
	p := &pool{
		dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &wire{Conn: conn}, nil
		},
		tls: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			RootCAs:            w.rootCAs,
			NextProtos:         []string{"h2", "http/1.1"},
			ClientSessionCache: tls.NewLRUClientSessionCache(o.Concurrency),
		},
		timeout: o.Timeout,
		speaks2: map[string]struct{}{},
	}
	p.http1 = &http1.Transport{
		Connect:   p.connect,
		Connected: connected,
		Deadline:  deadlineOf,
		MaxConns:  o.Concurrency, IdleTimeout: idleTimeout, MaxHeader: MaxResponseHeader,
	}
	p.http2 = &http.Transport{
		DialTLSContext:         p.dialMet,
		DisableCompression:     true,
		MaxConnsPerHost:        o.Concurrency,
		MaxIdleConnsPerHost:    o.Concurrency,
		MaxIdleConns:           o.Concurrency,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: MaxResponseHeader,
		ReadBufferSize:         connBufferSize,
		WriteBufferSize:        connBufferSize,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
	return p
}

// followNothing is every client's CheckRedirect.
func followNothing(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// RoundTrip sends a call's request with the call's headers, and others as they are.
func (p *pool) RoundTrip(req *http.Request) (*http.Response, error) {
	c := callOf(req.Context())
	if c != nil {
		if own := req.Header["Authorization"]; own != nil && c.header["Authorization"] == nil {
			c.header["Authorization"] = own // http.Client's, of the user in the URL
		}
		req.Header = c.header
	}
	if err := validHeader(req.Header); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	resp, err := p.roundTrip(req, c)
	if resp != nil {
		resp.Header.Del("Location")
	}
	return resp, err
}

// roundTrip asks over HTTP/1.1 first. That a request's body is closed then doesn't matter: it is memory.
func (p *pool) roundTrip(req *http.Request, c *call) (*http.Response, error) {
	if req.URL.Scheme == "https" && p.knownToSpeak2(req.URL.Host) {
		return p.roundTrip2(req, c)
	}
	resp, err := p.http1.RoundTrip(req)
	if err == nil {
		return resp, nil
	}
	var chosen *speaksHTTP2
	if !errors.As(err, &chosen) {
		return nil, err
	}
	p.meet(req.URL.Host, chosen)
	defer p.part(chosen)
	return p.roundTrip2(req, c)
}

// connected tells a call.
func connected(ctx context.Context, conn net.Conn) {
	if c := callOf(ctx); c != nil {
		c.got(conn)
	}
}

// deadlineOf is a call's; other contexts end by themselves.
func deadlineOf(ctx context.Context) time.Time {
	if c := callOf(ctx); c != nil {
		return c.deadline
	}
	return time.Time{}
}

// connect opens a connection for http1.
func (p *pool) connect(ctx context.Context, h http1.Host) (net.Conn, error) {
	if !h.TLS {
		return p.dial(ctx, "tcp", h.Address)
	}
	conn, err := p.dialTLS(ctx, "tcp", h.Name, h.Address)
	if err != nil || conn.ConnectionState().NegotiatedProtocol != "h2" {
		return conn, err
	}
	return nil, &speaksHTTP2{h.Address, conn}
}

func (p *pool) dialTLS(ctx context.Context, network, name, address string) (*tls.Conn, error) {
	under, err := p.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	config := p.tls.Clone()
	config.ServerName = name
	conn := tls.Client(under, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = under.Close()
		var record tls.RecordHeaderError
		if errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/" {
			return nil, http.ErrSchemeMismatch
		}
		return nil, err
	}
	return conn, nil
}

// close closes what is idle, and the rest after its requests.
func (p *pool) close() {
	p.http1.Close()
	p.http2.CloseIdleConnections()
}

// validHeader says what HTTP forbids, without the value: it may be a secret.
func validHeader(header http.Header) error {
	for name, values := range header {
		if !httpguts.ValidHeaderFieldName(name) {
			return &requestError{ClassInvalidRequest, fmt.Sprintf("invalid header field name %q", name)}
		}
		if !slices.ContainsFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) }) {
			continue
		}
		return &requestError{ClassInvalidRequest, fmt.Sprintf("invalid header field value for %q", name)}
	}
	return nil
}

// guardedDial asks the guard for each address on its way to connect(2). A host of which one address is denied and
// another fails is unreachable, not denied: its DNS answer may mix both.
func guardedDial(guard *Guard, resolver *net.Resolver) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		var passed atomic.Bool // addresses of both families are dialled at the same time
		dialer := net.Dialer{
			Resolver: resolver,
			Control: func(_, address string, _ syscall.RawConn) error {
				resolved, err := netip.ParseAddrPort(address)
				if err != nil {
					return &EgressError{}
				}
				if err := guard.Check(resolved.Addr()); err != nil {
					return err
				}
				passed.Store(true)
				return nil
			},
		}
		conn, err := dialer.DialContext(ctx, network, address)
		var denied *EgressError
		if err != nil && passed.Load() && errors.As(err, &denied) {
			return nil, errUnreachable
		}
		return conn, err
	}
}

// wire is a connection that counts what is written to it: whether the request was, decides if it may be sent again.
type wire struct {
	net.Conn
	written atomic.Int64
}

func (w *wire) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	w.written.Add(int64(n))
	return n, err
}

var copyBuffers = sync.Pool{New: func() any { return new([copyBufferSize]byte) }}

// ReadFrom is how net/http writes a body that its write buffer has no room for. Without it each one costs a buffer.
func (w *wire) ReadFrom(r io.Reader) (int64, error) {
	buf := copyBuffers.Get().(*[copyBufferSize]byte)
	defer copyBuffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{w}, r, buf[:])
}

// SyscallConn gives what an idle connection is looked at with.
func (w *wire) SyscallConn() (syscall.RawConn, error) {
	if under, ok := w.Conn.(syscall.Conn); ok {
		return under.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// wireOf finds the counting connection below TLS.
func wireOf(conn net.Conn) *wire {
	if over, ok := conn.(*tls.Conn); ok {
		conn = over.NetConn()
	}
	w, _ := conn.(*wire)
	return w
}
