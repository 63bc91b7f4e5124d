package cdc

import (
	"context"
	"fmt"
)

// resume asks for the checkpoint.
func (s *Source) resume(ctx context.Context) (*Resume, error) { return s.opts.checkpoint(ctx) }

// checkpoint asks for it; nil: there is none.
func (o *Options) checkpoint(ctx context.Context) (*Resume, error) {
	if o.Resume == nil {
		return nil, nil
	}
	resume, err := o.Resume(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the checkpoint: %w", err)
	}
	return resume, nil
}

// checkSystem refuses another database cluster than the checkpoint's, or than the one read before: its
// positions mean something else.
func (s *Source) checkSystem(resume *Resume, found Identity) error {
	return s.opts.checkSystem(resume, s.identity, found)
}

func (o *Options) checkSystem(resume *Resume, before, found Identity) error {
	expected := before.SystemID
	if resume != nil && resume.SystemID != "" {
		expected = resume.SystemID
	}
	if expected == "" || expected == found.SystemID {
		return nil
	}
	return &SetupError{
		Problem: fmt.Sprintf("the server is database system %s, the checkpoint of slot %q was made on %s", found.SystemID, o.Slot, expected),
		Fix:     "connect to the server that the checkpoint belongs to, or look what walpost adopt would do here",
		Err:     ErrOtherSystem,
	}
}

// checkMoved reports a slot that is ahead of all that was ever confirmed: somebody else has advanced it, or dropped it
// and made it anew, and what was committed between is not in the stream. A walpost that was killed while the server shut
// down leaves a slot like that, too. The slot must have been looked at before the checkpoint was read. While a recovery is
// under way the slot is ahead anyway.
func (s *Source) checkMoved(resume *Resume, slot LSN, timeline int32) error {
	if resume == nil || resume.LSN == 0 || resume.Recovering || slot <= max(resume.LSN, s.passed(timeline)) || isIdleMark(slot) {
		return nil
	}
	return slotMoved(s.opts, fmt.Sprintf("to %s, past the checkpoint %s", slot, resume.LSN))
}

// checkChanged reports a publication that is not the one whose rows the checkpoint's snapshot stands for.
func (s *Source) checkChanged(resume *Resume, coverage string) error {
	if resume == nil || resume.Recovering || resume.Coverage == "" || resume.Coverage == coverage {
		return nil
	}
	return publicationChanged(s.opts, resume.Coverage, coverage)
}

// startPosition is where streaming begins: the checkpoint, which checkHistory has found to be of the server's history, or
// what this process has confirmed since; 0 is the slot's own position. The server doesn't keep confirmed positions durably,
// so it may offer what was confirmed before.
func (s *Source) startPosition(resume *Resume, timeline int32) LSN {
	start := s.confirmed(timeline)
	if resume != nil {
		start = max(start, resume.LSN)
	}
	return start
}

// followTimeline begins tracking anew when the server's timeline has changed since the last connection (a
// standby was promoted): positions of the old one say nothing about the new one. What was received and not
// confirmed is sent again; rows of transactions that the new primary never had can't be called back.
func (s *Source) followTimeline(found Identity) {
	current := s.tracker.Load()
	if current.timeline == found.Timeline {
		return
	}
	if current.timeline != 0 {
		s.opts.Logger.Warn().Int32("timeline", found.Timeline).Int32("before", current.timeline).
			Msg("the server's timeline has changed; unconfirmed rows are read again")
	}
	s.track(newTracker(found.Timeline, found.Start, s.advanced))
}

// track begins to track anew. What is unresolved is forgotten, also what was read from the table: it is read again.
func (s *Source) track(t *tracker) {
	s.received, s.recoveries.walk, s.recoveries.latest, s.recoveries.overlap = received{}, nil, nil, nil
	s.tracker.Swap(t).replaced.Store(true)
}

// anew forgets what was received, in the connection that follows another reader's.
func (s *Source) anew() {
	s.track(newTracker(0, 0, s.advanced))
}
