package sender

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pause waits in virtual time, or until the client has gone, which a server notices once it has read the body.
func pause(r *http.Request, d time.Duration) {
	_, _ = io.Copy(io.Discard, r.Body)
	select {
	case <-time.After(d):
	case <-r.Context().Done():
	}
}

// inBubble runs test against a receiver in virtual time. Closing first the endpoint, then the server, ends the bubble.
func inBubble(t *testing.T, o Options, handler http.HandlerFunc, test func(t *testing.T, e *Endpoint)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network, stop := serveMemory(handler)
		defer stop()
		e, err := newEndpoint(o, wiring{dial: network.dial})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		test(t, e)
	})
}

func TestTimeoutIsTenSecondsToTheHeaders(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		after   time.Duration
		verdict Verdict
		class   Class
		status  int
		took    time.Duration
	}{
		{9999 * time.Millisecond, Delivered, ClassOK, 200, 9999 * time.Millisecond},
		{10001 * time.Millisecond, Retry, ClassTimeout, 0, 10 * time.Second},
		{time.Hour, Retry, ClassTimeout, 0, 10 * time.Second},
	} {
		t.Run(tc.after.String(), func(t *testing.T) {
			t.Parallel()
			inBubble(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
				pause(r, tc.after)
				w.WriteHeader(http.StatusOK)
			}, func(t *testing.T, e *Endpoint) {
				start := time.Now()
				o := e.Send(t.Context(), post("http://receiver.test/"))
				expect(t, o, tc.verdict, tc.class, tc.status)
				if o.Duration != tc.took || time.Since(start) != tc.took {
					t.Errorf("took %s, returned after %s, want %s", o.Duration, time.Since(start), tc.took)
				}
			})
		})
	}
}

func TestTimeoutOfAnEndpointIsItsOwn(t *testing.T) {
	t.Parallel()
	inBubble(t, Options{Timeout: 2 * time.Second}, func(_ http.ResponseWriter, r *http.Request) {
		pause(r, 3*time.Second)
	}, func(t *testing.T, e *Endpoint) {
		o := e.Send(t.Context(), post("http://receiver.test/"))
		expect(t, o, Retry, ClassTimeout, 0)
		if o.Duration != 2*time.Second || o.Err.Error() != "no answer within 2s" {
			t.Errorf("took %s, want 2 s: %v", o.Duration, o.Err)
		}
	})
}

func TestConnectCountsTowardsTheTimeout(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		connect time.Duration
		verdict Verdict
		class   Class
		status  int
	}{
		{5999 * time.Millisecond, Delivered, ClassOK, 200},
		{6001 * time.Millisecond, Retry, ClassTimeout, 0},
		{time.Hour, Retry, ClassTimeout, 0},
	} {
		t.Run(tc.connect.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				network, stop := serveMemory(func(_ http.ResponseWriter, r *http.Request) { pause(r, 4*time.Second) })
				defer stop()
				e, err := newEndpoint(Options{}, wiring{dial: func(ctx context.Context, n, a string) (net.Conn, error) {
					select {
					case <-time.After(tc.connect):
					case <-ctx.Done():
						return nil, ctx.Err()
					}
					return network.dial(ctx, n, a)
				}})
				if err != nil {
					t.Fatal(err)
				}
				defer e.Close()
				o := e.Send(t.Context(), post("http://receiver.test/"))
				expect(t, o, tc.verdict, tc.class, tc.status)
				if tc.connect == time.Hour && o.Err.Error() != "no connection within 10s" {
					t.Errorf("the error is %v", o.Err)
				}
			})
		})
	}
}

func TestSlowBodyChangesNothing(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 410, 500} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			inBubble(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
				pause(r, 4*time.Second)
				w.WriteHeader(status)
				for r.Context().Err() == nil { // a byte a second, for ever
					_, _ = w.Write([]byte("x"))
					w.(http.Flusher).Flush()
					pause(r, time.Second)
				}
			}, func(t *testing.T, e *Endpoint) {
				start := time.Now()
				o := e.Send(t.Context(), post("http://receiver.test/"))
				if o.Status != status || (o.Verdict == Delivered) != (status == 200) || (o.Verdict == Gone) != (status == 410) {
					t.Errorf("got %s with status %d (%v)", o.Verdict, o.Status, o.Err)
				}
				if o.Duration != 4*time.Second || time.Since(start) != 10*time.Second {
					t.Errorf("headers after %s, returned after %s, want 4 s and 10 s", o.Duration, time.Since(start))
				}
				if len(o.Excerpt) < 5 || strings.Trim(string(o.Excerpt), "x") != "" {
					t.Errorf("excerpt %q", o.Excerpt)
				}
			})
		})
	}
}

func TestSwitchedProtocolIsNotRead(t *testing.T) {
	t.Parallel()
	inBubble(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn) // until the client closes it
	}, func(t *testing.T, e *Endpoint) {
		start := time.Now()
		expect(t, e.Send(t.Context(), post("http://receiver.test/")), Retry, ClassStatus, 101)
		if took := time.Since(start); took != 0 {
			t.Errorf("waited %s for a body", took)
		}
	})
}

