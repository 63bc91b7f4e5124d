package sender

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestAnswersGiveTheirVerdict(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.URL.Query().Get("status"))
		w.WriteHeader(status)
	})
	plain := open(t, Options{}, wiring{})
	special := open(t, Options{Success: []int{200, 302, 409}, Permanent: []int{400, 410, 501}}, wiring{})
	pardoned := open(t, Options{Success: []int{200, 410}}, wiring{})
	for _, tc := range []struct {
		endpoint *Endpoint
		status   int
		verdict  Verdict
	}{
		{plain, 200, Delivered},
		{plain, 201, Delivered},
		{plain, 202, Delivered},
		{plain, 204, Delivered},
		{plain, 299, Delivered},
		{plain, 300, Retry},
		{plain, 304, Retry},
		{plain, 400, Retry},
		{plain, 401, Retry},
		{plain, 404, Retry},
		{plain, 408, Retry},
		{plain, 409, Retry},
		{plain, 415, Retry},
		{plain, 422, Retry},
		{plain, 429, Retry},
		{plain, 410, Gone},
		{plain, 500, Retry},
		{plain, 501, Retry},
		{plain, 502, Retry},
		{plain, 503, Retry},
		{plain, 504, Retry},
		{plain, 599, Retry},
		{special, 200, Delivered},
		{special, 409, Delivered},
		{special, 302, Delivered}, // success replaces 2xx …
		{special, 204, Retry},     // … wholly
		{special, 400, Rejected},
		{special, 501, Rejected},
		{special, 500, Retry},
		{special, 410, Gone}, // permanent does not take away what 410 means
		{pardoned, 410, Delivered},
	} {
		o := tc.endpoint.Send(t.Context(), post(server.URL+"/?status="+strconv.Itoa(tc.status)))
		class := ClassStatus
		if tc.verdict == Delivered {
			class = ClassOK
		}
		expect(t, o, tc.verdict, class, tc.status)
	}
}

func TestGoneOnAnyAttempt(t *testing.T) {
	t.Parallel()
	server := serve(t, answer(http.StatusGone))
	e := open(t, Options{}, wiring{})
	for number := 1; number <= 4; number++ {
		attempt := post(server.URL)
		attempt.Number = number
		o := e.Send(t.Context(), attempt)
		expect(t, o, Gone, ClassStatus, 410)
		if _, again := e.Policy().Next(number, o); again {
			t.Errorf("attempt %d is tried again after 410", number)
		}
	}
}

func TestRedirectsAreNeverFollowed(t *testing.T) {
	t.Parallel()
	var second atomic.Int64
	other := serve(t, func(http.ResponseWriter, *http.Request) { second.Add(1) })
	var location atomic.Pointer[string]
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.URL.Query().Get("status"))
		w.Header().Set("Location", *location.Load())
		w.WriteHeader(status)
	})
	e := open(t, Options{Secret: vectorSecret}, wiring{})
	for _, target := range []string{other.URL + "/?token=hush", "/elsewhere", "http://%zz:hush", "::"} {
		location.Store(&target)
		for _, status := range []int{300, 301, 302, 303, 304, 305, 307, 308} {
			for _, method := range []string{http.MethodPost, http.MethodGet} {
				attempt := post(server.URL + "/?status=" + strconv.Itoa(status))
				attempt.Method = method
				expect(t, e.Send(t.Context(), attempt), Retry, ClassStatus, status)
			}
		}
	}
	if n := second.Load(); n != 0 {
		t.Errorf("the second host got %d requests", n)
	}
}

// received is a request as the receiver saw it.
type received struct {
	method, uri, host string
	header            http.Header
	body              []byte
	length            int64
}

// record starts a receiver that answers 200 and hands over what it gets.
func record(t *testing.T) (url string, requests <-chan received) {
	ch := make(chan received, 100)
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		ch <- received{r.Method, r.RequestURI, r.Host, r.Header.Clone(), body, r.ContentLength}
	})
	return server.URL, ch
}

