package cdc

import (
	"sync"
	"sync/atomic"
)

// tracker finds the longest prefix of received transactions that are committed and wholly resolved. The
// connection's goroutine calls begin, commit, abandon and idle in the order of the wire; rows are resolved
// by any goroutine. A tracker lives for one timeline of the server: positions of two timelines can't be
// compared.
type tracker struct {
	timeline int32
	advanced chan<- struct{} // cap 1
	replaced atomic.Bool     // another one tracks what the stream sends now

	mu         sync.Mutex
	head, tail *txn     // received and not yet part of the prefix, in commit order
	position   Position // at first the start of the stream, which is nothing to confirm
	known      bool     // position has moved
}

// txn is one received transaction.
type txn struct {
	tracker *tracker
	begin   LSN // of its commit record, as its begin message says
	// open counts the rows that are handed over and not resolved, plus one until the commit has arrived.
	open atomic.Int64

	// Guarded by tracker.mu.
	end       LSN    // end of its commit record; 0 when it was abandoned
	snapshot  string // that sees it and all before it, where rows are polled
	walk      *Walk  // how far it has come, where rows are read from the table
	done      bool
	following *txn
}

func newTracker(timeline int32, start LSN, advanced chan<- struct{}) *tracker {
	return &tracker{timeline: timeline, advanced: advanced, position: Position{lsn: start, timeline: timeline}}
}

// newSeenTracker tracks what is polled after a snapshot, of which all is resolved that it sees.
func newSeenTracker(timeline int32, seen snapshot, advanced chan<- struct{}) *tracker {
	return &tracker{timeline: timeline, advanced: advanced, position: Position{timeline: timeline, snapshot: seen.String()}, known: true}
}

// begin appends a transaction.
func (t *tracker) begin(commitLSN LSN) *txn {
	x := &txn{tracker: t, begin: commitLSN}
	x.open.Store(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tail == nil {
		t.head = x
	} else {
		t.tail.following = x
	}
	t.tail = x
	return x
}

// hold adds a row to resolve. It is called between begin and commit.
func (x *txn) hold() { x.open.Add(1) }

// release resolves one row, or the commit. No lock is taken but by the last one.
func (x *txn) release() {
	switch left := x.open.Add(-1); {
	case left == 0:
		x.tracker.finish(x)
	case left < 0:
		panic("cdc: a row was resolved twice")
	}
}

// commit says where the transaction ends and that no more rows follow.
func (t *tracker) commit(x *txn, end LSN) { t.commitSeen(x, end, "") }

// commitSeen is commit for rows that were polled: once they are resolved, all is that the snapshot sees.
func (t *tracker) commitSeen(x *txn, end LSN, snapshot string) {
	t.mu.Lock()
	x.end, x.snapshot = end, snapshot
	t.mu.Unlock()
	x.release()
}

// commitWalk is commit for rows that were read from the table in place of the stream. Its end is where the stream begins,
// once all were, and 0 before: then it moves the walk alone.
func (t *tracker) commitWalk(x *txn, end LSN, walk *Walk) {
	t.mu.Lock()
	x.end, x.walk = end, walk
	t.mu.Unlock()
	x.release()
}

// abandon ends a transaction whose commit will never arrive. It counts as resolved with its rows, and moves
// no position.
func (t *tracker) abandon(x *txn) { x.release() }

// finish extends the prefix as far as it goes.
func (t *tracker) finish(x *txn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x.done = true
	moved := false
	for t.head != nil && t.head.done {
		if end := t.head.end; end > t.position.commit {
			t.position.commit = end
			if end == t.position.lsn { // a recovery ends where the stream begins: that is progress, too
				t.known, moved = true, true
			}
			moved = t.raise(end) || moved
		}
		if seen := t.head.snapshot; seen != "" {
			t.position.snapshot, t.known, moved = seen, true, true
		}
		if walk := t.head.walk; walk != nil {
			t.position.walk, moved = walk, true
		}
		t.head = t.head.following
	}
	if t.head == nil {
		t.tail = nil
	}
	if moved {
		t.signal()
	}
}

// idle takes the position of a keepalive: when nothing received is unresolved, everything up to it is.
func (t *tracker) idle(walEnd LSN) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.head == nil && t.raise(walEnd) {
		t.signal()
	}
}

// raise moves the position forward only. The caller holds mu.
func (t *tracker) raise(lsn LSN) bool {
	if lsn <= t.position.lsn {
		return false
	}
	t.position.lsn, t.known = lsn, true
	return true
}

// signal leaves one signal waiting at most.
func (t *tracker) signal() {
	select {
	case t.advanced <- struct{}{}:
	default:
	}
}

// unresolved reports whether a received transaction is not part of the prefix.
func (t *tracker) unresolved() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.head != nil
}

// progress returns the end of the prefix, and whether there is one yet.
func (t *tracker) progress() (Position, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.position, t.known
}
