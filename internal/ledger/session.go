package ledger

import (
	"context"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// readLimit bounds the wait for a server's answer: more than statement_timeout, after which a server that still is
// there has answered.
const readLimit = 45 * time.Second

// doubtLimit is readLimit where another connection was lost without a word. The server answers most of what we ask at once, and
// who is asked anew must not wait for it for long: it may be that which keeps a daemon from leading.
const doubtLimit = 3 * time.Second

// lines are the connections that are open. They notice a server that has gone without a word: its host may still
// acknowledge what we send, so that neither TCP nor its keepalive does.
type lines struct {
	mu   sync.Mutex
	open map[*line]struct{}
}

// dialed makes lines of what a function connects.
func (l *lines) dialed(dial pgconn.DialFunc) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		made := &line{Conn: conn, all: l, limit: readLimit}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.open == nil {
			l.open = map[*line]struct{}{}
		}
		l.open[made] = struct{}{}
		return made, nil
	}
}

// doubt shortens the wait for answers on all lines that are open now.
func (l *lines) doubt() {
	l.mu.Lock()
	open := slices.Collect(maps.Keys(l.open))
	l.mu.Unlock()
	for _, line := range open {
		line.doubt()
	}
}

// line is a connection that gives up.
type line struct {
	net.Conn
	all   *lines
	mu    sync.Mutex
	limit time.Duration // of a read
	// told: pgx has set a deadline, to end a read whose context has ended; it goes before ours.
	told bool
}

// Read gives up after the limit.
func (c *line) Read(p []byte) (int, error) {
	if err := c.await(); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *line) await() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told {
		return nil
	}
	return c.Conn.SetReadDeadline(time.Now().Add(c.limit))
}

// doubt limits the read that waits, too.
func (c *line) doubt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = doubtLimit
	if !c.told {
		_ = c.Conn.SetReadDeadline(time.Now().Add(c.limit)) // one that is closed waits for nothing
	}
}

// Close forgets the line.
func (c *line) Close() error {
	c.all.mu.Lock()
	delete(c.all.open, c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}

// SetDeadline is how pgx ends what runs on the connection, and with the zero time takes that back.
func (c *line) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = !t.IsZero()
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline is SetDeadline for reads.
func (c *line) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = !t.IsZero()
	return c.Conn.SetReadDeadline(t)
}

// stateReadOnly is the SQLSTATE of a write in a read-only transaction.
const stateReadOnly = "25006"

// renewal replaces all sessions once one of them is told that it may not write: they keep the default that they were
// opened with, also after it was changed, or are connected to a server that is no longer the primary.
type renewal struct{ pool atomic.Pointer[pgxpool.Pool] }

// watch looks at whatever statement fails, before the handler that was there.
func (r *renewal) watch(config *pgconn.Config) {
	before := config.OnPgError
	config.OnPgError = func(conn *pgconn.PgConn, err *pgconn.PgError) (keep bool) {
		if err.Code != stateReadOnly {
			return before(conn, err)
		}
		if pool := r.pool.Load(); pool != nil {
			pool.Reset()
		}
		return false
	}
}
