package sender

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"sync"
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
	// Judge is asked what the answer means. nil: its status alone says it, and the outcome has no Response.
	Judge Judge
}

// Send makes one attempt and says what it came to. It returns when the response is read or the timeout has passed, and
// never panics or fails otherwise: whatever went wrong is in the outcome.
func (e *Endpoint) Send(ctx context.Context, a Attempt) Outcome {
	o := Outcome{SentAt: time.Now()}
	c := &call{Context: ctx, deadline: o.SentAt.Add(e.timeout)}
	defer c.end()
	resp, err := e.exchange(c, &a, o.SentAt)
	now := time.Now()
	o.Duration = now.Sub(o.SentAt)
	if err != nil {
		e.unanswered(ctx, &o, c, err)
		return o
	}
	o.Wait = now.Sub(c.connected)
	o.Status = resp.StatusCode
	o.RetryAfter = retryAfter(resp, now)
	if a.Judge != nil {
		e.judged(ctx, &o, resp, a.Judge)
		return o
	}
	o.Excerpt = readExcerpt(resp)
	e.answered(&o, nil)
	return o
}

// unanswered fills the outcome of an attempt that got no answer.
func (e *Endpoint) unanswered(ctx context.Context, o *Outcome, c *call, err error) {
	var noToken *tokenError
	connected := !c.connected.IsZero()
	switch {
	case ctx.Err() != nil:
		o.Class, o.Err = ClassInterrupted, interrupted(ctx)
	case errors.As(err, &noToken):
		o.Class, o.Err, o.RetryAfter = ClassAuth, noToken, noToken.retryAfter
	case o.Duration >= e.timeout:
		o.Class, o.Err = ClassTimeout, e.late(connected)
	default:
		o.Class, o.Err = classify(err, connected), redact(err)
	}
	o.Verdict = e.policy.verdict(o.Class, 0, nil)
}

// answered fills the outcome of an attempt by the response table.
func (e *Endpoint) answered(o *Outcome, judge func() Verdict) {
	o.Verdict = e.policy.verdict(ClassStatus, o.Status, judge)
	if o.Verdict == Delivered {
		o.Class = ClassOK
		return
	}
	o.Class = ClassStatus
	o.Err = &StatusError{Status: o.Status, Judged: judge != nil && o.Verdict != e.policy.verdict(ClassStatus, o.Status, nil)}
}

// judged is answered for an answer whose content counts. Shutdown in the midst of it leaves nothing to judge by.
func (e *Endpoint) judged(ctx context.Context, o *Outcome, resp *http.Response, judge Judge) {
	body, err := readBody(resp)
	o.Excerpt = excerpt(body[:min(len(body), MaxExcerpt)])
	o.Response = &Response{Header: resp.Header, Body: body}
	if err != nil && ctx.Err() != nil {
		o.Verdict, o.Class, o.Err = Interrupted, ClassInterrupted, interrupted(ctx)
		return
	}
	e.answered(o, func() Verdict { return judge(o.Status, resp.Header, body) })
}

func interrupted(ctx context.Context) error {
	return &redacted{"interrupted before it was answered", ctx.Err()}
}

// late says what the timeout was spent on, which net/http does not.
func (e *Endpoint) late(connected bool) error {
	missing := "connection"
	if connected {
		missing = "answer"
	}
	return &redacted{fmt.Sprintf("no %s within %s", missing, e.timeout), context.DeadlineExceeded}
}

// exchange makes the attempt's request, and once more with a new token if the one that was kept is refused.
func (e *Endpoint) exchange(c *call, a *Attempt, at time.Time) (*http.Response, error) {
	if e.auth == nil {
		return e.roundTrip(c, a, nil, at)
	}
	limited, cancel := context.WithDeadline(c.Context, c.deadline) // not the call: whoever waits for a token ends by a context
	defer cancel()
	credential, waited, err := e.auth.get(limited, nil)
	if err != nil {
		return nil, err
	}
	resp, err := e.roundTrip(c, a, credential, at)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || waited || !e.auth.renews() {
		return resp, err
	}
	_ = resp.Body.Close() // unread: a slow one must not take the time of what follows
	c.connected = time.Time{}
	credential, _, err = e.auth.get(limited, credential)
	if err != nil {
		return nil, err
	}
	return e.roundTrip(c, a, credential, at)
}

