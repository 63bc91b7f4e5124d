// Package http1 is a client of HTTP/1.1 for many small requests to few hosts. Whoever asks writes the request and reads the answer
// itself: a connection has no goroutine, and no buffer while it is idle, where net/http has two of each. It makes and reads messages by
// net/http, and adds nothing to what was asked for: no proxy, no compression, no redirect, no second try.
package http1

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/idna"
)

// Host is where a connection goes to.
type Host struct {
	TLS     bool
	Name    string // in ASCII, as certificates have it
	Address string // Name and port
}

// HostOf is where a request of the URL goes to.
func HostOf(u *url.URL) (Host, error) {
	h := Host{Name: u.Hostname()}
	port := u.Port()
	switch u.Scheme {
	case "http":
		port = cmp.Or(port, "80")
	case "https":
		h.TLS, port = true, cmp.Or(port, "443")
	default:
		return Host{}, fmt.Errorf("http1: scheme %q is neither http nor https", u.Scheme)
	}
	if h.Name == "" {
		return Host{}, fmt.Errorf("http1: the URL has no host")
	}
	if !ascii(h.Name) {
		if name, err := idna.Lookup.ToASCII(h.Name); err == nil {
			h.Name = name
		}
	}
	h.Address = net.JoinHostPort(h.Name, port)
	return h, nil
}

// Transport is a [http.RoundTripper]. Its exported fields are set before the first request. It is safe for concurrent use.
//
// A request ends when its context does, and the error is the context's cause then. It is sent at most once; an idle connection that
// the server has closed, or has said something on, isn't used. Trailers and 1xx answers are passed over, 101 closes the connection.
type Transport struct {
	// Connect opens a connection, TLS included. Its errors are returned as they are.
	Connect func(ctx context.Context, h Host) (net.Conn, error)
	// Connected is told which connection a request gets, before anything is written to it. nil: nobody is.
	Connected func(ctx context.Context, c net.Conn)
	// Deadline is when a request is to end with [context.DeadlineExceeded] although its context goes on, which costs less than a
	// context that ends by itself. Zero: it is as its context says. nil: each is.
	Deadline func(ctx context.Context) time.Time
	// MaxConns bounds the connections to a host; a request waits for one to be free. Of all hosts together as many may be idle.
	MaxConns int
	// IdleTimeout is how long a connection is kept without a request.
	IdleTimeout time.Duration
	// MaxHeader is how many bytes of response headers are read, those of informational answers included.
	MaxHeader int64

	last atomic.Pointer[known]

	mu     sync.Mutex
	hosts  map[Host]*host
	idle   []*conn // of all hosts, in the order in which they became so
	sweep  *time.Timer
	closed bool
}

// known is the host of the URL that was asked for last: most clients have but one.
type known struct {
	scheme, host string
	to           Host
}

// RoundTrip sends a request and reads the headers of its answer. The body of the answer must be read to its end, or be closed, by one
// goroutine. The request's is read from memory: what waits in its Read isn't interrupted. Method and headers are sent unchecked.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	c, err := t.connFor(req)
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	if t.Connected != nil {
		t.Connected(req.Context(), c.Conn)
	}
	return c.exchange(req)
}

func (t *Transport) connFor(req *http.Request) (*conn, error) {
	to, err := t.hostOf(req.URL)
	if err != nil {
		return nil, err
	}
	return t.get(req.Context(), to)
}

func (t *Transport) hostOf(u *url.URL) (Host, error) {
	if k := t.last.Load(); k != nil && k.scheme == u.Scheme && k.host == u.Host {
		return k.to, nil
	}
	to, err := HostOf(u)
	if err == nil {
		t.last.Store(&known{u.Scheme, u.Host, to})
	}
	return to, err
}

func (t *Transport) deadline(ctx context.Context) time.Time {
	if t.Deadline == nil {
		return time.Time{}
	}
	return t.Deadline(ctx)
}

// ending is a context that ends at the request's deadline, too.
func (t *Transport) ending(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline := t.deadline(ctx); !deadline.IsZero() {
		return context.WithDeadline(ctx, deadline)
	}
	return ctx, func() {}
}

// wantsClose reports whether the request says that the connection is to be closed behind it.
func wantsClose(req *http.Request) bool {
	return req.Close || httpguts.HeaderValuesContainsToken(req.Header["Connection"], "close")
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
