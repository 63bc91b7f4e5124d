package main

import (
	"net"
	"sync"
	"time"
)

// wheel writes answers that are late on purpose. One goroutine writes all that has come due once in a tick: a sleeping goroutine
// for each request would cost the machine more than the request, and that would be taken from who is measured.
type wheel struct {
	mu      sync.Mutex
	pending []lateAnswer // in the order in which they are due, as all of a measurement have the same delay
	stopped chan struct{}
}

type lateAnswer struct {
	at     time.Time
	of     *expectation
	conn   net.Conn
	answer []byte
}

// tick is how late an answer can be beyond its delay.
const tick = 500 * time.Microsecond

func newWheel() *wheel { return &wheel{stopped: make(chan struct{})} }

func (w *wheel) stop() { close(w.stopped) }

// after has an answer written after the measurement's delay. Whoever reads from the connection goes on.
func (w *wheel) after(e *expectation, conn net.Conn, answer []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = append(w.pending, lateAnswer{time.Now().Add(e.delay), e, conn, answer})
}

// turn writes what is due until the wheel is stopped.
func (w *wheel) turn() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var due []lateAnswer
	for {
		select {
		case <-w.stopped:
			return
		case now := <-ticker.C:
			due = w.take(due[:0], now)
		}
		for _, late := range due {
			late.of.running.Add(-1)
			_, _ = late.conn.Write(late.answer) // the client may have gone
		}
	}
}

// take moves what is due to the given slice.
func (w *wheel) take(due []lateAnswer, now time.Time) []lateAnswer {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for n < len(w.pending) && !w.pending[n].at.After(now) {
		n++
	}
	due = append(due, w.pending[:n]...)
	w.pending = append(w.pending[:0], w.pending[n:]...)
	return due
}
