package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/walpost/walpost/internal/failpoint"
)

// Submit gives an entry to the writer. It blocks while Options.MaxPending bytes wait to be written. An error means
// that the entry was not taken: it is malformed, ctx ended, or the writer has stopped (ErrStopped).
func (l *Ledger) Submit(ctx context.Context, e Entry) error {
	if err := e.check(); err != nil {
		return fmt.Errorf("submit to the ledger: %w", err)
	}
	if e.epoch() != 0 && l.options.Slot == "" {
		return errors.New("submit to the ledger: an entry has an epoch, and Options.Slot doesn't say of which slot")
	}
	w := waiting{Entry: e, since: time.Now(), weight: min(e.bytes(), l.options.MaxPending)}
	if err := l.pending.Acquire(ctx, w.weight); err != nil {
		return fmt.Errorf("submit to the ledger: %w", err)
	}
	a, captures := e.(Attempted)
	if captures = captures && len(a.Captures) > 0; captures {
		l.capturing.add(&a)
	}
	if !l.queue.add(w) {
		l.pending.Release(w.weight)
		if captures {
			l.capturing.remove(&a)
		}
		return fmt.Errorf("submit to the ledger: %w", ErrStopped)
	}
	return nil
}

// What one transaction takes at most: a multiple of BatchSize in rows, and bytes, so that one batch neither holds
// its locks for long nor needs much memory on the server.
const (
	batchGrowth   = 10
	batchMaxBytes = 8 << 20
)

// Run writes what is submitted until ctx ends, then what is still waiting. A database that can't be written to is tried
// again for ever, or until Options.FlushTimeout after ctx has ended; nothing is dropped before. Run is called once.
func (l *Ledger) Run(ctx context.Context) error {
	writing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		l.queue.close()
		time.AfterFunc(l.options.FlushTimeout, cancel)
	})
	defer stop()
	w := &writer{Ledger: l}
	for w.await(ctx) {
		w.write(writing, l.queue.take(l.options.BatchSize*batchGrowth, batchMaxBytes))
	}
	return nil
}

// writer is the state of Run.
type writer struct {
	*Ledger
	last    time.Time       // start of the last transaction
	trouble time.Time       // since when the database refuses; zero: it doesn't
	causes  map[string]bool // SQLSTATEs of the trouble that were logged
}

// await blocks until a batch is worth a transaction: at once after a quiet time, else when BatchSize rows wait or
// BatchDelay has passed. It reports false when ctx has ended and all is written.
func (w *writer) await(ctx context.Context) bool {
	for {
		stopping := ctx.Err() != nil
		entries, rows := w.queue.len()
		if entries == 0 && stopping {
			w.queue.close() // the context's own callback may be late
			entries, _ = w.queue.len()
			return entries > 0
		}
		var due <-chan time.Time
		if entries > 0 {
			delay := time.Until(w.last.Add(w.options.BatchDelay))
			if delay <= 0 || rows >= w.options.BatchSize || stopping {
				return true
			}
			due = time.After(delay)
		}
		select {
		case <-ctx.Done():
		case <-w.queue.changed:
		case <-due:
		}
	}
}

// write records entries, in one transaction where it can be.
func (w *writer) write(ctx context.Context, entries []waiting) {
	defer clear(entries) // the queue's array must not keep payloads alive
	for rest := entries; len(rest) > 0; {
		n := distinct(rest)
		w.record(ctx, rest[:n], false)
		rest = rest[n:]
	}
}

// distinct is how many of the first entries change no row twice, which one statement can't do, and are of one epoch.
func distinct(entries []waiting) int {
	seen := make(map[any]bool, len(entries))
	var epoch int64
	for i := range entries {
		if of := entries[i].epoch(); of != 0 {
			if epoch != 0 && of != epoch {
				return i
			}
			epoch = of
		}
		var key any
		switch e := entries[i].Entry.(type) {
		case Attempted:
			key = mustID(e.ID)
		case Quarantined:
			key = [4]string{e.Event.ID, e.Rule, e.Webhook, e.Topic}
		default:
			continue
		}
		if seen[key] {
			return i
		}
		seen[key] = true
	}
	return len(entries)
}

