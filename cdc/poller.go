package cdc

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"

	"github.com/walpost/walpost/internal/failpoint"
)

// Poller gives the committed rows of one table without logical replication. Each look takes a snapshot and reads the rows
// whose transactions it sees and the one before didn't, through an index on the transactions' ids: what is committed late
// under a low id is found, what is rolled back isn't, and the cost is that of what is new. ADR 9 says why this is exact.
//
// Rows come in the order of (transaction id, row id) within a look, which is not commit order. It does what a Source does
// otherwise; its Position is a snapshot.
type Poller struct {
	*feed
	opts PollOptions

	// Owned by Run; they outlive a connection.
	established bool
	identity    Identity
	// kept is the newest snapshot that a crash of the server can't take back and of which the tracker has everything; it
	// has meaning while the server's timeline stays. nil: none.
	kept      *snapshot
	unsettled []settling
	ordinals  ordinals
	batch     Batch // read, and not yet handed over
	bytes     int   // of its values
}

// settling is a place of the reading that waits for the commits before it to be on the server's disk: a crash could undo
// them, and give their ids to others, which a snapshot that sees them would then hide.
type settling struct {
	txn      *txn // nil: no rows
	position LSN  // above those commits
	seen     snapshot
}

// errPolledElsewhere is the polling's ErrSlotActive.
var errPolledElsewhere error = polledElsewhere{}

type polledElsewhere struct{}

func (polledElsewhere) Error() string        { return "another walpost polls the table" }
func (polledElsewhere) Is(target error) bool { return target == ErrSlotActive }

// NewPoller checks the options and makes a Poller. Nothing is connected before Run. Its error is a SetupError.
func NewPoller(o PollOptions) (*Poller, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	if _, err := connectionConfig(o.Options, false); err != nil {
		return nil, err
	}
	return &Poller{feed: newFeed(o.Buffer), opts: o}, nil
}

// Run connects, polls, and connects again after every failure, with a capped and jittered wait. It returns nil when ctx
// ends, and otherwise only an error that isn't Retryable. It is called once.
func (p *Poller) Run(ctx context.Context) error {
	defer close(p.batches)
	return p.reconnect(ctx, &p.opts.Options, p.session, sleep)
}

// polling is one connection.
type polling struct {
	*Poller
	conn     *pgconn.PgConn
	backend  int // that served us first
	relation *Relation
	id       int // place of the ids in the relation
	added    int64
	since    snapshot // all that it sees was handed over
	repeated bool     // what comes first may have been dealt with before
	older    bool     // the column says too little of what comes first
	rows     int      // most of a page
	version  int      // of the server

	notified  bool // since the latest look
	listening bool
	marked    time.Time // the latest mark
}

// session is one connection from login to its end. Its error is classified, and never nil unless ctx ended.
func (p *Poller) session(ctx context.Context, outage *outage) error {
	s := &polling{Poller: p, rows: firstPage}
	defer s.abandon()
	if err := s.connect(ctx); err != nil {
		return err
	}
	defer closeOrdinary(ctx, s.conn)
	identity, err := s.takeOver(ctx)
	if err != nil {
		return err
	}
	if p.opts.Acquired != nil {
		if err := p.opts.Acquired(ctx, identity); err != nil {
			return acquireError(err)
		}
	}
	p.identity = identity
	p.counters.connected.Store(true)
	defer p.counters.connected.Store(false)
	level := zerolog.DebugLevel
	if p.counters.connects.Add(1) == 1 {
		level = zerolog.InfoLevel
	}
	p.opts.Logger.WithLevel(level).Str("table", p.opts.Schema+"."+p.opts.Table).Dur("interval", p.opts.Interval).
		Str("channel", p.opts.Channel).Int("server_version", identity.ServerVersion).Msg("polling started")
	outage.recovered()
	err = s.run(ctx)
	if ctx.Err() != nil {
		s.farewell(ctx)
	}
	return err
}

