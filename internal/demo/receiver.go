package demo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	statusGone = http.StatusGone
	// slowness is how long the slow endpoint takes.
	slowness = time.Second
	maxBody  = 1 << 20
	// headerTimeout bounds how long a client may take for its request's headers.
	headerTimeout = 5 * time.Second
)

// The demo's webhooks, and the paths of their endpoints.
const (
	everything = "everything"
	crm        = "crm"
	slow       = "slow"
	flaky      = "flaky"
	gone       = "gone"
)

// signed are the webhooks that demo.hcl signs.
var signed = map[string]bool{everything: true, crm: true}

// arrival is a request that the receiver got, and its answer.
type arrival struct {
	at                 time.Time
	took               time.Duration // until the answer
	webhook, topic, id string
	attempt            int
	status             int
	body               [sha256.Size]byte
	forged             bool // has not the signature that it must have
}

// receiver is the other end: an HTTP server on the loopback interface with an endpoint for each webhook.
type receiver struct {
	url      string
	listener net.Listener
	server   *http.Server
	done     chan error // how the server ended
	verifier *standardwebhooks.Webhook
	arrived  func(*arrival)

	mu       sync.Mutex
	failures map[string]int // by webhook-id: how many times the flaky endpoint still fails
}

// newReceiver is ready to serve what the listener gets. The secret is that of the signed webhooks.
func newReceiver(listener net.Listener, secret string) (*receiver, error) {
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, fmt.Errorf("read the webhook secret: %w", err)
	}
	return &receiver{
		url: "http://" + listener.Addr().String(), listener: listener,
		done: make(chan error, 1), verifier: verifier, failures: map[string]int{},
	}, nil
}

// serve answers requests until close. arrived is told of each before it is answered, by many goroutines.
func (r *receiver) serve(arrived func(*arrival)) {
	r.arrived = arrived
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: headerTimeout}
	go func() { r.done <- r.server.Serve(r.listener) }()
}

// close ends the receiver once it has answered what it has got, or at once when ctx ends.
func (r *receiver) close(ctx context.Context) error {
	err := r.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, r.server.Close())
	}
	if served := <-r.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	if err != nil {
		return fmt.Errorf("close the receiver: %w", err)
	}
	return nil
}

// ServeHTTP answers a webhook.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	a := &arrival{
		at: time.Now(), webhook: strings.TrimPrefix(req.URL.Path, "/"),
		topic: req.Header.Get("webhook-topic"), id: req.Header.Get("webhook-id"),
	}
	a.attempt, _ = strconv.Atoi(req.Header.Get("webhook-attempt")) // 0 shows that it has none
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	if err != nil {
		return // walpost has cut the request off, and sends it again
	}
	a.body = sha256.Sum256(body)
	a.forged = signed[a.webhook] && r.verifier.Verify(body, req.Header) != nil
	if a.status = r.answer(req.Context(), a); a.status == 0 {
		return
	}
	a.took = time.Since(a.at)
	r.arrived(a)
	w.WriteHeader(a.status)
}

// answer decides the status of the answer. 0: walpost doesn't wait for it any more.
func (r *receiver) answer(ctx context.Context, a *arrival) int {
	if a.forged {
		return http.StatusUnauthorized
	}
	switch a.webhook {
	case everything:
		return http.StatusOK
	case crm:
		return http.StatusCreated
	case slow:
		select {
		case <-time.After(slowness):
			return http.StatusOK
		case <-ctx.Done():
			return 0
		}
	case flaky:
		if r.fails(a.id) {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	case gone:
		return statusGone
	default:
		return http.StatusNotFound
	}
}

// fails says whether the flaky endpoint fails now: at each delivery's first request, and at every third one's
// second, too.
func (r *receiver) fails(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	left, known := r.failures[id]
	if !known {
		left = 1
		if len(r.failures)%3 == 0 {
			left = 2
		}
	}
	r.failures[id] = max(0, left-1)
	return left > 0
}
