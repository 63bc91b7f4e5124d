package cdc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/walpost/walpost/internal/failpoint"
)

var (
	errStalled  = errors.New("nobody takes the batches; the connection is closed until there is room")
	errStopping = errors.New("the server is shutting down and waits for rows that are not resolved; the connection is closed for it")
	errEnded    = errors.New("the server ended the stream")
	errSilent   = errors.New("the server has gone silent")
)

const (
	// statusRepeat is the longest time between two status updates.
	statusRepeat = 10 * time.Second
	// replySpacing keeps a server that asks without pause, as it does while it shuts down, from spinning.
	replySpacing = 50 * time.Millisecond
	// stoppingGrace is how long a server that shuts down is given for rows that are about to be resolved. Then it
	// is let go: it would wait for ever.
	stoppingGrace = 1500 * time.Millisecond
	// pingPause ends a run of requests for a reply: a server that doesn't shut down asks twice in a WALSenderTimeout.
	pingPause = 400 * time.Millisecond
	// farewellTimeout bounds the orderly end of a stream.
	farewellTimeout = 2 * time.Second
)

// stream is one connection while rows flow. Its goroutine alone reads and writes the connection; its time is
// driven by the read deadline, which comes at the next moment when a status update may be due.
type stream struct {
	source   *Source
	conn     net.Conn
	frontend *pgproto3.Frontend
	intake   intake
	timeline int32
	start    LSN
	verdicts <-chan error // of the checks beside the stream

	batch      Batch
	batchBytes int

	sent      LSN       // position in the last status update
	sentAt    time.Time // of the last status update
	asked     bool      // the server waits for one
	pingsFrom time.Time // first of a run of requests for a reply; zero = no run
	lastPing  time.Time
	pings     int       // of the run
	heard     bool      // something has arrived since the last tick
	heardAt   time.Time // the last tick that found so
}

// stream reads until the connection fails or ctx ends, and leaves what it couldn't hand over in s.pending.
func (s *Source) stream(ctx context.Context, conn *replicationConn, tableOID uint32) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	verdicts, checked := s.watch(ctx, s.identity.Coverage)
	defer func() { cancel(); <-checked }()
	st := newStream(s, conn.net, conn.frontend, tableOID)
	st.verdicts = verdicts

	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		_ = st.conn.SetReadDeadline(time.Unix(1, 0)) // a closed connection needs no waking
	})
	err := st.run(ctx)
	if !stop() {
		<-woken
	}
	s.pending = st.batch
	s.silence.note(err, LSN(s.counters.received.Load()))
	if ctx.Err() != nil {
		st.farewell()
	}
	return err
}

func newStream(s *Source, conn net.Conn, frontend *pgproto3.Frontend, tableOID uint32) *stream {
	return &stream{
		source: s, conn: conn, frontend: frontend,
		intake: intake{
			source: s, tracker: s.tracker.Load(), start: s.identity.Start,
			tableOID: tableOID, relations: make(map[uint32]knownRelation),
		},
		timeline: s.identity.Timeline,
		start:    s.identity.Start,
		heard:    true,
	}
}

// run is the read loop.
func (st *stream) run(ctx context.Context) error {
	if err := st.tick(time.Now()); err != nil {
		return err
	}
	for {
		// With a part of a message in the buffer the rest is about to come; without, there may be a pause.
		if len(st.batch) > 0 && (st.full() || st.frontend.ReadBufferLen() == 0) {
			if err := st.handOver(ctx); err != nil {
				return err
			}
		}
		received, err := st.frontend.Receive()
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			if err := st.tick(time.Now()); err != nil {
				return err
			}
			if ctx.Err() != nil { // asked after tick has set the deadline, which the end of ctx may have set before
				return ctx.Err()
			}
			if len(st.batch) > 0 {
				if err := st.handOver(ctx); err != nil {
					return err
				}
			}
		case err != nil:
			return fmt.Errorf("read from the server: %w", err)
		default:
			if err := st.handle(received); err != nil {
				return err
			}
		}
	}
}

