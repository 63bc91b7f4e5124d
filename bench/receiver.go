package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// receiver answers 200 to everything and keeps when it did.
type receiver struct {
	url    string
	server *http.Server

	want     atomic.Int64
	got      atomic.Int64
	done     chan struct{}
	mu       sync.Mutex
	first    time.Time
	last     time.Time
	arrivals map[string]time.Time // by event id; nil: not kept
}

func newReceiver() (*receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{url: "http://" + listener.Addr().String() + "/"}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	go r.server.Serve(listener) //nolint:errcheck // always http.ErrServerClosed, after close
	return r, nil
}

func (r *receiver) close() { r.server.Close() }

// expect starts a measurement of n arrivals; wait returns with the last one.
func (r *receiver) expect(n int, keep bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.want.Store(int64(n))
	r.got.Store(0)
	r.done, r.first, r.last, r.arrivals = make(chan struct{}), time.Time{}, time.Time{}, nil
	if keep {
		r.arrivals = make(map[string]time.Time, n)
	}
}

// wait returns when all that is expected has arrived.
func (r *receiver) wait(ctx context.Context) error {
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// idOffset and idEnd are where every body of ours has its event id: {"id":"….
const (
	idOffset = len(`{"id":"`)
	idEnd    = idOffset + 36
)

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	now := time.Now()
	body, err := io.ReadAll(req.Body)
	if err != nil || len(body) < idEnd {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	n := r.got.Add(1)
	if n == 1 || n == r.want.Load() || r.arrivals != nil {
		r.note(string(body[idOffset:idEnd]), n, now)
	}
}

func (r *receiver) note(id string, n int64, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n == 1 {
		r.first = now
	}
	if r.arrivals != nil {
		r.arrivals[id] = now
	}
	if n == r.want.Load() {
		r.last = now
		close(r.done)
	}
}

// rate is arrivals per second between the first and the last.
func (r *receiver) rate() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return float64(r.want.Load()-1) / r.last.Sub(r.first).Seconds()
}
