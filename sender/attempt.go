package sender

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Attempt is one HTTP request for a delivery.
type Attempt struct {
	// DeliveryID is the webhook-id, the same on every attempt of the delivery.
	DeliveryID string
	// Topic is the webhook-topic.
	Topic string
	// Number is the webhook-attempt, from 1.
	Number int
	// Method is GET, HEAD, POST, PUT, PATCH or DELETE.
	Method string
	// URL is absolute, http or https. A user and password in it become basic authentication.
	URL string
	// Header are further headers, Content-Type among them; they are not modified. The webhook-* headers that Send sets
	// itself win over them. A Host here replaces the URL's.
	Header http.Header
	// Body is sent as it is and not modified. GET and HEAD carry none.
	Body []byte
}

// Send makes one attempt and says what it came to. It returns when the response is read or the timeout has passed, and
// never panics or fails otherwise: whatever went wrong is in the outcome.
func (e *Endpoint) Send(ctx context.Context, a Attempt) Outcome {
	o := Outcome{SentAt: time.Now()}
	limited, cancel := context.WithDeadline(ctx, o.SentAt.Add(e.timeout))
	defer cancel()
	resp, connected, err := e.exchange(limited, &a, o.SentAt)
	o.Duration = time.Since(o.SentAt)
	if err != nil {
		switch {
		case ctx.Err() != nil:
			o.Class, o.Err = ClassInterrupted, &redacted{"interrupted before it was answered", ctx.Err()}
		case limited.Err() != nil:
			o.Class, o.Err = ClassTimeout, e.late(connected)
		default:
			o.Class, o.Err = classify(err, connected), redact(err)
		}
		o.Verdict = e.policy.verdict(o.Class, 0)
		return o
	}
	o.Status = resp.StatusCode
	o.RetryAfter = retryAfter(resp, time.Now())
	o.Verdict = e.policy.verdict(ClassStatus, o.Status)
	if o.Verdict == Delivered {
		o.Class = ClassOK
	} else {
		o.Class = ClassStatus
		o.Err = &StatusError{Status: o.Status}
	}
	o.Excerpt = readBody(resp)
	return o
}

// late says what the timeout was spent on, which net/http does not.
func (e *Endpoint) late(connected bool) error {
	missing := "connection"
	if connected {
		missing = "answer"
	}
	return &redacted{fmt.Sprintf("no %s within %s", missing, e.timeout), context.DeadlineExceeded}
}

func (e *Endpoint) exchange(ctx context.Context, a *Attempt, at time.Time) (*http.Response, bool, error) {
	c := &call{Context: ctx}
	req, err := e.request(c, a, at)
	if err != nil {
		return nil, false, err
	}
	resp, err := e.client.Do(req)
	return resp, c.conn != nil, err
}

// request builds what Do sends. The body is not copied.
func (e *Endpoint) request(c *call, a *Attempt, at time.Time) (*retryablehttp.Request, error) {
	body := a.Body
	switch a.Method {
	case http.MethodGet, http.MethodHead:
		body = nil
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return nil, &requestError{ClassInvalidRequest, "the method is not GET, HEAD, POST, PUT, PATCH or DELETE"}
	}
	target, err := e.parse(a.URL)
	if err != nil {
		return nil, err
	}
	header, host := e.header(c, a, body, at)
	if host == "" {
		host = target.Host
	}
	plain := http.Request{
		Method: a.Method, URL: target, Host: host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header,
	}
	req := &retryablehttp.Request{Request: plain.WithContext(c.traced())}
	resent := replayed(a.Method, header)
	if len(body) > 0 || resent {
		if err := req.SetBody(body); err != nil {
			return nil, err
		}
	}
	if resent {
		// net/http sends such a request twice when a kept connection closes on it, even after it was written. Without
		// GetBody it cannot, and the policy decides.
		req.GetBody = nil
	}
	return req, nil
}

// replayed says whether net/http takes a request for one that it may repeat by itself (Request.isReplayable).
func replayed(method string, header http.Header) bool {
	switch method {
	case http.MethodGet, http.MethodHead:
		return true
	}
	_, plain := header["Idempotency-Key"]
	_, extended := header["X-Idempotency-Key"]
	return plain || extended
}

// header makes the headers of one attempt, and the Host if the attempt has its own.
func (e *Endpoint) header(c *call, a *Attempt, body []byte, at time.Time) (header http.Header, host string) {
	header = make(http.Header, len(a.Header)+len(c.values)+1)
	header["User-Agent"] = e.userAgent
	for name, values := range a.Header {
		header[textproto.CanonicalMIMEHeaderKey(name)] = values
	}
	if own := header["Host"]; len(own) > 0 {
		host = own[0]
		delete(header, "Host")
	}
	timestamp := strconv.FormatInt(at.Unix(), 10)
	c.values = [...]string{a.DeliveryID, timestamp, a.Topic, strconv.Itoa(a.Number), ""}
	header["Webhook-Id"] = c.values[0:1:1]
	header["Webhook-Timestamp"] = c.values[1:2:2]
	header["Webhook-Topic"] = c.values[2:3:3]
	header["Webhook-Attempt"] = c.values[3:4:4]
	if e.signer != nil {
		c.values[4] = e.signer.sign(a.DeliveryID, timestamp, body)
		header["Webhook-Signature"] = c.values[4:5:5]
	}
	return header, host
}

// callKey finds the call in its request's context.
type callKey struct{}

// call is one attempt on its way. It is its request's context, and so reaches the policy's CheckRetry.
type call struct {
	context.Context
	trace  httptrace.ClientTrace
	values [5]string // of the webhook-* headers, in one piece
	conn   *wire     // the last connection that was got
	before int64     // what had been written to conn then
}

// Value gives the call itself for callKey.
func (c *call) Value(key any) any {
	if _, ok := key.(callKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// traced returns the context that makes net/http tell the call which connection it got.
func (c *call) traced() context.Context {
	c.trace.GotConn = func(info httptrace.GotConnInfo) {
		if c.conn = wireOf(info.Conn); c.conn != nil {
			c.before = c.conn.written.Load()
		}
	}
	return httptrace.WithClientTrace(c, &c.trace)
}

// wrote says whether a byte was written to the connection that was got last. Other requests' bytes on a shared
// connection (HTTP/2) count too: in doubt nothing is sent again.
func (c *call) wrote() bool {
	return c.conn != nil && c.conn.written.Load() != c.before
}
