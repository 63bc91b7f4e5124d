// Command go-app is a small application with an outbox: it makes contacts in Postgres, tells of them in the same
// transactions, and receives the webhooks that walpost sends for them.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"time"
)

const (
	address = "127.0.0.1:9000"
	every   = 2 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Getenv("DATABASE_URL"), os.Getenv("WEBHOOK_SECRET")); err != nil {
		log.Fatal(err)
	}
}

// run receives webhooks and makes a contact every two seconds until ctx ends.
func run(ctx context.Context, databaseURL, secret string) error {
	if databaseURL == "" || secret == "" {
		return errors.New("set DATABASE_URL and WEBHOOK_SECRET, as README.md shows")
	}
	receiver, err := newReceiver(secret)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks", receiver)
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe() }()
	defer server.Close()

	contacts, err := openContacts(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer contacts.close()

	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for n := 1; ; n++ {
		id, err := contacts.add(ctx, fmt.Sprintf("Visitor %d", n))
		if err == nil {
			err = contacts.tag(ctx, id, "vip")
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		log.Printf("contact %d added and tagged", id)
		select {
		case <-ctx.Done():
			return nil
		case err := <-served:
			return fmt.Errorf("receive webhooks: %w", err)
		case <-ticker.C:
		}
	}
}