func TestMethods(t *testing.T) {
	t.Parallel()
	url, requests := record(t)
	e := open(t, Options{}, wiring{})
	for method, carries := range map[string]bool{
		"GET": false, "HEAD": false, "POST": true, "PUT": true, "PATCH": true, "DELETE": true,
	} {
		attempt := post(url + "/a%2Fb?x=1&y=%20")
		attempt.Method = method
		expect(t, e.Send(t.Context(), attempt), Delivered, ClassOK, 200)
		got := <-requests
		if got.method != method || got.uri != "/a%2Fb?x=1&y=%20" {
			t.Errorf("%s arrived as %s %s", method, got.method, got.uri)
		}
		if want := map[bool]string{true: string(attempt.Body)}[carries]; string(got.body) != want {
			t.Errorf("%s carried the body %q, want %q", method, got.body, want)
		}
		attempt.Body = nil
		expect(t, e.Send(t.Context(), attempt), Delivered, ClassOK, 200)
		if got := <-requests; len(got.body) != 0 || got.length != 0 || len(got.header["Transfer-Encoding"]) != 0 {
			t.Errorf("%s without a body arrived with %d bytes, content length %d", method, len(got.body), got.length)
		}
	}
	for _, method := range []string{"", "get", "CONNECT", "TRACE", "OPTIONS", "PO ST", "POST\r\nX: y"} {
		attempt := post(url)
		attempt.Method = method
		expect(t, e.Send(t.Context(), attempt), Rejected, ClassInvalidRequest, 0)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	url, requests := record(t)
	e := open(t, Options{UserAgent: "walpost/1.2.3"}, wiring{})
	attempt := post(url)
	attempt.Number = 3
	attempt.Header = http.Header{
		"Content-Type": {"application/json"}, "X-Source": {"walpost"}, "x-lower": {"a", "b"},
		"Webhook-Id": {"forged"}, "webhook-topic": {"forged"}, // never instead of ours
		"Host": {"virtual.test"},
	}
	before := attempt.Header.Clone()
	o := e.Send(t.Context(), attempt)
	expect(t, o, Delivered, ClassOK, 200)
	got := <-requests
	for name, want := range map[string]string{
		"Content-Type": "application/json", "X-Source": "walpost", "User-Agent": "walpost/1.2.3",
		"Webhook-Id": attempt.DeliveryID, "Webhook-Topic": "contact.tagged", "Webhook-Attempt": "3",
		"Webhook-Timestamp": strconv.FormatInt(o.SentAt.Unix(), 10),
	} {
		if values := got.header[name]; len(values) != 1 || values[0] != want {
			t.Errorf("%s is %q, want %q once", name, values, want)
		}
	}
	if values := got.header["X-Lower"]; len(values) != 2 {
		t.Errorf("X-Lower is %q, want both values", values)
	}
	for _, name := range []string{"Webhook-Signature", "Accept-Encoding", "Idempotency-Key", "Referer"} {
		if values := got.header[name]; values != nil {
			t.Errorf("%s is sent: %q", name, values)
		}
	}
	if got.host != "virtual.test" {
		t.Errorf("Host is %q", got.host)
	}
	if fmt.Sprint(before) != fmt.Sprint(attempt.Header) {
		t.Errorf("the attempt's headers were modified: %v", attempt.Header)
	}

	attempt.Header = http.Header{"User-Agent": {"custom"}}
	e.Send(t.Context(), attempt)
	if got := <-requests; got.header.Get("User-Agent") != "custom" || got.header.Get("Content-Type") != "" {
		t.Errorf("headers %v, want the attempt's User-Agent and no Content-Type", got.header)
	}
}

func TestHeadersThatHTTPForbids(t *testing.T) {
	t.Parallel()
	url, requests := record(t)
	e := open(t, Options{}, wiring{})
	for _, header := range []http.Header{
		{"X-Bad": {"hush\r\nInjected: 1"}}, {"X Bad": {"v"}}, {"X-Bad\n": {"v"}}, {"": {"v"}}, {"X-Bad": {"hush\x00"}},
	} {
		attempt := post(url)
		attempt.Header = header
		o := e.Send(t.Context(), attempt)
		expect(t, o, Rejected, ClassInvalidRequest, 0)
		noSecret(t, o.Err)
	}
	attempt := post(url)
	attempt.Topic = "hush\nInjected: 1"
	expect(t, e.Send(t.Context(), attempt), Rejected, ClassInvalidRequest, 0)
	if len(requests) != 0 {
		t.Errorf("%d requests were sent", len(requests))
	}
}

// counted dials TCP and counts.
func counted(n *atomic.Int64) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		n.Add(1)
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
}