// record brings entries to their end: committed, refused or, when ctx ends, given up. again says that an earlier try
// may have been committed without our knowing.
func (w *writer) record(ctx context.Context, entries []waiting, again bool) {
	for try := 0; ; try++ {
		w.last = time.Now()
		lost, err := w.commit(ctx, entries, again)
		switch {
		case err == nil:
			w.recovered()
			for i := range entries {
				var outcome error
				if a, ok := entries[i].Entry.(Attempted); ok && lost[mustID(a.ID)] {
					outcome = fmt.Errorf("record attempt %d of delivery %s: %w", a.Attempt, a.ID, ErrFenced)
				}
				w.finish(&entries[i], outcome)
			}
			failpoint.Hit(failpoint.AfterLedgerDone)
			return
		case overtaken(err):
			w.finishFenced(ctx, entries, again)
			return
		case refused(err) && len(entries) == 1:
			w.finish(&entries[0], fmt.Errorf("record in the ledger: %w", err))
			return
		case refused(err):
			half := len(entries) / 2
			w.record(ctx, entries[:half], again)
			w.record(ctx, entries[half:], again)
			return
		}
		if !w.pause(ctx, err, try) {
			for i := range entries {
				w.finish(&entries[i], fmt.Errorf("%w: %w", ErrStopped, err))
			}
			return
		}
		again = true
	}
}

// finishFenced refuses those entries that have the epoch which is over, and records the rest.
func (w *writer) finishFenced(ctx context.Context, entries []waiting, again bool) {
	var rest []waiting
	for i := range entries {
		if of := entries[i].epoch(); of != 0 {
			w.finish(&entries[i], fmt.Errorf("record in epoch %d of slot %q: %w", of, w.options.Slot, ErrFenced))
			continue
		}
		rest = append(rest, entries[i])
	}
	if len(rest) > 0 {
		w.record(ctx, rest, again)
	}
}

// finish tells the entry's owner. The room it took in the queue is free again before, so that the owner may submit.
func (w *writer) finish(e *waiting, err error) {
	w.pending.Release(e.weight)
	if a, ok := e.Entry.(Attempted); ok && len(a.Captures) > 0 {
		w.capturing.remove(&a)
	}
	if done := e.done(); done != nil {
		done(err)
	}
}

// pause waits before the next try, and reports false when there is to be none.
func (w *writer) pause(ctx context.Context, err error, try int) bool {
	if ctx.Err() != nil {
		return false
	}
	if w.trouble.IsZero() {
		w.trouble, w.causes = time.Now(), make(map[string]bool)
	}
	if cause := stateOf(err); !w.causes[cause] { // a terminated session is only how the true cause begins
		w.causes[cause] = true
		line := w.options.Logger.Warn().Err(err)
		if try, ok := advice[cause]; ok {
			line = line.Str("try", try)
		}
		line.Msg("ledger can't be written; trying again until it can")
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(backoff(try)):
		return true
	}
}

func (w *writer) recovered() {
	if w.trouble.IsZero() {
		return
	}
	w.options.Logger.Info().Dur("after", time.Since(w.trouble)).Msg("ledger recovered")
	w.trouble = time.Time{}
}

// stateOvertaken is the SQLSTATE of walpost.fence.
const stateOvertaken = "WP001"

// overtaken reports whether a transaction's epoch is over.
func overtaken(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == stateOvertaken
}

// stateOf is the SQLSTATE of an error of the server, "" of any other.
func stateOf(err error) string {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return ""
	}
	return pg.Code
}

// refused reports whether Postgres refuses the rows themselves, so that trying again can't help. Classes of
// PostgreSQL's appendix A: 22 data exception, 23 integrity constraint violation, 54 program limit exceeded.
func refused(err error) bool {
	state := stateOf(err)
	if len(state) < 2 {
		return false
	}
	class := state[:2]
	return class == "22" || class == "23" || class == "54"
}
