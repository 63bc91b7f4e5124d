//go:build unix

package faults

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// delivery is what an endpoint gets once: an event, under a topic, at a webhook.
type delivery struct{ event, topic, webhook string }

// request is one arrival of a delivery.
type request struct {
	at       time.Time // of its answer
	received time.Time
	run      int // which walpost process sent it
	attempt  int
	id       string
	body     [sha256.Size]byte
	status   int // that was answered; 0: none
}

// succeeded reports whether the sender may take the delivery for delivered.
func (q *request) succeeded() bool { return q.status >= 200 && q.status <= 299 }

// behaviour is how an endpoint answers.
type behaviour string

const (
	healthy   behaviour = "healthy"    // 200 at once
	broken    behaviour = "500"        // an error
	gone      behaviour = "410"        // for good, until it is enabled again
	throttled behaviour = "429"        // come back in a second
	resetting behaviour = "reset"      // the connection breaks, before or after the request was read
	hanging   behaviour = "timeout"    // no answer while it lasts, then none at all
	dribbling behaviour = "slow body"  // 200, and a body that takes a while: delivered
	halfway   behaviour = "short body" // 200, and a body that breaks off: delivered
	refusing  behaviour = "401 to 599" // any other error
)

// misbehaviours are all but the first.
var misbehaviours = []behaviour{broken, gone, throttled, resetting, hanging, dribbling, halfway, refusing}

// receiver has all endpoints. It records every request.
type receiver struct {
	server   *http.Server
	listener net.Listener
	serving  sync.WaitGroup

	mu       sync.Mutex
	book     map[delivery][]request
	problems []string // requests that are no deliveries
	modes    map[string]mode
	heard    chan struct{} // capacity 1, signalled by arrivals
}

// mode is the behaviour of an endpoint; over is closed when it ends.
type mode struct {
	behaviour
	over chan struct{}
}

func newReceiver() (*receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{
		listener: listener, book: map[delivery][]request{}, modes: map[string]mode{}, heard: make(chan struct{}, 1),
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	r.serving.Go(func() { _ = r.server.Serve(listener) }) // ends with close
	return r, nil
}

func (r *receiver) url() string { return "http://" + r.listener.Addr().String() }

func (r *receiver) close() {
	for _, w := range webhooks {
		r.behave(w.name, healthy) // what hangs, ends
	}
	r.server.Close()
	r.serving.Wait()
}

// behave sets how a webhook's endpoint answers from now on.
func (r *receiver) behave(webhook string, b behaviour) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.modes[webhook]; old.over != nil {
		close(old.over)
	}
	r.modes[webhook] = mode{behaviour: b, over: make(chan struct{})}
}

// ServeHTTP records the request and answers by the mode of the endpoint, which is the path.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	arrival := request{received: time.Now()}
	webhook := strings.TrimPrefix(req.URL.Path, "/")
	r.mu.Lock()
	m := r.modes[webhook]
	r.mu.Unlock()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the sender was killed while it sent: nothing has arrived
	}
	arrival.body = sha256.Sum256(body)
	d, err := arrival.read(req, webhook, body)
	if err != nil {
		r.mu.Lock()
		r.problems = append(r.problems, err.Error())
		r.mu.Unlock()
		return
	}
	arrival.status = r.answer(w, req, m, d, &arrival)
	arrival.at = time.Now()
	r.mu.Lock()
	r.book[d] = append(r.book[d], arrival)
	r.mu.Unlock()
	select {
	case r.heard <- struct{}{}:
	default:
	}
	if arrival.status != 0 {
		r.finish(w, m)
	}
}

// read takes from a request what identifies it. The event's id is in the payload, so it doesn't depend on anything that
// walpost makes of it.
func (q *request) read(req *http.Request, webhook string, body []byte) (delivery, error) {
	var content struct {
		Contact struct{ ID string }
	}
	if err := json.Unmarshal(body, &content); err != nil {
		return delivery{}, fmt.Errorf("body of a request to %s: %w: %.200q", webhook, err, body)
	}
	if content.Contact.ID == "" {
		return delivery{}, fmt.Errorf("no event in the body of a request to %s: %.200q", webhook, body)
	}
	q.id = req.Header.Get("webhook-id")
	_, run, _ := strings.Cut(req.UserAgent(), "walpost/run-")
	var errRun, errAttempt error
	q.run, errRun = strconv.Atoi(run)
	q.attempt, errAttempt = strconv.Atoi(req.Header.Get("webhook-attempt"))
	if err := errors.Join(errRun, errAttempt); err != nil {
		return delivery{}, fmt.Errorf("headers of a request to %s: %w", webhook, err)
	}
	return delivery{content.Contact.ID, req.Header.Get("webhook-topic"), webhook}, nil
}

// answer writes the status and gives it, 0 for none.
func (r *receiver) answer(w http.ResponseWriter, req *http.Request, m mode, d delivery, q *request) int {
	status := http.StatusOK
	switch m.behaviour {
	case broken:
		status = http.StatusInternalServerError
	case gone:
		status = http.StatusGone
	case throttled:
		w.Header().Set("Retry-After", "1")
		status = http.StatusTooManyRequests
	case refusing:
		statuses := []int{401, 404, 422, 502, 503, 599, 302}
		status = statuses[int(q.body[0])%len(statuses)]
	case resetting:
		hangUp(w)
		return 0
	case hanging:
		select {
		case <-m.over:
		case <-req.Context().Done():
		}
		hangUp(w)
		return 0
	case halfway:
		w.Header().Set("Content-Length", "1000")
	}
	if status == http.StatusOK {
		status = webhookNamed(d.webhook).usual(d, q)
	}
	w.WriteHeader(status)
	_ = http.NewResponseController(w).Flush() // what matters is that we have tried
	return status
}

// finish writes the rest of the answer, after its status.
func (r *receiver) finish(w http.ResponseWriter, m mode) {
	switch m.behaviour {
	case dribbling:
		for range 20 {
			if _, err := w.Write([]byte("still here\n")); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush() // as above
			select {
			case <-m.over:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	case halfway:
		_, _ = w.Write([]byte("that's a")) // as above
		hangUp(w)
	}
}

// hangUp breaks the connection with RST.
func hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		reset(tcp)
	}
}

// arrived is how many deliveries of an event have succeeded.
func (r *receiver) arrived(deliveries []delivery) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range deliveries {
		for i := range r.book[d] {
			if r.book[d][i].succeeded() {
				n++
				break
			}
		}
	}
	return n
}