func (e *Endpoint) roundTrip(c *call, a *Attempt, as *credential, at time.Time) (*http.Response, error) {
	req, err := e.request(c, a, as, at)
	if err != nil {
		return nil, err
	}
	return e.client.Do(req)
}

// request builds what Do sends. The body is not copied, nor is it left to retryablehttp: its way of opening it again costs
// several allocations.
func (e *Endpoint) request(c *call, a *Attempt, as *credential, at time.Time) (*retryablehttp.Request, error) {
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
	host := e.fill(c, a, as, body, at)
	req := blank.WithContext(c) // a copy
	req.Method, req.URL, req.Host = a.Method, target, host
	if len(body) > 0 {
		c.body = body
		c.reader.Reset(body)
		req.Body, req.ContentLength = io.NopCloser(&c.reader), int64(len(body))
		if !replayed(a.Method, c.header) { // see roundTrip2
			req.GetBody = c.reopen
		}
	}
	c.request.Request = req
	return &c.request, nil
}

// blank is what all requests have in common. Their headers are the call's: http.Client would copy them.
var blank = &http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}}

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

// fill makes the headers of one attempt, and the Host if the attempt has its own.
func (e *Endpoint) fill(c *call, a *Attempt, as *credential, body []byte, at time.Time) (host string) {
	if c.header == nil {
		c.header = headers.Get().(http.Header)
	}
	header := c.header
	clear(header)
	header["User-Agent"] = e.userAgent
	for name, values := range a.Header {
		header[textproto.CanonicalMIMEHeaderKey(name)] = values
	}
	if own := header["Host"]; len(own) > 0 {
		host = own[0]
		delete(header, "Host")
	}
	if as != nil {
		header["Authorization"] = as.header
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
	return host
}

// headers are maps that calls over HTTP/1.1 had: nobody has them any more when those end.
var headers = sync.Pool{New: func() any { return make(http.Header, 8) }}

// callKey finds the call in its request's context.
type callKey struct{}

// call is one attempt on its way. It is its requests' context, and so reaches the policy's CheckRetry and the pool. It doesn't end at its
// deadline: what that costs a context is spent where net/http needs it.
type call struct {
	context.Context
	deadline time.Time
	request  retryablehttp.Request
	header   http.Header  // of the request that is on its way
	values   [5]string    // of the webhook-* headers, in one piece
	body     []byte       // of the request
	reader   bytes.Reader // of body, the first time that it is read

	conn      *wire     // the last connection that was got
	connected time.Time // when it was; zero: there was none
	before    int64     // what had been written to it then
	cancel    func()    // of the context that net/http got, nil if it got none
}

// limited is a context that ends at the deadline, and tells the call which connection it got. It ends with the call.
func (c *call) limited() context.Context {
	ctx, cancel := context.WithDeadline(c, c.deadline)
	if before := c.cancel; before != nil {
		before()
	}
	c.cancel = cancel
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { c.got(info.Conn) }})
}

// end is when the answer is read, or there is none.
func (c *call) end() {
	if c.cancel != nil {
		c.cancel() // the headers may still be net/http's
		return
	}
	if c.header != nil {
		clear(c.header)
		headers.Put(c.header)
		c.header = nil
	}
}

// reopen returns the request's body anew.
func (c *call) reopen() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(c.body)), nil
}

// Value gives the call itself for callKey.
func (c *call) Value(key any) any {
	if _, ok := key.(callKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// callOf returns the call that a request's context is, nil if there is none.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// got notes the connection that a request goes over.
func (c *call) got(conn net.Conn) {
	c.connected = time.Now()
	if c.conn = wireOf(conn); c.conn != nil {
		c.before = c.conn.written.Load()
	}
}

// wrote says whether a byte was written to the connection that was got last. Other requests' bytes on a shared
// connection (HTTP/2) count too: in doubt nothing is sent again.
func (c *call) wrote() bool {
	return c.conn != nil && c.conn.written.Load() != c.before
}
