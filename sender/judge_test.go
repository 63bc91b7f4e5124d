package sender

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// says is a judge of one opinion.
func says(v Verdict) Judge {
	return func(int, http.Header, []byte) Verdict { return v }
}

func TestJudgeWithinTheResponseTable(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.URL.Query().Get("status"))
		w.WriteHeader(status)
	})
	e := open(t, Options{Success: []int{200, 409}, Permanent: []int{400, 403}, RetryOn: []int{403, 404}}, wiring{})
	const none = Verdict(0)
	for _, tc := range []struct {
		status  int
		opinion Verdict
		want    Verdict
		judged  bool // the error says that the content decided
	}{
		{200, none, Delivered, false},
		{200, Delivered, Delivered, false},
		{200, Retry, Retry, true}, // a success by status alone is not enough
		{200, Rejected, Rejected, true},
		{201, none, Retry, false},
		{201, Delivered, Delivered, false},
		{409, Retry, Retry, true},
		{500, none, Retry, false},
		{500, Delivered, Delivered, false},
		{500, Retry, Retry, false},
		{500, Rejected, Rejected, true},
		{400, none, Rejected, false},
		{400, Delivered, Delivered, false},
		{400, Retry, Rejected, false}, // "not delivered" does not make it retryable
		{410, none, Gone, false},
		{410, Delivered, Delivered, false},
		{410, Retry, Gone, false},
		{410, Rejected, Gone, false},
		{403, none, Retry, false}, // retried whatever the others say
		{403, Delivered, Retry, false},
		{404, Rejected, Retry, false},
		{200, Gone, Delivered, false}, // not a judge's to say
		{200, Interrupted, Delivered, false},
		{200, Verdict(99), Delivered, false},
	} {
		attempt := post(server.URL + "/?status=" + strconv.Itoa(tc.status))
		attempt.Judge = says(tc.opinion)
		o := e.Send(t.Context(), attempt)
		class := ClassStatus
		if tc.want == Delivered {
			class = ClassOK
		}
		expect(t, o, tc.want, class, tc.status)
		var status *StatusError
		if errors.As(o.Err, &status); status != nil && status.Judged != tc.judged {
			t.Errorf("%d and %s: judged is %t", tc.status, tc.opinion, status.Judged)
		}
	}
	plain := open(t, Options{RetryOn: []int{200, 410}}, wiring{})
	for _, status := range []int{200, 410} {
		expect(t, plain.Send(t.Context(), post(server.URL+"/?status="+strconv.Itoa(status))), Retry, ClassStatus, status)
	}
}

func TestJudgeSeesTheAnswer(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789abcdef", MaxBody/16)
	var zipped bytes.Buffer
	packer := gzip.NewWriter(&zipped)
	_, _ = packer.Write([]byte(`{"ok":true}`))
	_ = packer.Close()
	for name, tc := range map[string]struct{ method, body, coding, want string }{
		"JSON":             {"POST", `{"ok":true}`, "", `{"ok":true}`},
		"not text":         {"PUT", "\xff\x00", "identity", "\xff\x00"},
		"longer than read": {"POST", long + "x", "", long},
		"as long as read":  {"PATCH", long, "", long},
		"compressed":       {"POST", zipped.String(), "gzip", ""},
		"empty":            {"DELETE", "", "", ""},
		"HEAD":             {"HEAD", "text", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Result", "partial")
				w.Header().Set("Location", "/hush")
				if tc.coding != "" {
					w.Header().Set("Content-Encoding", tc.coding)
				}
				w.WriteHeader(http.StatusMultiStatus)
				_, _ = io.WriteString(w, tc.body)
			})
			e := open(t, Options{}, wiring{})
			attempt := post(server.URL)
			attempt.Method = tc.method
			asked := 0
			attempt.Judge = func(status int, header http.Header, body []byte) Verdict {
				asked++
				if status != 207 || header.Get("X-Result") != "partial" || header["Location"] != nil || string(body) != tc.want {
					t.Errorf("asked about %d, %v, %d bytes", status, header, len(body))
				}
				return 0
			}
			o := e.Send(t.Context(), attempt)
			expect(t, o, Delivered, ClassOK, 207)
			if asked != 1 {
				t.Errorf("asked %d times", asked)
			}
			if o.Response == nil || string(o.Response.Body) != tc.want || o.Response.Header.Get("X-Result") != "partial" {
				t.Errorf("the outcome's response is not what was judged: %v", o.Response)
			}
			attempt.Judge = nil
			without := e.Send(t.Context(), attempt)
			if without.Response != nil {
				t.Error("a response is kept for nobody")
			}
			if !bytes.Equal(o.Excerpt, without.Excerpt) {
				t.Errorf("excerpt %.40q; without a judge %.40q", o.Excerpt, without.Excerpt)
			}
		})
	}
}