// tick does what is due by time, and sets the next moment for it.
func (st *stream) tick(now time.Time) error {
	select {
	case err := <-st.verdicts:
		return err
	default:
	}
	timeout := st.source.opts.WALSenderTimeout
	if st.heard {
		st.heard, st.heardAt = false, now
		st.source.counters.lastMessage.Store(now.UnixNano())
	}
	silence := now.Sub(st.heardAt)
	if silence > st.source.silence.limit(timeout) {
		return fmt.Errorf("%w for %s", errSilent, silence.Round(time.Second))
	}
	if err := st.report(now, silence > timeout); err != nil {
		return err
	}
	next := now.Add(min(st.source.opts.StatusInterval, st.repeat()))
	if st.asked {
		next = st.sentAt.Add(replySpacing)
	}
	if err := st.conn.SetReadDeadline(next); err != nil {
		return fmt.Errorf("limit the time of a read: %w", err)
	}
	return nil
}

// repeat is how often the server hears of us without a change.
func (st *stream) repeat() time.Duration {
	return min(statusRepeat, st.source.opts.WALSenderTimeout/3)
}

// report sends a status update if one is due: the position has changed, the server asks, or it is time to be
// heard of. With probe the server is asked to reply.
func (st *stream) report(now time.Time, probe bool) error {
	position := max(st.start, st.source.confirmed(st.timeline))
	if st.pings > 1 { // it shuts down, and waits for the very last position
		position = max(position, st.source.passed(st.timeline))
	}
	since := now.Sub(st.sentAt)
	due := since >= st.repeat() ||
		(st.asked && since >= replySpacing) ||
		(position > st.sent && since >= st.source.opts.StatusInterval)
	if !due {
		return nil
	}
	if err := writeAll(st.conn, appendStatus(make([]byte, 0, statusLength), position, now, probe)); err != nil {
		return fmt.Errorf("send a status update: %w", err)
	}
	if position > st.sent {
		failpoint.Hit(failpoint.AfterStatus)
	}
	st.sent, st.sentAt, st.asked = position, now, false
	raise(&st.source.counters.confirmed, position)
	return nil
}

// full reports whether the batch has reached its bounds.
func (st *stream) full() bool {
	o := &st.source.opts
	return len(st.batch) >= o.MaxBatchRows || st.batchBytes >= o.MaxBatchBytes
}

// handOver gives the batch to the receiver. While there is no room nothing is read, so a server that asks isn't heard; it is
// answered all the same, every replySpacing.
func (st *stream) handOver(ctx context.Context) error {
	select {
	case st.source.batches <- st.batch:
		st.handedOver()
		return nil
	default:
	}
	stall := time.NewTimer(st.source.opts.StallTimeout)
	defer stall.Stop()
	ticks := time.NewTicker(replySpacing)
	defer ticks.Stop()
	silent := time.Now()
	for {
		select {
		case st.source.batches <- st.batch:
			st.source.counters.blocked(silent, time.Now())
			st.handedOver()
			st.heard = true // it had no chance to be heard
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-stall.C:
			return errStalled
		case now := <-ticks.C:
			st.asked = true
			if err := st.report(now, false); err != nil {
				return err
			}
			now = time.Now()
			st.source.counters.blocked(silent, now)
			silent = now
		}
	}
}

func (st *stream) handedOver() {
	st.batch, st.batchBytes = make(Batch, 0, len(st.batch)), 0 // the next one is likely to be as long
	failpoint.Hit(failpoint.HandedOver)
}

// handle handles one message of the server.
func (st *stream) handle(m pgproto3.BackendMessage) error {
	st.heard = true
	switch m := m.(type) {
	case *pgproto3.CopyData:
		return st.handleCopyData(m.Data)
	case *pgproto3.ErrorResponse:
		return classify(pgconn.ErrorResponseToPgError(m), st.source.opts)
	case *pgproto3.NoticeResponse:
		return st.handleNotice(m)
	case *pgproto3.ParameterStatus:
		return nil
	case *pgproto3.CopyDone, *pgproto3.CommandComplete, *pgproto3.ReadyForQuery:
		return errEnded
	default:
		return fmt.Errorf("%w: %T in the stream", ErrUndecodable, m)
	}
}

