package cdc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/walpost/walpost/internal/failpoint"
)

// Start says what a stream without a checkpoint begins with.
type Start string

const (
	// StartNow begins with what is committed after the slot was created.
	StartNow Start = "now"
	// StartBacklog begins with the rows that are in the table.
	StartBacklog Start = "backlog"
)

// Loss is a stream that doesn't have all of what follows the checkpoint.
type Loss struct {
	Err    error // wraps ErrSlotLost or ErrPublicationLost; nil when it goes on with a loss that is known
	Reason string
	From   LSN // of the checkpoint: what was committed at or below it is dealt with
}

// Recovery tells what was read from the table, in place of the stream, before Position.
type Recovery struct {
	Position LSN    // where the stream goes on: above the checkpoint unless the slot was kept with all that follows that
	End      LSN    // of the WAL when the table was seen: a checkpoint at or above it ends the recovery
	Rows     uint64 // read and handed over, also by those who were cut off
	Backlog  bool   // the rows that were there at the first start; no slot was lost
	coverage string // of the publication that the stream is counted on with
}

const (
	// maxRecoveries bounds how often this process reads the table within recoveryWindow: a slot that is lost again and
	// again has a cause that no reading cures, and every reading repeats deliveries.
	maxRecoveries  = 3
	recoveryWindow = time.Hour
	// readTimeout bounds the reading of one range of the table.
	readTimeout = 10 * time.Second
	// writersPause is how often those are looked at that must end before the table is read.
	writersPause = 20 * time.Millisecond
)

// errOvertaken says that what was to be recovered is not lost any more.
var errOvertaken = errors.New("another walpost has recovered the slot meanwhile")

// recoveries are what Run keeps of them.
type recoveries struct {
	lost  error       // the stream's or the server's word that rows are lost; nil: none
	begun []time.Time // within recoveryWindow
	// walk is how far this process has handed rows over, latest the recovery of which it has handed over all. Nil: none, or
	// the tracker doesn't know them any more.
	walk    *Walk
	latest  *Recovery
	overlap *overlap // of what was read with what the slot sends; nil: nothing
}

// lose takes the end of a stream. A loss that can be recovered is kept for the next connection, which begins with the
// recovery, or says that there is no checkpoint to recover from.
func (s *Source) lose(err error) error {
	if s.opts.Lost == nil || !errors.Is(err, ErrSlotLost) && !errors.Is(err, ErrPublicationLost) {
		return err
	}
	s.recoveries.lost = err
	return fmt.Errorf("recover: %s", err.Error()) // not the SetupError itself, which would be the end
}

// recoverable reports whether it is known what the checkpoint has dealt with.
func (s *Source) recoverable(resume *Resume) bool {
	return s.opts.Lost != nil && resume != nil && resume.Snapshot != ""
}

// backlog reports whether the stream begins with the rows that are in the table: nothing was ever dealt with. One that
// was begun is read again.
func (s *Source) backlog(resume *Resume) bool {
	return s.opts.Start == StartBacklog && (resume == nil || resume.LSN == 0 && resume.Snapshot == "")
}

// missing says whether the table has to be read before the stream. It is an error if that can't be.
func (s *Source) missing(resume *Resume, lost error) (bool, error) {
	if lost == nil {
		lost = s.recoveries.lost
	}
	switch {
	case s.backlog(resume):
		return true, nil
	case lost != nil && s.opts.Lost == nil:
		return false, lost
	case lost != nil && !s.recoverable(resume):
		return false, undecidable(lost)
	case lost != nil:
		return true, nil
	}
	return s.recovering(resume), nil
}

func (s *Source) recovering(resume *Resume) bool {
	return s.recoverable(resume) && resume.Recovering
}

// exhausted refuses one reading of the table too many.
func (s *Source) exhausted(lost error) error {
	r := &s.recoveries
	r.begun = slices.DeleteFunc(r.begun, func(at time.Time) bool { return time.Since(at) > recoveryWindow })
	if len(r.begun) < maxRecoveries {
		return nil
	}
	if lost == nil {
		lost = ErrSlotLost
	}
	return &SetupError{
		Problem: fmt.Sprintf("replication slot %q had to be recovered %d times within %s", s.opts.Slot, maxRecoveries, recoveryWindow),
		Fix: "find out what ends the slot, or the reading of the table: max_slot_wal_keep_size (and idle_replication_slot_timeout), " +
			"or somebody who drops it; the log says which. Nothing is lost: the next start recovers again",
		Err: lost,
	}
}

