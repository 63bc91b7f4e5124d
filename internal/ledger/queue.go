package ledger

import (
	"sync"
	"time"
)

// waiting is an entry on its way to the database.
type waiting struct {
	Entry
	since  time.Time // when the entry was submitted: due times count from here
	weight int64     // what it holds of Ledger.pending
}

// queue holds entries in the order of their submission. Its length is bounded by Ledger.pending.
type queue struct {
	mu      sync.Mutex
	entries []waiting
	rows    int
	closed  bool
	changed chan struct{} // capacity 1: entries were added
}

func newQueue() *queue { return &queue{changed: make(chan struct{}, 1)} }

// add reports false once the queue is closed.
func (q *queue) add(w waiting) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.entries = append(q.entries, w)
	q.rows += w.rows()
	select {
	case q.changed <- struct{}{}:
	default:
	}
	return true
}

func (q *queue) len() (entries, rows int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.entries), q.rows
}

// take removes the first entries, as many as fit into the limits and one at least.
func (q *queue) take(maxRows int, maxBytes int64) []waiting {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, rows, size := 0, 0, int64(0)
	for n < len(q.entries) {
		r, b := q.entries[n].rows(), q.entries[n].bytes()
		if n > 0 && (rows+r > maxRows || size+b > maxBytes) {
			break
		}
		n, rows, size = n+1, rows+r, size+b
	}
	taken := q.entries[:n:n]
	if q.entries = q.entries[n:]; len(q.entries) == 0 {
		q.entries = nil
	}
	q.rows -= rows
	return taken
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}
