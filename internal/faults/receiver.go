//go:build unix

package faults

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// delivery is what an endpoint gets once: an event, under a topic, at a webhook.
type delivery struct{ event, topic, webhook string }

// request is one arrival of a delivery.
type request struct {
	number   int       // of all requests, by the order of their arrival
	received time.Time // when its headers were there
	answered time.Time // just before the status was written: the sender can't have known it earlier
	at       time.Time // when the status was written, or the connection was broken
	run      int       // which walpost process sent it
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
	flooding  behaviour = "huge body"  // 200, and more than anybody reads: delivered
	garbage   behaviour = "garbage"    // no HTTP at all
	spelling  behaviour = "slow head"  // 200, byte by byte: delivered
	refusing  behaviour = "401 to 599" // any other error
)

// misbehaviours are all but the first.
var misbehaviours = []behaviour{broken, gone, throttled, resetting, hanging, dribbling, halfway, flooding, garbage, spelling, refusing}

// receiver has all endpoints. It records every request.
type receiver struct {
	server   *http.Server
	listener net.Listener
	serving  sync.WaitGroup

	mu       sync.Mutex
	count    int // requests
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
	r.count++
	arrival.number = r.count
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
	if arrival.answered.IsZero() {
		arrival.answered = arrival.at
	}
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
	if err := verify(req.Header, body); err != nil {
		return delivery{}, fmt.Errorf("signature of a request to %s: %w", webhook, err)
	}
	_, run, _ := strings.Cut(req.UserAgent(), "walpost/run-")
	var errRun, errAttempt error
	q.run, errRun = strconv.Atoi(run)
	q.attempt, errAttempt = strconv.Atoi(req.Header.Get("webhook-attempt"))
	if err := errors.Join(errRun, errAttempt); err != nil {
		return delivery{}, fmt.Errorf("headers of a request to %s: %w", webhook, err)
	}
	return delivery{content.Contact.ID, req.Header.Get("webhook-topic"), webhook}, nil
}

// verify checks a signature as a receiver does (Standard Webhooks 1.0.0, "Signature scheme").
func verify(header http.Header, body []byte) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(signingSecret, "whsec_"))
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(header.Get("webhook-timestamp"), 10, 64)
	if err != nil {
		return err
	}
	if age := time.Since(time.Unix(seconds, 0)); age > tolerance || age < -tolerance {
		return fmt.Errorf("it was made %s ago", age)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", header.Get("webhook-id"), seconds, body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if !slices.Contains(strings.Fields(header.Get("webhook-signature")), want) {
		return fmt.Errorf("%q isn't %q", header.Get("webhook-signature"), want)
	}
	return nil
}

// tolerance is how old a signature may be, by the libraries of Standard Webhooks.
const tolerance = 5 * time.Minute

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
	case garbage:
		answerRaw(w, []byte("\x16\x03\x01 HTTP/9.9 \xff OK\n\n"), len("\x16"))
		return 0
	case halfway:
		w.Header().Set("Content-Length", "1000")
	}
	if status == http.StatusOK {
		status = webhookNamed(d.webhook).usual(d, q)
	}
	q.answered = time.Now()
	if m.behaviour == spelling && status == http.StatusOK {
		answerRaw(w, []byte("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"), 1)
		return status
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
	case flooding:
		for range 64 {
			if _, err := w.Write(flood); err != nil {
				return // as it should
			}
		}
	}
}

var flood = bytes.Repeat([]byte("flood"), 4<<10)

// answerRaw takes the connection and writes to it in pieces.
func answerRaw(w http.ResponseWriter, answer []byte, size int) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	for piece := range slices.Chunk(answer, size) {
		if _, err := conn.Write(piece); err != nil {
			break
		}
	}
	_ = conn.Close() // it may be gone
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
