package sender

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
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

// newTransport makes an endpoint's own connection pool. It uses no proxy, whatever the environment says: the guard could
// not see the address that a proxy connects to. Nothing is decompressed, so that the cap on what is read of a body
// is one on memory too.
func newTransport(o Options, w wiring) *http.Transport {
	dial := w.dial
	if dial == nil {
		dial = guardedDial(o.Guard, w.resolver)
	}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &wire{Conn: conn}, nil
		},
		TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			RootCAs:            w.rootCAs,
			ClientSessionCache: tls.NewLRUClientSessionCache(o.Concurrency),
		},
		TLSHandshakeTimeout:    o.Timeout,
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
}

// pool is the transport as the client sees it. It has no CloseIdleConnections, which retryablehttp would call after
// every failure, and it hides Location, so that the client has nothing to follow, to parse or to quote.
type pool struct {
	transport *http.Transport
}

// followNothing is every client's CheckRedirect.
func followNothing(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func (p pool) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := p.transport.RoundTrip(req)
	if resp != nil {
		resp.Header.Del("Location")
	}
	return resp, err
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

// wireOf finds the counting connection below TLS.
func wireOf(conn net.Conn) *wire {
	if over, ok := conn.(*tls.Conn); ok {
		conn = over.NetConn()
	}
	w, _ := conn.(*wire)
	return w
}
