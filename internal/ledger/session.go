package ledger

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// readLimit bounds the wait for a server's answer: more than statement_timeout, after which a server that still is
// there has answered.
const readLimit = 45 * time.Second

// impatient makes connections on which a server that has gone without a word is noticed: its host may still
// acknowledge what we send, so that neither TCP nor its keepalive does.
func impatient(dial pgconn.DialFunc) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &impatientConn{Conn: conn}, nil
	}
}

type impatientConn struct {
	net.Conn
	mu sync.Mutex
	// told: pgx has set a deadline, to end a read whose context has ended; it goes before ours.
	told bool
}

// Read gives up after readLimit.
func (c *impatientConn) Read(p []byte) (int, error) {
	if err := c.limit(); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *impatientConn) limit() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told {
		return nil
	}
	return c.Conn.SetReadDeadline(time.Now().Add(readLimit))
}

// SetDeadline is how pgx ends what runs on the connection, and with the zero time takes that back.
func (c *impatientConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = !t.IsZero()
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline is SetDeadline for reads.
func (c *impatientConn) SetReadDeadline(t time.Time) error {
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