// recovery is the reading of the table in place of what a slot has lost. While it is open no other walpost touches
// the slot.
type recovery struct {
	source *Source
	conn   *pgconn.PgConn // holds the advisory lock
	found  *foundations
	late   int64 // all transactions below it were over before the slot was made; 0: it wasn't made now
}

// openRecovery takes the lock on the slot's recovery.
func (s *Source) openRecovery(ctx context.Context, found *foundations) (*recovery, error) {
	conn, err := openOrdinary(ctx, s.opts)
	if err != nil {
		return nil, classify(err, s.opts)
	}
	r := &recovery{source: s, conn: conn, found: found}
	// Rows hidden by a policy would be lost, so that is an error. Places must be met in their order.
	// Between two ranges the transaction may wait for as long as there is no room for rows.
	settings := fmt.Sprintf(`set statement_timeout = %d; set row_security = off; set synchronize_seqscans = off;
		set max_parallel_workers_per_gather = 0;
		select set_config(name, '0', false) from pg_catalog.pg_settings where name in ('idle_in_transaction_session_timeout', 'transaction_timeout')`,
		readTimeout.Milliseconds())
	if _, err := conn.Exec(ctx, settings).ReadAll(); err != nil {
		r.close(ctx)
		return nil, classify(fmt.Errorf("set the session up: %w", err), s.opts)
	}
	type document struct{ Held bool }
	lock, _, err := query[document](ctx, conn, "recovery_lock", strconv.FormatInt(lockKey(s.opts.Slot), 10))
	if err == nil && !lock.Held {
		err = fmt.Errorf("%w: another walpost recovers it", ErrSlotActive)
	}
	if err != nil {
		r.close(ctx)
		return nil, err
	}
	return r, nil
}

// close gives the lock back.
func (r *recovery) close(ctx context.Context) { closeOrdinary(ctx, r.conn) }

// held proves, when the slot is ours, that no other walpost could touch it since the lock was taken, and that nobody else has.
func (r *recovery) held(ctx context.Context, start, passed LSN) error {
	if _, _, err := query[struct{}](ctx, r.conn, "alive"); err != nil {
		return fmt.Errorf("keep the lock on the recovery: %w", err)
	}
	s := r.source
	slot, err := findSlot(ctx, r.conn, s.opts)
	if err != nil {
		return classify(err, s.opts)
	}
	if slot == nil || slot.confirmed > max(start, passed) && !isIdleMark(slot.confirmed) {
		return s.lose(slotMoved(s.opts, "while the table was read"))
	}
	return nil
}

// run makes a new slot, unless there is one that is good, and reads from the table what it doesn't have, unless this process
// has. It gives the position at which the stream begins.
func (r *recovery) run(ctx context.Context, identity Identity) (LSN, error) {
	s := r.source
	present, err := findSlot(ctx, r.conn, s.opts)
	if err != nil {
		return 0, classify(err, s.opts)
	}
	resume, err := s.resume(ctx) // under the lock: the one before may be outdated
	if err != nil {
		return 0, err
	}
	lost := s.recoveries.lost
	switch {
	case present != nil && present.ActivePID != 0:
		return 0, fmt.Errorf("%w for pid %d", ErrSlotActive, present.ActivePID)
	case lost == nil && present == nil:
		lost = slotLost(s.opts, "the replication slot is gone", nil)
	case lost == nil && present.lost != nil:
		lost = slotLost(s.opts, slotInvalidated, present.lost)
	case lost == nil:
		lost = s.checkMoved(resume, present.confirmed, identity.Timeline)
	}
	if lost == nil {
		lost = s.checkChanged(resume, r.found.coverage)
	}
	if lost == nil && resume != nil && resume.Unpublished && s.walk(resume, identity.Timeline) == nil {
		lost = publicationLost(s.opts, fmt.Sprintf("publication %q was gone, or left rows out", s.opts.Publication), nil)
	}
	needed, err := s.missing(resume, lost)
	if err != nil {
		return 0, err
	}
	if !needed {
		return 0, errOvertaken
	}
	if latest := s.recoveries.latest; lost == nil && latest != nil && s.tracker.Load().timeline == identity.Timeline &&
		latest.coverage == r.found.coverage && present.confirmed <= max(latest.Position, s.passed(identity.Timeline)) {
		return latest.Position, nil // nobody but us has read it since
	}
	return r.recover(ctx, identity, resume, present, lost)
}

