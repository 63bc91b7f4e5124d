package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// receiver answers HTTP/1.1 POSTs with as little work as it can: both sides share the machine's cores, so what it
// costs is taken from who is measured. It is told how many arrivals to wait for and how to answer.
type receiver struct {
	url      string
	listener net.Listener
	state    atomic.Pointer[expectation]
	late     *wheel
}

// expectation is one measurement's.
type expectation struct {
	answers
	want     int64
	got      atomic.Int64
	first    atomic.Int64 // when the first came, ns since began
	last     atomic.Int64
	began    time.Time
	done     chan struct{}
	running  atomic.Int64 // requests that are being answered
	peak     atomic.Int64 // the most of them at a time
	mu       sync.Mutex
	arrivals map[string]time.Time // the first of each event, by its id; nil: not kept
	times    []time.Time          // of all arrivals, as far as they are kept
}

// answers say what the receiver does with a request.
type answers struct {
	failing int           // of 100 events, how many get a 500
	delay   time.Duration // before the answer
	keep    bool          // when each event arrived is kept
}

func newReceiver() (*receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{url: "http://" + listener.Addr().String() + "/", listener: listener, late: newWheel()}
	r.expect(0, answers{})
	go r.late.turn()
	go r.accept()
	return r, nil
}

func (r *receiver) close() error {
	r.late.stop()
	return r.listener.Close()
}

// expect starts a measurement of n arrivals.
func (r *receiver) expect(n int, a answers) *expectation {
	e := &expectation{answers: a, want: int64(n), began: time.Now(), done: make(chan struct{})}
	if a.keep {
		e.arrivals = make(map[string]time.Time, n)
	}
	r.state.Store(e)
	return e
}

func (r *receiver) accept() {
	for {
		conn, err := r.listener.Accept()
		if err != nil {
			return // closed
		}
		go func() {
			defer conn.Close()
			_ = r.serve(conn) // the client has gone
		}()
	}
}

var (
	answer200     = []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	answer500     = []byte("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
	contentLength = []byte("Content-Length: ")
	idKey         = []byte(`"id":`)
)

// idLength is that of an event id, a UUID.
const idLength = 36

var errRequest = errors.New("request that the receiver can't read")

// serve reads requests with a Content-Length and answers each.
func (r *receiver) serve(conn net.Conn) error {
	in := bufio.NewReaderSize(conn, 32<<10)
	var body []byte
	for {
		length := 0
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return err
			}
			if len(line) <= 2 {
				break
			}
			if value, ok := bytes.CutPrefix(line, contentLength); ok {
				if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
					return fmt.Errorf("%w: %w", errRequest, err)
				}
			}
		}
		if cap(body) < length {
			body = make([]byte, length)
		}
		body = body[:length]
		if _, err := io.ReadFull(in, body); err != nil {
			return err
		}
		id, err := eventOf(body)
		if err != nil {
			return err
		}
		e := r.state.Load()
		answer := e.arrived(id)
		if e.delay > 0 {
			r.late.after(e, conn, answer)
			continue
		}
		e.running.Add(-1)
		if _, err := conn.Write(answer); err != nil {
			return err
		}
	}
}

// eventOf finds the event's id in a body: the first string that a key "id" has.
func eventOf(body []byte) ([]byte, error) {
	_, rest, found := bytes.Cut(body, idKey)
	rest = bytes.TrimLeft(rest, ` "`)
	if !found || len(rest) < idLength {
		return nil, errRequest
	}
	return rest[:idLength], nil
}

// arrived counts a request, and says what to answer.
func (e *expectation) arrived(id []byte) []byte {
	now := time.Now()
	running := e.running.Add(1)
	for peak := e.peak.Load(); running > peak && !e.peak.CompareAndSwap(peak, running); peak = e.peak.Load() {
	}
	if e.keep {
		e.mu.Lock()
		if _, again := e.arrivals[string(id)]; !again {
			e.arrivals[string(id)] = now
		}
		e.times = append(e.times, now)
		e.mu.Unlock()
	}
	switch n := e.got.Add(1); n {
	case 1:
		e.first.Store(int64(now.Sub(e.began)))
		if e.want == 1 {
			close(e.done)
		}
	case e.want:
		e.last.Store(int64(now.Sub(e.began)))
		close(e.done)
	}
	if e.failing > 0 && hundredth(id) < e.failing {
		return answer500
	}
	return answer200
}

// hundredth spreads the events evenly over 0 to 99 by the last digits of their ids.
func hundredth(id []byte) int {
	return int(id[idLength-1]-'0') + 10*int(id[idLength-2]-'0')
}

// rate is arrivals per second between the first and the last.
func (e *expectation) rate() float64 {
	return float64(e.want-1) / time.Duration(e.last.Load()-e.first.Load()).Seconds()
}

// await waits until all have come.
func (e *expectation) await(ctx context.Context) error {
	select {
	case <-e.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d of %d arrived: %w", e.got.Load(), e.want, ctx.Err())
	}
}

// since is how long each event from the given number on took from its time, by its number, to its arrival.
func (e *expectation) since(times []time.Time, from int) spans {
	e.mu.Lock()
	defer e.mu.Unlock()
	took := make(spans, 0, len(times)-from)
	for i, at := range times[from:] {
		// The receiver may have it before the client of the database has the answer to its COMMIT.
		took = append(took, max(0, e.arrivals[eventID(from+i)].Sub(at)))
	}
	slices.Sort(took)
	return took
}

// most is the highest number of arrivals in any window of that length, wherever it begins.
func (e *expectation) most(window time.Duration) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	slices.SortFunc(e.times, time.Time.Compare)
	first := 0
	for i, at := range e.times {
		for at.Sub(e.times[first]) >= window {
			first++
		}
		n = max(n, i-first+1)
	}
	return n
}

// spans are sorted durations.
type spans []time.Duration

// at is the quantile q, from 0 to 1.
func (s spans) at(q float64) time.Duration { return s[int(q*float64(len(s)-1))] }

func (s spans) String() string {
	of := func(q float64) string { return s.at(q).Round(10 * time.Microsecond).String() }
	return fmt.Sprintf("p50 %s, p95 %s, p99 %s, max %s", of(.5), of(.95), of(.99), of(1))
}

// quantile is the median of several measurements' quantile q.
func quantile(all []spans, q float64) time.Duration {
	values := make([]float64, len(all))
	for i, s := range all {
		values[i] = float64(s.at(q))
	}
	median, _, _ := spread(values)
	return time.Duration(median).Round(10 * time.Microsecond)
}
