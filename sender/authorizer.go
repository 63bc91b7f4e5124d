package sender

import (
	"context"
	"encoding/base64"
	"net/http"
	"sync"
	"time"
)

// credential is what an Authorization header says.
type credential struct {
	header []string  // one value, shared between requests and never modified
	until  time.Time // zero: for ever
}

func newCredential(value string) *credential {
	return &credential{header: []string{value}}
}

// fresh says whether c can be sent.
func (c *credential) fresh(now time.Time) bool {
	return c.until.IsZero() || now.Before(c.until)
}

// authorizer gives attempts their credential. One that expires or was refused is fetched anew, by one request for all
// attempts that wait for it.
type authorizer struct {
	fetch   func(context.Context) (*credential, error) // nil: current is for ever
	timeout time.Duration                              // of one fetch
	late    error                                      // what an attempt gets whose own time ends first

	mu      sync.Mutex
	current *credential // nil before the first fetch
	running *renewal    // nil if nobody waits for one
}

// renewal is one fetch under way. It doesn't depend on the attempt that began it, only on that somebody waits.
type renewal struct {
	cancel  context.CancelFunc
	waiting int           // under the authorizer's lock
	done    chan struct{} // closed once got and err are set
	got     *credential
	err     error
}

// newAuthorizer needs valid options. It returns nil for nil: nothing is authorized.
func newAuthorizer(o *AuthOptions, timeout time.Duration, userAgent string, via http.RoundTripper) *authorizer {
	switch {
	case o == nil:
		return nil
	case o.Kind == AuthBasic:
		pair := base64.StdEncoding.EncodeToString([]byte(o.Username + ":" + o.Password))
		return &authorizer{current: newCredential("Basic " + pair)}
	case o.Kind == AuthBearer:
		return &authorizer{current: newCredential("Bearer " + o.Token)}
	default:
		endpoint := newTokenEndpoint(o, timeout, userAgent, via)
		return &authorizer{fetch: endpoint.fetch, timeout: timeout, late: endpoint.late}
	}
}

// renews says whether there can be another credential after one was refused.
func (a *authorizer) renews() bool { return a.fetch != nil }

// get returns a credential other than refused, which is nil at first, and whether it was waited for.
func (a *authorizer) get(ctx context.Context, refused *credential) (c *credential, waited bool, err error) {
	a.mu.Lock()
	if c := a.current; !a.renews() || c != nil && c != refused && c.fresh(time.Now()) {
		a.mu.Unlock()
		return c, false, nil
	}
	r := a.running
	if r == nil {
		r = a.renew(ctx)
	}
	r.waiting++
	a.mu.Unlock()
	select {
	case <-r.done:
		return r.got, true, r.err
	case <-ctx.Done():
		a.leave(r)
		return nil, true, a.late
	}
}

// renew starts a fetch. The lock is held.
func (a *authorizer) renew(ctx context.Context) *renewal {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.timeout)
	r := &renewal{cancel: cancel, done: make(chan struct{})}
	a.running = r
	go func() {
		defer cancel()
		got, err := a.fetch(ctx)
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.running == r { // else everybody has left
			a.running = nil
			if err == nil {
				a.current = got
			}
		}
		r.got, r.err = got, err
		close(r.done)
	}()
	return r
}

// leave ends a renewal that nobody waits for any more.
func (a *authorizer) leave(r *renewal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.waiting--; r.waiting == 0 && a.running == r {
		a.running = nil
		r.cancel()
	}
}
