package sender

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

// TestHTTP2WhereTheEndpointHasIt sends many requests at a time over HTTP/2: to an endpoint that allows fewer streams on a
// connection than that, and to one that says GOAWAY again and again. Each is delivered, once.
func TestHTTP2WhereTheEndpointHasIt(t *testing.T) {
	t.Parallel()
	const concurrency, requests = 32, 300
	for _, tc := range []struct {
		name    string
		streams int
		goaway  int64 // after every so many requests; 0: never
	}{
		{"streams for all", 100, 0},
		{"fewer streams than requests", 10, 0},
		{"goaway", 100, 20},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var running, most, count, older atomic.Int64
			var mu sync.Mutex
			seen := map[string]int{}
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n := running.Add(1)
				defer running.Add(-1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				if r.ProtoMajor != 2 {
					older.Add(1)
				}
				mu.Lock()
				seen[r.Header.Get("webhook-id")]++
				mu.Unlock()
				if tc.goaway > 0 && count.Add(1)%tc.goaway == 0 {
					w.Header().Set("Connection", "close") // in HTTP/2: GOAWAY, and what is under way goes on
				}
			}))
			server.EnableHTTP2 = true
			server.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: tc.streams}
			server.StartTLS()
			t.Cleanup(server.Close)
			roots := x509.NewCertPool()
			roots.AddCert(server.Certificate())
			e := open(t, Options{Concurrency: concurrency}, wiring{rootCAs: roots})

			numbers := make(chan int)
			var workers sync.WaitGroup
			for range concurrency {
				workers.Go(func() {
					for i := range numbers {
						a := Attempt{DeliveryID: fmt.Sprint(i), Topic: "a.b", Number: 1, Method: http.MethodPost, URL: server.URL, Body: []byte(`{}`)}
						if o := e.Send(t.Context(), a); o.Verdict != Delivered {
							t.Errorf("request %d: %s %s %v", i, o.Verdict, o.Class, o.Err)
						}
					}
				})
			}
			for i := range requests {
				numbers <- i
			}
			close(numbers)
			workers.Wait()
			if older.Load() > 0 {
				t.Errorf("%d requests over an older HTTP", older.Load())
			}
			if most.Load() > concurrency {
				t.Errorf("%d requests at a time", most.Load())
			}
			if len(seen) != requests {
				t.Errorf("%d of %d arrived", len(seen), requests)
			}
			for id, n := range seen {
				if n != 1 {
					t.Errorf("request %s arrived %d times", id, n)
				}
			}
		})
	}
}
