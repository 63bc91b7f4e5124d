package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
)

// runClient posts the same bodies as walpost with nothing but net/http: the limit that a sender can reach here.
// Arguments: URL, number of rows, bytes of a payload, concurrency.
func runClient(ctx context.Context, args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("%s takes URL, rows, payload and concurrency", clientCommand)
	}
	var n [3]int
	for i, arg := range args[1:] {
		v, err := strconv.Atoi(arg)
		if err != nil {
			return err
		}
		n[i] = v
	}
	url, rows, size, concurrency := args[0], n[0], n[1], n[2]
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: concurrency, MaxConnsPerHost: concurrency}}
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, concurrency)
	for range concurrency {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= rows {
					return
				}
				if err := post(ctx, client, url, envelope(i, size)); err != nil {
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
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", resp.Status)
	}
	return nil
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
	b := fmt.Appendf(nil, `{"id":"00000000-0000-4000-8000-%012d","topic":"contact.tagged","created_at":"2026-01-01T00:00:00Z",`, i)
	return append(b, payload(i, size)[1:]...)
}