func TestShutdownInterrupts(t *testing.T) {
	t.Parallel()
	inBubble(t, Options{}, func(_ http.ResponseWriter, r *http.Request) {
		pause(r, time.Hour)
	}, func(t *testing.T, e *Endpoint) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // a drain deadline counts as shutdown too
		defer cancel()
		o := e.Send(ctx, post("http://receiver.test/"))
		expect(t, o, Interrupted, ClassInterrupted, 0)
		if o.Duration != 3*time.Second {
			t.Errorf("took %s, want 3 s", o.Duration)
		}
		if delay, again := e.Policy().Next(4, o); delay != 0 || !again {
			t.Errorf("next is %s, %t; want at once, even after the last retry", delay, again)
		}
		ended, end := context.WithCancel(t.Context())
		end()
		expect(t, e.Send(ended, post("http://receiver.test/")), Interrupted, ClassInterrupted, 0)
	})
}

func TestScheduleIsFiveMinutesOneHourThreeHours(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []time.Time
	var bodies, ids []string
	handler := func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, 100)
		n, _ := r.Body.Read(body)
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, time.Now())
		bodies = append(bodies, string(body[:n]))
		ids = append(ids, r.Header.Get("Webhook-Id")+"/"+r.Header.Get("Webhook-Attempt"))
		w.WriteHeader(http.StatusInternalServerError)
	}
	inBubble(t, Options{}, handler, func(t *testing.T, e *Endpoint) {
		start := time.Now()
		attempt := post("http://receiver.test/")
		for {
			o := e.Send(t.Context(), attempt)
			expect(t, o, Retry, ClassStatus, 500)
			delay, again := e.Policy().Next(attempt.Number, o)
			if !again {
				break
			}
			time.Sleep(delay)
			attempt.Number++
		}
		var offsets []time.Duration
		for _, at := range seen {
			offsets = append(offsets, at.Sub(start))
		}
		want := []time.Duration{0, 5 * time.Minute, time.Hour + 5*time.Minute, 4*time.Hour + 5*time.Minute}
		if !slices.Equal(offsets, want) {
			t.Errorf("attempts at %v, want %v", offsets, want)
		}
		id := attempt.DeliveryID
		if want := []string{id + "/1", id + "/2", id + "/3", id + "/4"}; !slices.Equal(ids, want) {
			t.Errorf("ids and attempts %v, want %v", ids, want)
		}
		if len(slices.Compact(bodies)) != 1 {
			t.Errorf("bodies differ between attempts: %q", bodies)
		}
	})
}

func TestRetryAfterMovesTheNextAttempt(t *testing.T) {
	t.Parallel()
	inBubble(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
		// A receiver whose clock is an hour behind: the delay it means is two hours, by its own Date.
		behind := time.Now().Add(-time.Hour).UTC()
		w.Header().Set("Date", behind.Format(http.TimeFormat))
		w.Header().Set("Retry-After", behind.Add(2*time.Hour).Format(http.TimeFormat))
		w.WriteHeader(http.StatusTooManyRequests)
	}, func(t *testing.T, e *Endpoint) {
		o := e.Send(t.Context(), post("http://receiver.test/"))
		expect(t, o, Retry, ClassStatus, 429)
		for attempt, want := range map[int]time.Duration{1: 2 * time.Hour, 2: 2 * time.Hour, 3: 3 * time.Hour} {
			if delay, again := e.Policy().Next(attempt, o); delay != want || !again {
				t.Errorf("after attempt %d: %s, %t; want %s", attempt, delay, again, want)
			}
		}
		if _, again := e.Policy().Next(4, o); again {
			t.Error("Retry-After gave a fifth attempt")
		}
	})
}

func TestHangingEndpointsDelayNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dead, stopDead := serveMemory(func(_ http.ResponseWriter, r *http.Request) { pause(r, time.Hour) })
		defer stopDead()
		good, stopGood := serveMemory(answer(http.StatusNoContent))
		defer stopGood()
		var hanging sync.WaitGroup
		defer hanging.Wait()
		for range 500 {
			e, err := newEndpoint(Options{}, wiring{dial: dead.dial})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			hanging.Go(func() { expect(t, e.Send(t.Context(), post("http://dead.test/")), Retry, ClassTimeout, 0) })
		}
		synctest.Wait() // all of them hang
		e, err := newEndpoint(Options{}, wiring{dial: good.dial})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		for range 20 {
			o := e.Send(t.Context(), post("http://good.test/"))
			expect(t, o, Delivered, ClassOK, 204)
			if o.Duration != 0 {
				t.Errorf("waited %s for other endpoints", o.Duration)
			}
		}
	})
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		network, stop := serveMemory(answer(http.StatusOK))
		defer stop()
		dials := 0
		e, err := newEndpoint(Options{}, wiring{dial: func(ctx context.Context, n, a string) (net.Conn, error) {
			dials++
			return network.dial(ctx, n, a)
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		for i, want := range []int{1, 1, 2} { // before the first, after 29 s, after 31 s
			expect(t, e.Send(t.Context(), post("http://receiver.test/")), Delivered, ClassOK, 200)
			if dials != want {
				t.Errorf("send %d: %d connections so far, want %d", i+1, dials, want)
			}
			time.Sleep(idleTimeout + time.Duration(2*i-1)*time.Second)
		}
	})
}
