package sender

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// What retryablehttp wants of a policy.
var (
	_ retryablehttp.CheckRetry = (&Policy{}).CheckRetry
	_ retryablehttp.Backoff    = (&Policy{}).Backoff
)

func response(status int, retryAfter string) *http.Response {
	header := http.Header{}
	if retryAfter != "" {
		header.Set("Retry-After", retryAfter)
	}
	return &http.Response{StatusCode: status, Header: header}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":      0,
		"0":     0,
		"120":   2 * time.Minute,
		" 30 ":  30 * time.Second,
		"86400": MaxRetryAfter, "86401": MaxRetryAfter,
		"1000000000":                     MaxRetryAfter,
		strings.Repeat("9", 100):         MaxRetryAfter,
		"1e9":                            0,
		"-5":                             0,
		"+5":                             0,
		"1.5":                            0,
		"soon":                           0,
		"٣":                              0,
		"Sun, 01 Mar 2026 12:10:00 GMT":  10 * time.Minute,
		"Sunday, 01-Mar-26 12:10:00 GMT": 10 * time.Minute,
		"Sun Mar  1 12:10:00 2026":       10 * time.Minute,
		"Sun, 01 Mar 2026 11:00:00 GMT":  0,
		"Fri, 01 Jan 2100 00:00:00 GMT":  MaxRetryAfter,
		"Sun, 99 Mar 2026 12:10:00 GMT":  0,
		"2026-03-01T12:10:00Z":           0,
	} {
		for _, status := range []int{429, 503} {
			if got := retryAfter(response(status, value), now); got != want {
				t.Errorf("%d with %q: got %s, want %s", status, value, got, want)
			}
		}
		for _, status := range []int{200, 301, 410, 500, 502} {
			if got := retryAfter(response(status, value), now); got != 0 {
				t.Errorf("%d with %q: got %s, want nothing", status, value, got)
			}
		}
	}
	if got := retryAfter(nil, now); got != 0 {
		t.Errorf("no response: got %s", got)
	}
	skewed := response(429, "Sun, 01 Mar 2026 13:10:00 GMT")
	skewed.Header.Set("Date", "Sun, 01 Mar 2026 13:00:00 GMT") // the receiver is an hour ahead
	if got := retryAfter(skewed, now); got != 10*time.Minute {
		t.Errorf("by a clock an hour ahead: got %s, want 10m", got)
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"120", "1e9", "-1", "Sun, 01 Mar 2026 12:10:00 GMT", "99999999999999999999"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, value, date string) {
		resp := response(503, value)
		resp.Header.Set("Date", date)
		if got := retryAfter(resp, time.Unix(0, 0)); got < 0 || got > MaxRetryAfter {
			t.Errorf("%q at %q: %s", value, date, got)
		}
	})
}