// connect opens the session. A pooler may not know the settings as parameters of the login, so they are set after it.
func (s *polling) connect(ctx context.Context) error {
	config, err := connectionConfig(s.opts.Options, false)
	if err != nil {
		return err
	}
	settings := fmt.Sprintf(`set statement_timeout = %d; set row_security = off; set jit = off; set enable_seqscan = off;
		set enable_bitmapscan = off; set enable_sort = off; set max_parallel_workers_per_gather = 0`, readTimeout.Milliseconds())
	for _, name := range []string{
		"lock_timeout", "statement_timeout", "client_min_messages", "IntervalStyle", "bytea_output", "extra_float_digits",
	} {
		if value, ok := config.RuntimeParams[name]; ok && name != "statement_timeout" {
			settings += fmt.Sprintf("; set %s = %s", name, quoteLiteral(value))
		}
		delete(config.RuntimeParams, name)
	}
	config.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) { s.notified = true }
	if s.conn, err = pgconn.ConnectConfig(ctx, config); err != nil {
		return classifyConnect(fmt.Errorf("connect: %w", err), s.opts.Options, s.established)
	}
	s.established = true
	if err := s.refuseSharedSession(ctx, config); err != nil {
		closeOrdinary(ctx, s.conn)
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if _, err := s.conn.Exec(ctx, settings).ReadAll(); err != nil {
		closeOrdinary(ctx, s.conn)
		return fmt.Errorf("set the session up: %w", err)
	}
	return nil
}

// identify finds out who serves us, and whether the table can be polled.
func (s *polling) identify(ctx context.Context) (Identity, error) {
	type server struct {
		Version  int
		System   string
		Timeline int32
		Backend  int
	}
	found, _, err := ask[server](ctx, s, "poll_server")
	if err != nil {
		return Identity{}, err
	}
	s.backend = found.Backend
	identity := Identity{SystemID: found.System, Timeline: found.Timeline, ServerVersion: found.Version}
	return identity, s.check(ctx, found.Version)
}

// takeOver makes us the only one who polls, and finds out from where.
func (s *polling) takeOver(ctx context.Context) (Identity, error) {
	identity, err := s.identify(ctx)
	if err != nil {
		return identity, err
	}
	if err := s.lock(ctx); err != nil {
		return identity, err
	}
	resume, err := s.opts.checkpoint(ctx) // now nobody else moves it
	if err != nil {
		return identity, err
	}
	if err := s.opts.checkSystem(resume, s.identity, identity); err != nil {
		return identity, err
	}
	return identity, s.begin(ctx, resume, &identity)
}

// lock keeps others from polling, unless something else does: a session that was left behind must not keep out who leads.
func (s *polling) lock(ctx context.Context) error {
	if s.opts.Lead != nil {
		return nil
	}
	type lock struct{ Held bool }
	key := fnv.New64a()
	_, _ = key.Write([]byte("walpost polling " + s.opts.Slot)) // it never fails
	taken, _, err := ask[lock](ctx, s, "recovery_lock", strconv.FormatInt(int64(key.Sum64()), 10))
	if err == nil && !taken.Held {
		return errPolledElsewhere
	}
	return err
}

// begin finds out what was dealt with. What this process knows counts while the server is the same; after a failover or a
// restart of ours the checkpoint does, which is in the same database: it has nothing that the database hasn't.
func (s *polling) begin(ctx context.Context, resume *Resume, identity *Identity) error {
	m, err := s.mark(ctx)
	if err != nil {
		return err
	}
	if resume != nil && resume.Superseded {
		s.kept, s.unsettled, s.batch, s.bytes = nil, nil, nil, 0
	}
	identity.Start = m.position
	if s.kept != nil && s.tracker.Load().timeline == identity.Timeline {
		s.since, s.repeated = *s.kept, true
		return nil
	}
	s.kept = nil
	if err := s.beginAnew(resume, identity, m); err != nil {
		return err
	}
	s.tracker.Swap(newSeenTracker(identity.Timeline, s.since, s.advanced)).replaced.Store(true)
	return nil
}