func TestOneConnectionServesAll(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch number, _ := strconv.Atoi(r.Header.Get("Webhook-Attempt")); number % 5 {
		case 0:
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, "oh no")
		case 1:
			w.WriteHeader(http.StatusNoContent)
		case 2:
			w.WriteHeader(http.StatusFound)
		case 3:
			_, _ = w.Write(make([]byte, MaxBody)) // exactly what is read
		case 4:
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write(make([]byte, 5000)) // chunked: longer than the server's buffer
		}
	})
	var dials atomic.Int64
	e := open(t, Options{}, wiring{dial: counted(&dials)})
	for number := range 100 {
		attempt := post(server.URL)
		attempt.Number = number
		attempt.Method = []string{"POST", "GET", "PUT", "DELETE"}[number%4]
		if o := e.Send(t.Context(), attempt); o.Status == 0 {
			t.Fatalf("attempt %d: %v", number, o.Err)
		}
	}
	if n := dials.Load(); n != 1 {
		t.Errorf("100 sends used %d connections, want 1", n)
	}
}

func TestFailureClosesNoOtherConnection(t *testing.T) {
	t.Parallel()
	good := serve(t, answer(http.StatusOK))
	var dials atomic.Int64
	e := open(t, Options{}, wiring{dial: counted(&dials)})
	expect(t, e.Send(t.Context(), post(good.URL)), Delivered, ClassOK, 200)
	expect(t, e.Send(t.Context(), post(unused(t))), Retry, ClassRefused, 0)
	before := dials.Load()
	expect(t, e.Send(t.Context(), post(good.URL)), Delivered, ClassOK, 200)
	if n := dials.Load() - before; n != 0 {
		t.Errorf("after another request failed, the kept connection was gone: %d dials", n)
	}
}

func TestConnectionsNeverExceedConcurrency(t *testing.T) {
	t.Parallel()
	const limit = 4
	var mu sync.Mutex
	var now, most int
	count := func(by int) {
		mu.Lock()
		defer mu.Unlock()
		now += by
		most = max(most, now)
	}
	server := serve(t, func(http.ResponseWriter, *http.Request) {
		count(1)
		defer count(-1)
	})
	var dials atomic.Int64
	e := open(t, Options{Concurrency: limit}, wiring{dial: counted(&dials)})
	var senders sync.WaitGroup
	for range 8 * limit {
		senders.Go(func() {
			for range 10 {
				expect(t, e.Send(t.Context(), post(server.URL)), Delivered, ClassOK, 200)
			}
		})
	}
	senders.Wait()
	if most > limit || dials.Load() > limit {
		t.Errorf("%d at once over %d connections, limit %d", most, dials.Load(), limit)
	}
}

func TestSentAtIsTheStart(t *testing.T) {
	t.Parallel()
	server := serve(t, answer(http.StatusOK))
	e := open(t, Options{}, wiring{})
	before := time.Now()
	o := e.Send(t.Context(), post(server.URL))
	if o.SentAt.Before(before) || o.SentAt.Add(o.Duration).After(time.Now()) || o.Duration <= 0 {
		t.Errorf("sent at %s for %s; the call began at %s", o.SentAt, o.Duration, before)
	}
}
