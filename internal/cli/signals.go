package cli

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"
)

// errInterrupted is the cause of a context that a signal has ended.
var errInterrupted = errors.New("interrupted")

// interrupted reports whether a signal has ended the context.
func interrupted(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errInterrupted) }

// signalHandler says what signals do: the first SIGINT or SIGTERM ends the command's context, the second aborts
// what can be aborted, SIGHUP reloads. For a command without abort and reload every signal means the end.
type signalHandler struct {
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	ends    int // SIGINT and SIGTERM so far
	last    os.Signal
	lastAt  time.Time
	abort   func()
	aborted bool
	reload  func()
}

func newSignalHandler(cancel context.CancelCauseFunc) *signalHandler {
	return &signalHandler{cancel: cancel}
}

// hooks sets what a second end and a SIGHUP do. Neither may block.
func (h *signalHandler) hooks(abort, reload func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.abort, h.reload = abort, reload
}

// wasAborted reports whether a second signal came in time to abort the command.
func (h *signalHandler) wasAborted() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.aborted
}

// echo is how long the same signal, come again, counts as the one before: `timeout`, `go run` and some supervisors
// signal the process and its group, which is one wish and not two.
const echo = 300 * time.Millisecond

// handle reports false when the signal leaves nothing but to exit at once.
func (h *signalHandler) handle(s os.Signal) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s == syscall.SIGHUP && h.reload != nil {
		h.reload()
		return true
	}
	if s == h.last && time.Since(h.lastAt) < echo {
		return true
	}
	h.last, h.lastAt = s, time.Now()
	h.ends++
	switch {
	case h.ends == 1:
		h.cancel(errInterrupted)
		return true
	case h.ends == 2 && h.abort != nil:
		h.aborted = true
		h.abort()
		return true
	}
	return false
}