func TestNext(t *testing.T) {
	t.Parallel()
	standard := open(t, Options{}, wiring{}).Policy()
	never := open(t, Options{Retry: []time.Duration{}}, wiring{}).Policy()
	long := open(t, Options{Retry: []time.Duration{48 * time.Hour}}, wiring{}).Policy()
	for _, tc := range []struct {
		policy  *Policy
		attempt int
		o       Outcome
		delay   time.Duration
		again   bool
	}{
		{standard, 1, Outcome{Verdict: Retry}, 5 * time.Minute, true},
		{standard, 2, Outcome{Verdict: Retry}, time.Hour, true},
		{standard, 3, Outcome{Verdict: Retry}, 3 * time.Hour, true},
		{standard, 4, Outcome{Verdict: Retry}, 0, false},
		{standard, 5, Outcome{Verdict: Retry}, 0, false},
		{standard, 1, Outcome{Verdict: Retry, RetryAfter: time.Minute}, 5 * time.Minute, true},
		{standard, 1, Outcome{Verdict: Retry, RetryAfter: 2 * time.Hour}, 2 * time.Hour, true},
		{standard, 4, Outcome{Verdict: Retry, RetryAfter: 2 * time.Hour}, 0, false},
		{standard, 2, Outcome{Verdict: Interrupted}, 0, true},
		{standard, 1, Outcome{Verdict: Delivered}, 0, false},
		{standard, 1, Outcome{Verdict: Gone}, 0, false},
		{standard, 1, Outcome{Verdict: Rejected}, 0, false},
		{never, 1, Outcome{Verdict: Retry}, 0, false},
		{never, 1, Outcome{Verdict: Retry, RetryAfter: time.Minute}, 0, false},
		{long, 1, Outcome{Verdict: Retry, RetryAfter: 24 * time.Hour}, 48 * time.Hour, true},
	} {
		if delay, again := tc.policy.Next(tc.attempt, tc.o); delay != tc.delay || again != tc.again {
			t.Errorf("after attempt %d, %s: got %s, %t; want %s, %t",
				tc.attempt, tc.o.Verdict, delay, again, tc.delay, tc.again)
		}
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	p := open(t, Options{}, wiring{}).Policy()
	for _, tc := range []struct {
		min, max time.Duration
		attempt  int
		resp     *http.Response
		want     time.Duration
	}{
		{0, math.MaxInt64, 0, nil, 5 * time.Minute},
		{0, math.MaxInt64, 1, response(500, ""), time.Hour},
		{0, math.MaxInt64, 2, response(500, "36000"), 3 * time.Hour}, // a 500 has no Retry-After
		{0, math.MaxInt64, 0, response(429, "600"), 10 * time.Minute},
		{0, math.MaxInt64, 1, response(503, "600"), time.Hour},
		{0, math.MaxInt64, 0, response(503, "1000000000"), 24 * time.Hour},
		{0, math.MaxInt64, 9, nil, 3 * time.Hour},
		{0, math.MaxInt64, -1, nil, 5 * time.Minute},
		{0, time.Second, 0, nil, time.Second},
		{0, 0, 0, response(429, "600"), 0}, // the client's own bounds: it never sleeps
		{2 * time.Hour, math.MaxInt64, 0, nil, 2 * time.Hour},
	} {
		if got := p.Backoff(tc.min, tc.max, tc.attempt, tc.resp); got != tc.want {
			t.Errorf("Backoff(%s, %s, %d): got %s, want %s", tc.min, tc.max, tc.attempt, got, tc.want)
		}
	}
}

func TestCheckRetryNeverRepeatsAnAnswer(t *testing.T) {
	t.Parallel()
	p := &Policy{}
	ctx := &call{Context: t.Context()}
	for _, status := range []int{200, 301, 410, 429, 500, 503} {
		if again, err := p.CheckRetry(ctx, response(status, ""), nil); again || err != nil {
			t.Errorf("%d: %t, %v", status, again, err)
		}
	}
	// Outside an attempt nobody knows what was written.
	if again, err := p.CheckRetry(context.Background(), nil, http.ErrServerClosed); again || err != nil {
		t.Errorf("outside an attempt: %t, %v", again, err)
	}
}

func TestClassOfUntypedErrors(t *testing.T) {
	t.Parallel()
	// net/http has no type for it, and no test can win its race: a server closes a kept connection while a request
	// is written to it.
	if got := classify(errors.New("http: server closed idle connection"), true); got != ClassReset {
		t.Errorf("got %s, want reset", got)
	}
}

func TestOptionsReportEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := New(Options{
		Timeout: -1, Concurrency: -2, Retry: []time.Duration{-3}, Success: []int{200, 700, 204}, Permanent: []int{204, 99}, RetryOn: []int{600},
		Secret: "whsec_hush", PreviousSecret: "hush",
	})
	if err == nil {
		t.Fatal("accepted")
	}
	noSecret(t, err)
	for _, want := range []string{
		"timeout is negative", "concurrency is negative: -2", "negative wait", "700 is not", "99 is not", "600 is not", "status 204 is both",
		"read the secret", "read the previous secret",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("does not say %q: %v", want, err)
		}
	}
	if _, err := New(Options{PreviousSecret: vectorSecret}); err == nil {
		t.Error("a previous secret alone was accepted")
	}
}

func TestLabels(t *testing.T) {
	t.Parallel()
	for v := Delivered; v <= Interrupted; v++ {
		if v.String() == "" || strings.Contains(v.String(), "(") {
			t.Errorf("verdict %d has no label: %q", v, v)
		}
	}
	for c := ClassOK; c <= ClassInterrupted; c++ {
		if c.String() == "" || strings.Contains(c.String(), "(") {
			t.Errorf("class %d has no label: %q", c, c)
		}
	}
	if Delivered.String() != "delivered" || Interrupted.String() != "interrupted" || ClassInterrupted.String() != "interrupted" ||
		ClassTimeout.String() != "timeout" || ClassInvalidURL.String() != "invalid_url" {
		t.Error("labels are out of step with their constants")
	}
}
