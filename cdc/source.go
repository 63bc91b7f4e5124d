package cdc

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// Source streams the rows of one table from one slot. Run owns the connection; everything else may be
// called from any goroutine.
type Source struct {
	opts     Options
	batches  chan Batch
	advanced chan struct{}
	tracker  atomic.Pointer[tracker]
	confirm  atomic.Pointer[Position] // highest position given to Confirm
	counters counters

	// Owned by Run; they outlive a connection.
	received    received
	pending     Batch // taken from the stream, not yet handed over
	established bool  // a login has succeeded once: the connection string is right
	streamed    bool  // the slot was read once: it must be there from now on
	identity    Identity
	recoveries  recoveries

	checkInterval time.Duration // between checks of table and publication
}

// New checks the options and makes a Source. Nothing is connected before Run. Its error is a SetupError.
func New(o Options) (*Source, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	if _, err := connectionConfig(o, true); err != nil {
		return nil, err
	}
	s := &Source{
		opts:          o,
		batches:       make(chan Batch, o.Buffer),
		advanced:      make(chan struct{}, 1),
		checkInterval: 30 * time.Second,
	}
	s.tracker.Store(newTracker(0, 0, s.advanced))
	s.confirm.Store(&Position{})
	return s, nil
}

// Batches delivers the rows in commit order. It is closed when Run returns. A batch that isn't taken stops
// the reading, never the answering of keepalives; after StallTimeout the connection is closed until there
// is room again.
func (s *Source) Batches() <-chan Batch { return s.batches }

// Progress returns the position up to which everything received is resolved; ok is false while there is none.
func (s *Source) Progress() (p Position, ok bool) { return s.tracker.Load().progress() }

// Unresolved reports whether rows were received above Progress: of a transaction that is not resolved as a whole, or
// whose commit has not arrived.
func (s *Source) Unresolved() bool { return s.tracker.Load().unresolved() }

// Advanced is signalled when Progress may have changed. It holds one signal at most.
func (s *Source) Advanced() <-chan struct{} { return s.advanced }

// Stats returns what has happened so far.
func (s *Source) Stats() Stats { return s.counters.snapshot() }

// Confirm lets the server forget what is at or below p. It only ever raises the position, and the position
// is sent with the next status update. Everything at or below p.Commit must be durable elsewhere before.
func (s *Source) Confirm(p Position) {
	for {
		old := s.confirm.Load()
		if p.timeline < old.timeline || (p.timeline == old.timeline && p.lsn <= old.lsn) {
			return
		}
		if s.confirm.CompareAndSwap(old, &p) {
			return
		}
	}
}

// confirmed returns the position to report on a timeline, 0 when nothing of it was confirmed yet.
func (s *Source) confirmed(timeline int32) LSN {
	if p := s.confirm.Load(); p.timeline == timeline {
		return p.lsn
	}
	return 0
}

// Run connects, streams, and connects again after every failure, with a capped and jittered wait. It returns
// nil when ctx ends, after a last status update and an orderly end of the stream, and otherwise only an error
// that isn't Retryable. It is called once.
func (s *Source) Run(ctx context.Context) error {
	defer close(s.batches)
	wait := backoff{min: s.opts.BackoffMin, max: s.opts.BackoffMax}
	outage := outage{log: s.opts.Logger, counters: &s.counters}
	for {
		started := time.Now()
		err := s.session(ctx, &outage)
		if ctx.Err() != nil {
			return nil
		}
		if !Retryable(err) {
			return err
		}
		if time.Since(started) > wait.max {
			wait.reset()
		}
		pause := wait.next(err)
		outage.failed(err, pause)
		if !s.settle(ctx, pause) {
			return nil
		}
	}
}

// settle hands over what the last connection has left, however long that takes, and waits. It reports whether
// to go on.
func (s *Source) settle(ctx context.Context, pause time.Duration) bool {
	if len(s.pending) > 0 {
		select {
		case s.batches <- s.pending:
			s.pending = nil
		case <-ctx.Done():
			return false
		}
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// session is one connection from login to its end. Its error is classified, and never nil unless ctx ended.
func (s *Source) session(ctx context.Context, outage *outage) error {
	resume, err := s.resume(ctx)
	if err != nil {
		return err
	}
	conn, identity, err := openReplication(ctx, s.opts)
	if err != nil {
		return classifyConnect(err, s.opts, s.established)
	}
	defer conn.close()
	s.established = true
	if err := s.checkSystem(resume, identity); err != nil {
		return err
	}

	backlog := s.backlog(resume) // makes the slot itself
	found, err := setUp(ctx, s.opts, !backlog && (resume != nil || s.streamed), !backlog)
	if err != nil {
		return err
	}
	if err := s.begin(ctx, conn, resume, &identity, &found); err != nil {
		return err
	}
	if !s.streamed {
		found.log(s.opts.Logger)
	}
	s.followTimeline(identity)
	s.streamed, s.identity = true, identity
	if s.opts.Acquired != nil {
		if err := s.opts.Acquired(ctx, identity); err != nil {
			return acquireError(err)
		}
	}
	s.counters.connected.Store(true)
	defer s.counters.connected.Store(false)
	level := zerolog.DebugLevel
	if s.counters.connects.Add(1) == 1 {
		level = zerolog.InfoLevel
	}
	s.opts.Logger.WithLevel(level).Str("slot", s.opts.Slot).Stringer("start", identity.Start).
		Stringer("slot_position", found.SlotPosition).Int("server_version", identity.ServerVersion).
		Msg("replication started")
	outage.recovered()
	return s.lose(s.stream(ctx, conn, found.table.OID))
}

// begin takes the slot, after what it has lost was read from the table, and says in identity from where.
func (s *Source) begin(ctx context.Context, conn *replicationConn, resume *Resume, identity *Identity, found *foundations) error {
	if found.lost == nil && !found.SlotCreated {
		found.lost = s.checkMoved(resume, found.SlotPosition)
	}
	missing, err := s.missing(resume, found.lost)
	if err != nil {
		return err
	}
	if found.slotReader != 0 {
		return fmt.Errorf("%w for pid %d", ErrSlotActive, found.slotReader)
	}
	identity.ServerVersion = found.ServerVersion
	identity.Start = s.startPosition(resume, identity.Timeline)
	if !missing {
		if err := conn.start(ctx, s.opts, identity.Start); err != nil {
			return s.lose(classify(err, s.opts))
		}
		return s.stillWhole(ctx)
	}
	r, err := s.openRecovery(ctx, found)
	if err != nil {
		return err
	}
	defer r.close(ctx)
	position, err := r.run(ctx, *identity)
	if err != nil {
		return err
	}
	identity.Start = max(position, s.confirmed(identity.Timeline))
	identity.Recovery = s.recoveries.latest
	if err := conn.start(ctx, s.opts, identity.Start); err != nil {
		return s.lose(classify(err, s.opts))
	}
	return r.held(ctx)
}

// stillWhole makes sure that the slot which we have got isn't a new one whose gap another walpost is reading: whoever
// makes one says so before.
func (s *Source) stillWhole(ctx context.Context) error {
	resume, err := s.resume(ctx)
	if err != nil {
		return err
	}
	if s.recovering(resume) {
		return fmt.Errorf("%w: its recovery is under way", ErrSlotActive)
	}
	return nil
}