func (st *stream) handleCopyData(data []byte) error {
	if len(data) == 0 {
		return fmt.Errorf("%w: empty CopyData", ErrUndecodable)
	}
	switch data[0] {
	case pglogrepl.XLogDataByteID:
		x, err := pglogrepl.ParseXLogData(data[1:])
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUndecodable, err)
		}
		st.pingsFrom, st.pings = time.Time{}, 0
		return st.handleWAL(x.WALData)
	case pglogrepl.PrimaryKeepaliveMessageByteID:
		k, err := pglogrepl.ParsePrimaryKeepaliveMessage(data[1:])
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUndecodable, err)
		}
		return st.handleKeepalive(k)
	default:
		return fmt.Errorf("%w: unknown replication message %q", ErrUndecodable, data[0])
	}
}

func (st *stream) handleWAL(data []byte) error {
	m, err := decode(data)
	if err != nil {
		return err
	}
	row, ok, err := st.intake.take(m)
	if ok {
		st.batch = append(st.batch, row)
		st.batchBytes += len(m.tuple.data) + len(m.content)
		failpoint.Hit(failpoint.Decoded)
	}
	return err
}

// handleKeepalive takes the server's position when nothing before it is unresolved, and answers at once when
// asked to.
func (st *stream) handleKeepalive(k pglogrepl.PrimaryKeepaliveMessage) error {
	raise(&st.source.counters.received, k.ServerWALEnd)
	st.intake.tracker.idle(k.ServerWALEnd)
	if !k.ReplyRequested {
		return nil
	}
	now := time.Now()
	if st.pingsFrom.IsZero() || now.Sub(st.lastPing) > pingPause {
		st.pingsFrom, st.pings = now, 0
	}
	st.lastPing = now
	st.pings++
	if now.Sub(st.pingsFrom) > stoppingGrace {
		return errStopping
	}
	st.asked = true
	return st.tick(now)
}

// handleNotice stops at the warning that Postgres 18 and later gives instead of an error when the slot can't see
// the publication: changes are being left out from here on. It goes by SQLSTATE and name, as the server may write the rest
// in any language.
func (st *stream) handleNotice(m *pgproto3.NoticeResponse) error {
	if m.Code == stateNotInPrerequisite && strings.Contains(m.Message, st.source.opts.Publication) {
		return publicationLost(st.source.opts, notAtPosition(st.source.opts.Publication)+": the server leaves changes out of the stream",
			pgconn.ErrorResponseToPgError((*pgproto3.ErrorResponse)(m)))
	}
	st.source.opts.Logger.Warn().Str("severity", m.Severity).Str("notice", m.Message).Msg("notice from the server")
	return nil
}

// farewell ends the stream in order: the last position, the end of the copy, and a wait for the server to have
// taken both, after which the slot is free. Rows that are still on their way are dropped; they come again.
func (st *stream) farewell() {
	position := max(st.start, st.source.confirmed(st.timeline))
	last := appendStatus(nil, position, time.Now(), false)
	last, err := (&pgproto3.CopyDone{}).Encode(last)
	if err != nil || writeAll(st.conn, last) != nil {
		return // it is gone already
	}
	failpoint.Hit(failpoint.DrainConfirmed)
	raise(&st.source.counters.confirmed, position)
	if st.conn.SetReadDeadline(time.Now().Add(farewellTimeout)) != nil {
		return
	}
	for {
		m, err := st.frontend.Receive()
		if err != nil {
			return
		}
		switch m.(type) {
		case *pgproto3.ReadyForQuery:
			goodbye, _ := (&pgproto3.Terminate{}).Encode(nil)
			_ = writeAll(st.conn, goodbye) // closing says the same
			return
		case *pgproto3.ErrorResponse:
			return
		}
	}
}
