package cdc

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// feed is what a Source and a Poller have in common: rows go out, resolved positions come back. Its methods may be called
// from any goroutine.
type feed struct {
	batches  chan Batch
	advanced chan struct{}
	tracker  atomic.Pointer[tracker]
	confirm  atomic.Pointer[Position] // highest position given to Confirm
	idle     atomic.Pointer[Position] // and to Idle
	counters counters
	recheck  chan struct{} // capacity 1
}

func newFeed(buffer int) *feed {
	f := &feed{batches: make(chan Batch, buffer), advanced: make(chan struct{}, 1), recheck: make(chan struct{}, 1)}
	f.tracker.Store(newTracker(0, 0, f.advanced))
	f.confirm.Store(&Position{})
	f.idle.Store(&Position{})
	return f
}

// Batches delivers the rows, those of a Source in commit order. It is closed when Run returns. A batch that isn't taken
// stops the reading: a Source goes on answering keepalives, and closes the connection after StallTimeout until there is
// room again; a Poller keeps an idle connection.
func (f *feed) Batches() <-chan Batch { return f.batches }

// Progress returns the position up to which everything received is resolved; ok is false while there is none, and only
// its Walk may be known.
func (f *feed) Progress() (p Position, ok bool) { return f.tracker.Load().progress() }

// Unresolved reports whether rows were received above Progress: of a transaction that is not resolved as a whole, or
// whose commit has not arrived.
func (f *feed) Unresolved() bool { return f.tracker.Load().unresolved() }

// Advanced is signalled when Progress may have changed. It holds one signal at most.
func (f *feed) Advanced() <-chan struct{} { return f.advanced }

// Stats returns what has happened so far.
func (f *feed) Stats() Stats { return f.counters.snapshot() }

// Confirm says that a checkpoint at p is durable. It only ever raises the position; a Source sends it with the next status
// update, so that the server forgets what is at or below p. A slot that is found ahead of the checkpoint counts as moved
// by somebody else.
func (f *feed) Confirm(p Position) { raisePosition(&f.confirm, p) }

// Idle is Confirm for a p that no checkpoint is at. One at or above p.Commit must be durable: between it and p there are
// no rows.
func (f *feed) Idle(p Position) { raisePosition(&f.idle, p) }

// Recheck has a Source ask now whether the server still has its stream: another connection of this process was lost without
// a word, and the stream's own would take minutes to be missed.
func (f *feed) Recheck() {
	select {
	case f.recheck <- struct{}{}:
	default:
	}
}

func raisePosition(v *atomic.Pointer[Position], p Position) {
	for {
		old := v.Load()
		if p.timeline < old.timeline || (p.timeline == old.timeline && p.lsn <= old.lsn) || v.CompareAndSwap(old, &p) {
			return
		}
	}
}

// confirmed returns the position to report on a timeline, 0 when nothing of it was confirmed yet.
func (f *feed) confirmed(timeline int32) LSN {
	return max(f.confirm.Load().on(timeline), idleMark(f.idle.Load().on(timeline)))
}

// passed returns the position up to which all is dealt with, 0 when there is none on the timeline.
func (f *feed) passed(timeline int32) LSN {
	return max(f.confirm.Load().on(timeline), f.idle.Load().on(timeline))
}

// reconnect runs sessions until ctx ends or one fails for good, with a capped and jittered wait between them. settle
// takes the wait, and reports whether to go on.
func (f *feed) reconnect(ctx context.Context, o *Options, session func(context.Context, *outage) error,
	settle func(context.Context, time.Duration) bool,
) error {
	wait := backoff{min: o.BackoffMin, max: o.BackoffMax}
	outage := outage{log: o.Logger, counters: &f.counters}
	for {
		started := time.Now()
		err := f.led(ctx, o, &outage, session)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errDeposed) { // what is left of its rows goes the way of all others, and counts no more
			outage.forget()
			if !settle(ctx, 0) {
				return nil
			}
			continue
		}
		if !Retryable(err) {
			return err
		}
		if time.Since(started) > wait.max {
			wait.reset()
		}
		pause := wait.next(err)
		outage.failed(err, pause)
		if !settle(ctx, pause) {
			return nil
		}
	}
}

// led runs a session once this process may have it, and until it no longer may.
func (f *feed) led(ctx context.Context, o *Options, outage *outage, session func(context.Context, *outage) error) error {
	if o.Lead == nil {
		return session(ctx, outage)
	}
	leading, err := o.Lead(ctx)
	if err != nil {
		return fmt.Errorf("wait for the lead: %w", err)
	}
	err = session(leading, outage)
	if leading.Err() != nil && ctx.Err() == nil {
		return errDeposed
	}
	return err
}

// sleep waits, and reports whether ctx is still open.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
