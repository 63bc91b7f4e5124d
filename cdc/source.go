package cdc

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"
)

// Source streams the rows of one table from one slot. Run owns the connection; everything else may be
// called from any goroutine.
type Source struct {
	*feed
	opts Options

	// Owned by Run; they outlive a connection.
	received    received
	pending     Batch // taken from the stream, not yet handed over
	established bool  // a login has succeeded once: the connection string is right
	streamed    bool  // the slot was read once: it must be there from now on
	identity    Identity
	recoveries  recoveries
	refusedAt   time.Time // when a refused message was logged last
	patience    slotPatience
	silence     silence

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
	return &Source{feed: newFeed(o.Buffer), opts: o, checkInterval: 30 * time.Second}, nil
}

// Run connects, streams, and connects again after every failure, with a capped and jittered wait. It returns
// nil when ctx ends, after a last status update and an orderly end of the stream, and otherwise only an error
// that isn't Retryable. It is called once.
func (s *Source) Run(ctx context.Context) error {
	defer close(s.batches)
	return s.reconnect(ctx, &s.opts, s.session, s.settle)
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
	return sleep(ctx, pause)
}

// session is one connection from login to its end. Its error is classified, and never nil unless ctx ended.
func (s *Source) session(ctx context.Context, outage *outage) error {
	defer func() {
		if ctx.Err() != nil {
			s.recoveries.lost = nil // of a time when the slot was ours
		}
	}()
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
	if err := s.checkHistory(ctx, conn, resume, identity); err != nil {
		return err
	}
	s.forgetRewound(identity)
	if resume != nil && resume.Superseded {
		s.anew()
	}

	backlog := s.backlog(resume) // makes the slot itself
	found, err := setUp(ctx, s.patience.apply(s.opts), !backlog && (resume != nil || s.streamed), !backlog)
	s.patience.note(err, &s.opts)
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
	if err := s.acquired(ctx, identity); err != nil {
		return err
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

func (s *Source) acquired(ctx context.Context, identity Identity) error {
	if s.opts.Acquired == nil {
		return nil
	}
	if err := s.opts.Acquired(ctx, identity); err != nil {
		return acquireError(err)
	}
	return nil
}

// begin takes the slot, after what it has lost was read from the table, and says in identity from where.
func (s *Source) begin(ctx context.Context, conn *replicationConn, resume *Resume, identity *Identity, found *foundations) error {
	if found.lost == nil && !found.SlotCreated {
		found.lost = s.checkMoved(resume, found.SlotPosition, identity.Timeline)
	}
	if found.lost == nil {
		found.lost = s.checkChanged(resume, found.coverage)
	}
	identity.Coverage = found.coverage
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
		identity.Passed = found.SlotPosition
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
	return r.held(ctx, identity.Start, s.passed(identity.Timeline))
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
