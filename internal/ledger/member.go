package ledger

import (
	"context"
	_ "embed" // statements
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var (
	//go:embed sql/join.sql
	joinSQL string
	//go:embed sql/lead.sql
	leadSQL string
	//go:embed sql/members.sql
	membersSQL string
	//go:embed sql/oust.sql
	oustSQL string
	//go:embed sql/clear_slot.sql
	clearSlotSQL string
)

// Membership says who joins the daemons of a slot, and how.
type Membership struct {
	// ConnString must lead to the server itself: a pooler that lends sessions by the transaction would lend the locks too.
	ConnString string
	Slot       string
	Title      Title
	// Lease is how long a leader may be silent, by the server's clock, before Oust ends it.
	Lease time.Duration
}

// Member is a daemon among those that share a slot. It is one session, which ends with the daemon's process or its
// connection, holds a shared advisory lock that says that the daemon is there, and the exclusive one if it leads. A
// leader's lease is the time since that session was last heard of, so neither being there nor leading writes anything.
type Member struct {
	options Membership
	// mu guards conn, on which one statement runs at a time, and leads.
	mu    sync.Mutex
	conn  *pgx.Conn
	leads bool
}

// memberSettings make the server notice soon that the other end of the connection is gone. They follow the login, of which
// a pooler that lends whole sessions may not know them as parameters.
const memberSettings = `set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 2; set tcp_keepalives_count = 3;
	set tcp_user_timeout = '10s'; set lock_timeout = '5s'; set statement_timeout = '5s'`

// Join connects. The context bounds that alone.
func Join(ctx context.Context, o Membership) (*Member, error) {
	config, err := pgx.ParseConfig(o.ConnString)
	if err != nil {
		return nil, fmt.Errorf("join the daemons of slot %q: %w", o.Slot, err)
	}
	config.RuntimeParams["application_name"] = o.Title.String()
	if config.ValidateConnect == nil { // a lock on a standby says nothing
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("join the daemons of slot %q: %w", o.Slot, err)
	}
	_, err = conn.Exec(ctx, memberSettings)
	if err == nil {
		err = endWithClient(ctx, conn.PgConn())
	}
	if err == nil {
		_, err = conn.Exec(ctx, joinSQL, memberKey(o.Slot))
	}
	if err != nil {
		closeMember(conn)
		return nil, fmt.Errorf("join the daemons of slot %q: %w", o.Slot, err)
	}
	return &Member{options: o, conn: conn}, nil
}

// Beat lets the server hear of us, and reports whether we lead: we do from when nobody else did until the session ends.
// After an error it has ended, or is of no use any more.
func (m *Member) Beat(ctx context.Context) (leads bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leads {
		if err := m.conn.Ping(ctx); err != nil {
			return false, fmt.Errorf("keep the lead of slot %q: %w", m.options.Slot, err)
		}
		return true, nil
	}
	if err := m.conn.QueryRow(ctx, leadSQL, leaderKey(m.options.Slot)).Scan(&m.leads); err != nil {
		return false, fmt.Errorf("ask for the lead of slot %q: %w", m.options.Slot, err)
	}
	return m.leads, nil
}

// Leader gives who leads, or nil.
func (m *Member) Leader(ctx context.Context) (*Peer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	peers, err := readPeers(ctx, m.conn, m.options.Slot)
	if err != nil || len(peers) == 0 || !peers[0].Leads {
		return nil, err
	}
	return &peers[0], nil
}

// Expired reports whether the leader has been silent for longer than its lease. It never is where its role isn't ours, or
// the server doesn't track activities: then only the end of its connections ends it.
func (m *Member) Expired(leader *Peer) bool { return leader.idle && leader.Silent() > m.options.Lease }

// Oust ends the sessions of a leader whose lease has expired, also that which reads the slot, unless it was heard of
// since peer was read, and gives their number. Those that are not of our role stay.
func (m *Member) Oust(ctx context.Context, leader *Peer) (ended int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	err = m.conn.QueryRow(ctx, oustSQL, leader.pid, leader.Seen, leader.application, m.options.Slot).Scan(&ended)
	if err != nil {
		return 0, fmt.Errorf("end the sessions of daemon %s: %w", leader.Name, err)
	}
	return ended, nil
}

var errNotLeading = errors.New("only the leader may clear the slot")

// ClearSlot ends the session of a walpost that still reads the slot although we lead and don't read it yet.
func (m *Member) ClearSlot(ctx context.Context) (ended int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.leads {
		return 0, errNotLeading
	}
	if err := m.conn.QueryRow(ctx, clearSlotSQL, m.options.Slot, product).Scan(&ended); err != nil {
		return 0, fmt.Errorf("clear slot %q: %w", m.options.Slot, err)
	}
	return ended, nil
}

// Leave ends the session, and the lead with it, at once.
func (m *Member) Leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leads = false
	closeMember(m.conn)
}

// leaveTimeout bounds the goodbye; the server notices the end of the connection all the same.
const leaveTimeout = time.Second

func closeMember(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	_ = conn.Close(ctx) // it may be broken
}

// The keys of the advisory locks, of the database that the slot belongs to.
func memberKey(slot string) int64 { return lockKey("walpost member " + slot) }
func leaderKey(slot string) int64 { return lockKey("walpost leader " + slot) }

// lockKey is FNV-1a.
func lockKey(text string) int64 {
	hash := uint64(14695981039346656037)
	for _, b := range []byte(text) {
		hash = (hash ^ uint64(b)) * 1099511628211
	}
	return int64(hash)
}
