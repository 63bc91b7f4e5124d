package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// runClient posts the same bodies as walpost with nothing but net/http: the limit that a sender can reach here.
func runClient(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet(clientCommand, flag.ContinueOnError)
	url := flags.String("url", "", "where to")
	requests := flags.Int("requests", 1, "how many")
	size := flags.Int("payload", 500, "bytes of a payload")
	connections := flags.Int("connections", 1, "requests at a time")
	if err := flags.Parse(args); err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: *connections, MaxConnsPerHost: *connections}}
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, *connections)
	for range *connections {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= *requests {
					return
				}
				if err := post(ctx, client, *url, envelope(i, *size)); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// post sends one body. Any answer will do: the receiver may be told to fail.
func post(ctx context.Context, client *http.Client, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// payload is the JSON object of row i, of about the given number of bytes.
func payload(i, size int) []byte {
	head := fmt.Sprintf(`{"contact": {"id": %d, "type": "lead", "name": "Ada %d", "email": "ada%d@example.com"}, "note": "`, i, i, i)
	b := make([]byte, 0, size+2)
	b = append(b, head...)
	for len(b) < size-2 {
		b = append(b, 'x')
	}
	return append(b, `"}`...)
}

// envelope is the body that walpost makes of row i in its default shape.
func envelope(i, size int) []byte {
	b := fmt.Appendf(nil, `{"id":%q,"topic":"contact.tagged","created_at":"2026-01-01T00:00:00Z",`, eventID(i))
	return append(b, payload(i, size)[1:]...)
}

func eventID(i int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", i) }
