package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"sync"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const maxBody = 1 << 20

// receiver takes webhooks. It believes only what is signed, and takes each delivery once: after a crash walpost may
// send one again, under the same webhook-id.
type receiver struct {
	verifier *standardwebhooks.Webhook
	received func(topic string, body []byte)

	mu   sync.Mutex
	seen map[string]bool // webhook-ids; a real application keeps them in its database
}

func newReceiver(secret string) (*receiver, error) {
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, fmt.Errorf("read WEBHOOK_SECRET: %w", err)
	}
	return &receiver{
		verifier: verifier,
		received: func(topic string, body []byte) { log.Printf("received %s %s", topic, body) },
		seen:     map[string]bool{},
	}, nil
}

// ServeHTTP answers 2xx to what walpost need not send again.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	if err != nil {
		http.Error(w, "the body is too large or was cut off", http.StatusBadRequest)
		return
	}
	if err := r.verifier.Verify(body, req.Header); err != nil {
		http.Error(w, "the signature is not valid", http.StatusUnauthorized)
		return
	}
	if r.first(req.Header.Get("webhook-id")) {
		r.received(req.Header.Get("webhook-topic"), body)
	}
	w.WriteHeader(http.StatusNoContent)
}

// first says whether a delivery comes for the first time.
func (r *receiver) first(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[id] {
		return false
	}
	r.seen[id] = true
	return true
}