// recover does the recovery, or what is left of one that was cut off: lost is nil then.
func (r *recovery) recover(ctx context.Context, identity Identity, resume *Resume, present *slot, lost error) (LSN, error) {
	s := r.source
	backlog, walk := s.backlog(resume), s.walk(resume, identity.Timeline)
	anew := lost != nil || walk == nil
	if err := s.exhausted(lost); anew && err != nil {
		return 0, err
	}
	if err := r.record(ctx, resume, lost); err != nil {
		return 0, err
	}
	begins, err := r.slot(ctx, present, lost, backlog && walk == nil)
	if err != nil {
		return 0, err
	}
	s.recoveries.lost = nil
	identity.Start = max(begins, s.startPosition(resume, identity.Timeline))
	latest := &Recovery{Position: identity.Start, Backlog: backlog, coverage: r.found.coverage}
	s.followTimeline(identity)
	identity.Reading = true
	if err := s.acquired(ctx, identity); err != nil {
		return 0, err
	}
	if anew {
		s.recoveries.begun = append(s.recoveries.begun, time.Now())
	}
	if err := r.read(ctx, latest, resume, walk); err != nil {
		return 0, err
	}
	s.recoveries.latest = latest
	s.opts.Logger.Info().Str("slot", s.opts.Slot).Uint64("rows", latest.Rows).Stringer("position", latest.Position).
		Msg("table read; the stream goes on")
	return latest.Position, nil
}

// record makes a loss durable before anything is done about it. A recovery that goes on is recorded.
func (r *recovery) record(ctx context.Context, resume *Resume, lost error) error {
	s := r.source
	if s.backlog(resume) {
		return nil
	}
	if lost == nil {
		s.opts.Logger.Info().Str("slot", s.opts.Slot).Stringer("checkpoint", resume.LSN).Msg("a recovery that was cut off goes on")
		return nil
	}
	loss := Loss{Err: lost, Reason: lost.Error(), From: resume.LSN}
	if err := s.opts.Lost(ctx, loss); err != nil {
		return fmt.Errorf("record the loss: %w", err)
	}
	failpoint.Hit(failpoint.LossRecorded)
	s.opts.Logger.Warn().Str("slot", s.opts.Slot).Str("reason", loss.Reason).Stringer("checkpoint", loss.From).
		Msg("rows are lost from the stream; they are read from the table")
	return nil
}

// slot gives the position of a slot that has all that follows it. One that is there is kept, whoever has made or moved it: the
// table has what was visible before, but not what the host has deleted since, which only the slot has. It is made anew if the
// server has given it up, if what it holds can't be decoded, or if a backlog begins, which the table has as a whole.
func (r *recovery) slot(ctx context.Context, present *slot, lost error, begins bool) (LSN, error) {
	s := r.source
	if present != nil && present.lost == nil && !begins && keepsSlot(lost) {
		return present.confirmed, nil
	}
	if present != nil {
		if _, _, err := query[struct{}](ctx, r.conn, "drop_slot", s.opts.Slot); err != nil {
			return 0, classify(fmt.Errorf("drop slot %q: %w", s.opts.Slot, err), s.opts)
		}
	}
	failpoint.Hit(failpoint.SlotDropped)
	before, err := see(ctx, r.conn)
	if err != nil {
		return 0, classify(err, s.opts)
	}
	made, err := createSlot(ctx, s.patience.apply(s.opts), r.found.ServerVersion)
	s.patience.note(err, &s.opts)
	if err != nil {
		return 0, err
	}
	failpoint.Hit(failpoint.SlotMade)
	r.found.SlotPosition, r.found.SlotCreated, r.late = made.confirmed, true, before.sees.xmin
	return made.confirmed, nil
}

// keepsSlot reports whether a loss leaves the slot good for all that follows its position. Nil is none.
func keepsSlot(lost error) bool {
	var setup *SetupError
	return lost == nil || errors.As(lost, &setup) && setup.keepsSlot
}

// lockKey is the advisory lock's, of the database that the slot belongs to: FNV-1a of "walpost recovery " and the slot.
func lockKey(slot string) int64 {
	hash := uint64(14695981039346656037)
	for _, b := range []byte("walpost recovery " + slot) {
		hash = (hash ^ uint64(b)) * 1099511628211
	}
	return int64(hash)
}