// beginAnew goes by the checkpoint.
func (s *polling) beginAnew(resume *Resume, identity *Identity, m instant) (err error) {
	switch {
	case resume != nil && resume.Snapshot != "":
		if s.since, err = parseSnapshot(resume.Snapshot); err == nil && s.since.xmax > m.seen.xmax {
			err = errors.New("it is ahead of the server")
		}
		if err != nil {
			return &SetupError{Problem: "the checkpoint's snapshot cannot be used", Fix: "begin anew with another slot name, which is that of the checkpoint", Err: err}
		}
		s.repeated = true
		if resume.Recovering { // the reading from the checkpoint's snapshot on is a recovery, too
			identity.Recovery = &Recovery{Position: m.position, End: m.position}
		}
		s.older = !s.since.sees(s.added)
	case resume != nil && resume.LSN != 0:
		return &SetupError{
			Problem: "the checkpoint has no snapshot, so it is not known which rows are dealt with",
			Fix:     "begin anew with another slot name, which is that of the checkpoint",
		}
	case s.opts.Start == StartBacklog:
		s.since, s.repeated = nothing, true
		identity.Snapshot = s.since.String()
	default:
		s.since = m.seen
		identity.Snapshot = s.since.String()
	}
	return nil
}

// run looks, and waits for a reason to look again.
func (s *polling) run(ctx context.Context) error {
	if err := s.flush(ctx); err != nil { // what the last connection has left
		return err
	}
	if err := s.readOlder(ctx); err != nil {
		return err
	}
	if err := s.listen(ctx); err != nil {
		return err
	}
	for {
		began := time.Now()
		if err := s.look(ctx); err != nil {
			return err
		}
		if err := s.wait(ctx, began); err != nil {
			return err
		}
	}
}

// instant is what is committed at a moment.
type instant struct {
	seen              snapshot
	position, flushed LSN
	time              time.Time
}

// mark takes one, and settles what is on the server's disk by now.
func (s *polling) mark(ctx context.Context) (m instant, err error) {
	type document struct {
		Snapshot, Position, Flushed string
		Time                        float64
		Backend                     int
	}
	found, _, err := ask[document](ctx, s, "poll_mark")
	if err != nil {
		return m, err
	}
	if found.Backend != s.backend {
		return m, sharedSession()
	}
	if m.seen, err = parseSnapshot(found.Snapshot); err != nil {
		return m, err
	}
	if m.position, err = parseLSN(found.Position); err != nil {
		return m, err
	}
	if m.flushed, err = parseLSN(found.Flushed); err != nil {
		return m, err
	}
	m.time = time.UnixMicro(int64(found.Time * 1e6)).UTC()
	s.marked = time.Now()
	s.counters.lastMessage.Store(s.marked.UnixNano())
	raise(&s.counters.received, m.position)
	s.settle(m.flushed)
	return m, nil
}

// reached says that everything up to a place was handed over.
func (s *polling) reached(at settling, flushed LSN) {
	if last := len(s.unsettled) - 1; at.txn != nil || last < 0 || s.unsettled[last].txn != nil {
		s.unsettled = append(s.unsettled, at)
	}
	s.settle(flushed)
}

// settle gives the tracker what can't be undone any more.
func (s *polling) settle(flushed LSN) {
	for len(s.unsettled) > 0 && s.unsettled[0].position <= flushed {
		at := s.unsettled[0]
		s.unsettled = s.unsettled[1:]
		if at.txn != nil {
			s.tracker.Load().commitSeen(at.txn, at.position, at.seen.String())
			failpoint.Hit(failpoint.Settled)
		} else {
			s.tracker.Load().idle(at.position)
		}
		s.kept = &at.seen
	}
}

// abandon forgets what the connection leaves unsettled; it is read again.
func (s *polling) abandon() {
	for _, at := range s.unsettled {
		if at.txn != nil {
			s.tracker.Load().abandon(at.txn)
		}
	}
	s.unsettled = nil
}

// farewell settles what it can at the end.
func (s *polling) farewell(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewellTimeout)
	defer cancel()
	for len(s.unsettled) > 0 {
		if _, err := s.mark(ctx); err != nil || !sleep(ctx, settlePause) {
			return // it is read again at the next start
		}
	}
}
