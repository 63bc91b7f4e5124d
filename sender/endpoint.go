// Package sender makes one attempt over HTTP and owns every policy around it: what an answer means, when to try again, how a
// request is signed, where it may connect to. It knows neither outbox nor configuration; who calls it keeps the
// schedule.
//
//	endpoint, err := sender.New(sender.Options{Secret: secret})
//	outcome := endpoint.Send(ctx, attempt)
//	delay, again := endpoint.Policy().Next(attempt.Number, outcome)
package sender

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"github.com/rs/zerolog"
)

// The defaults of [Options].
const (
	DefaultTimeout     = 10 * time.Second
	DefaultConcurrency = 32
	DefaultUserAgent   = "walpost"
)

// Options say how an endpoint is sent to. The zero value is usable.
type Options struct {
	// Timeout is the time from the start of an attempt to its response headers: a token request, name resolution, connect,
	// TLS and the writing of the request included. What is left of it bounds the reading of the body. 0 means [DefaultTimeout].
	Timeout time.Duration
	// Retry is the wait before each retry, counted from the previous failure. nil means [DefaultRetry]; an empty slice
	// that is not nil means that nothing is retried.
	Retry []time.Duration
	// Success are the statuses that count as delivered, in place of 200–299.
	Success []int
	// Permanent are the statuses that are final at once.
	Permanent []int
	// RetryOn are the statuses that are tried again whatever Success, Permanent, a [Judge] or 410 say.
	RetryOn []int
	// Concurrency is the size of the connection pool for each host. 0 means [DefaultConcurrency].
	Concurrency int
	// Secret signs each request by Standard Webhooks; see [ValidSecret]. Empty: nothing is signed.
	Secret string
	// PreviousSecret gives each request a second signature while receivers change over to Secret.
	PreviousSecret string
	// Auth sets each request's Authorization, in place of an attempt's own. nil: it is left alone.
	Auth *AuthOptions
	// UserAgent is sent unless an attempt has its own. Empty means [DefaultUserAgent].
	UserAgent string
	// Guard decides which addresses may be connected to. nil means NewGuard(nil, nil).
	Guard *Guard
	// Logger gets what no Outcome tells: redials, at debug level.
	Logger zerolog.Logger
}

// Endpoint sends attempts through a connection pool of its own, so that no other endpoint's failures reach it. It has no
// goroutine apart from those of HTTP/2 connections. It is safe for concurrent use.
type Endpoint struct {
	timeout   time.Duration
	userAgent []string
	policy    *Policy
	signer    *signer     // nil: unsigned
	auth      *authorizer // nil: without
	pool      *pool
	client    *retryablehttp.Client
	target    atomic.Pointer[target] // the last URL that was parsed: most webhooks have but one
}

// New makes an endpoint, or says everything that is wrong with the options.
func New(o Options) (*Endpoint, error) {
	return newEndpoint(o, wiring{})
}

func newEndpoint(o Options, w wiring) (*Endpoint, error) {
	o.setDefaults()
	signer, err := newSigner(o.Secret, o.PreviousSecret)
	if err := errors.Join(o.validate(), err); err != nil {
		return nil, err
	}
	policy := &Policy{
		schedule:  slices.Clone(o.Retry),
		success:   slices.Clone(o.Success),
		permanent: slices.Clone(o.Permanent),
		retryOn:   slices.Clone(o.RetryOn),
	}
	pool := newPool(o, w)
	return &Endpoint{
		timeout:   o.Timeout,
		userAgent: []string{o.UserAgent},
		policy:    policy,
		signer:    signer,
		auth:      newAuthorizer(o.Auth, o.Timeout, o.UserAgent, pool),
		pool:      pool,
		client:    newClient(pool, policy, o.Logger),
	}, nil
}

// newClient makes the client whose Do is one attempt: it dials at most once more, at once, if the policy's CheckRetry
// says so, and returns what net/http returned.
func newClient(pool *pool, policy *Policy, log zerolog.Logger) *retryablehttp.Client {
	return &retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport:     pool,
			CheckRedirect: followNothing,
		},
		RetryMax:     1,
		CheckRetry:   policy.CheckRetry,
		Backoff:      policy.Backoff, // within RetryWaitMax, which is 0: a client never sleeps through the schedule
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
		PrepareRetry: func(req *http.Request) error {
			if c := callOf(req.Context()); c != nil && req.Body != nil {
				req.Body, _ = c.reopen()
			}
			log.Debug().Str("host", req.URL.Host).Msg("dialling again: the connection broke before the request was written")
			return nil
		},
	}
}

func (o *Options) setDefaults() {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Retry == nil {
		o.Retry = DefaultRetry()
	}
	if o.Concurrency == 0 {
		o.Concurrency = DefaultConcurrency
	}
	if o.UserAgent == "" {
		o.UserAgent = DefaultUserAgent
	}
	if o.Guard == nil {
		o.Guard = NewGuard(nil, nil)
	}
}

func (o *Options) validate() error {
	var problems []error
	report := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if o.Timeout < 0 {
		report("timeout is negative: %s", o.Timeout)
	}
	if o.Concurrency < 0 {
		report("concurrency is negative: %d", o.Concurrency)
	}
	for _, wait := range o.Retry {
		if wait < 0 {
			report("retry has a negative wait: %s", wait)
		}
	}
	for _, status := range slices.Concat(o.Success, o.Permanent, o.RetryOn) {
		if status < 200 || status > 599 {
			report("%d is not a final HTTP status", status)
		}
	}
	for _, status := range o.Success {
		if slices.Contains(o.Permanent, status) {
			report("status %d is both success and permanent", status)
		}
	}
	if o.Auth != nil {
		if err := o.Auth.validate(); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// Policy returns the endpoint's response table and schedule.
func (e *Endpoint) Policy() *Policy {
	return e.policy
}

// Close closes the idle connections; attempts under way go on, and their connections close after them.
func (e *Endpoint) Close() {
	e.pool.close()
}

// target is a URL, parsed and found fit to be sent to.
type target struct {
	raw string
	url *url.URL
}

// parse returns the URL of raw, which nobody may modify: it is shared between attempts. Its errors quote nothing of raw,
// since any part of a URL that does not parse may be a secret.
func (e *Endpoint) parse(raw string) (*url.URL, error) {
	if last := e.target.Load(); last != nil && last.raw == raw {
		return last.url, nil
	}
	parsed, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, &requestError{ClassInvalidURL, "the URL does not parse"}
	case parsed.Scheme != "http" && parsed.Scheme != "https":
		return nil, &requestError{ClassInvalidURL, "the URL is neither http nor https"}
	case parsed.Hostname() == "":
		return nil, &requestError{ClassInvalidURL, "the URL has no host"}
	}
	e.target.Store(&target{raw: raw, url: parsed})
	return parsed, nil
}