// TestJudgeOfTheirBodies is what HubSpot's 207 and Segment's 200 are about.
func TestJudgeOfTheirBodies(t *testing.T) {
	t.Parallel()
	var body atomic.Pointer[string]
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, *body.Load()) })
	e := open(t, Options{}, wiring{})
	attempt := post(server.URL)
	attempt.Judge = func(_ int, _ http.Header, body []byte) Verdict {
		var answer struct{ Success bool }
		if json.Unmarshal(body, &answer) != nil || !answer.Success {
			return Retry
		}
		return Delivered
	}
	for text, want := range map[string]Verdict{`{"success":true}`: Delivered, `{"success":false}`: Retry, `<html>`: Retry, ``: Retry} {
		body.Store(&text)
		o := e.Send(t.Context(), attempt)
		if o.Verdict != want || string(o.Excerpt) != text {
			t.Errorf("%s: got %s, excerpt %q", text, o.Verdict, o.Excerpt)
		}
		if want == Retry && fmt.Sprint(o.Err) != "answered 200, which by its content does not count as delivered" {
			t.Errorf("%s: says %v", text, o.Err)
		}
	}
}

func TestJudgeIsNotAskedWithoutNeed(t *testing.T) {
	t.Parallel()
	server := serve(t, answer(http.StatusForbidden))
	e := open(t, Options{RetryOn: []int{403}}, wiring{})
	for url, class := range map[string]Class{
		server.URL: ClassStatus, unused(t): ClassRefused, "http://169.254.169.254/": ClassEgress, "": ClassInvalidURL,
	} {
		attempt := post(url)
		attempt.Judge = func(int, http.Header, []byte) Verdict {
			t.Errorf("asked about %s", class)
			return Delivered
		}
		o := e.Send(t.Context(), attempt)
		if o.Class != class || o.Verdict == Delivered || (o.Response != nil) != (class == ClassStatus) {
			t.Errorf("%s: got %s, %s, response %v", class, o.Verdict, o.Class, o.Response)
		}
	}
}

func TestJudgedConnectionsAreKept(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, MaxBody)) })
	var dials atomic.Int64
	e := open(t, Options{}, wiring{dial: counted(&dials)})
	attempt := post(server.URL)
	attempt.Judge = says(0)
	for range 20 {
		expect(t, e.Send(t.Context(), attempt), Delivered, ClassOK, 200)
	}
	if n := dials.Load(); n != 1 {
		t.Errorf("20 sends used %d connections, want 1", n)
	}
}

func TestJudgeOfBrokenBody(t *testing.T) {
	t.Parallel()
	attempt := post("http://" + script(t, answers("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")))
	attempt.Judge = func(_ int, _ http.Header, body []byte) Verdict {
		if string(body) != "half" {
			t.Errorf("asked about %q", body)
		}
		return Retry
	}
	expect(t, open(t, Options{}, wiring{}).Send(t.Context(), attempt), Retry, ClassStatus, 200)
}

// drip answers 200 and sends a byte a second for as long as somebody reads.
func drip(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		_, _ = w.Write([]byte("x"))
		w.(http.Flusher).Flush()
		pause(r, time.Second)
	}
}

func TestJudgeOfSlowBodyGetsWhatCame(t *testing.T) {
	t.Parallel()
	inBubble(t, Options{}, drip, func(t *testing.T, e *Endpoint) {
		attempt := post("http://receiver.test/")
		attempt.Judge = says(Retry)
		start := time.Now()
		o := e.Send(t.Context(), attempt)
		expect(t, o, Retry, ClassStatus, 200)
		if took := time.Since(start); took != 10*time.Second || len(o.Response.Body) < 9 || o.Duration != 0 {
			t.Errorf("returned after %s with %q, headers after %s", took, o.Response.Body, o.Duration)
		}
	})
}

func TestShutdownIsNotJudged(t *testing.T) {
	t.Parallel()
	inBubble(t, Options{}, drip, func(t *testing.T, e *Endpoint) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		attempt := post("http://receiver.test/")
		attempt.Judge = func(int, http.Header, []byte) Verdict {
			t.Error("asked about an answer that we cut off")
			return Rejected
		}
		expect(t, e.Send(ctx, attempt), Interrupted, ClassInterrupted, 200)
	})
}

func TestJudgeOfARepeatedRequest(t *testing.T) {
	t.Parallel()
	v := &vendor{}
	server := serve(t, v.ServeHTTP)
	e := open(t, Options{Auth: clientCredentials(server.URL)}, wiring{})
	var asked []int
	attempt := post(server.URL)
	attempt.Judge = func(status int, _ http.Header, _ []byte) Verdict {
		asked = append(asked, status)
		return 0
	}
	expect(t, e.Send(t.Context(), attempt), Delivered, ClassOK, 200)
	v.revoke()
	expect(t, e.Send(t.Context(), attempt), Delivered, ClassOK, 200)
	if fmt.Sprint(asked) != "[200 200]" {
		t.Errorf("asked about %v, want the last answers alone", asked)
	}
}
