package demo

import (
	"context"
	"errors"

	"github.com/walpost/walpost/daemon"
)

// work is walpost, running in this process.
type work struct {
	daemon *daemon.Daemon
	cancel context.CancelFunc
	// alive ends when walpost has ended; err is read after that.
	alive context.Context
	err   error
}

// launch starts walpost. It ends by stop alone: the demo's end is in an order.
func launch(d *daemon.Daemon) *work {
	ctx, cancel := context.WithCancel(context.Background())
	alive, ended := context.WithCancel(context.Background())
	w := &work{daemon: d, cancel: cancel, alive: alive}
	go func() {
		defer ended()
		w.err = d.Run(ctx)
		if w.err == nil && ctx.Err() == nil {
			w.err = errors.New("it ended by itself")
		}
	}()
	return w
}

// during gives a context that ends with the given one or with walpost.
func (w *work) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	unhook := context.AfterFunc(w.alive, cancel)
	return ctx, func() {
		unhook()
		cancel()
	}
}

// stop lets walpost drain, and returns its error.
func (w *work) stop() error {
	w.cancel()
	<-w.alive.Done()
	return w.err
}
