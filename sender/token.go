package sender

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/oauth2/jwt"
)

const (
	defaultTokenLife = time.Hour        // of a token whose answer doesn't say; a 401 ends it earlier
	maxTokenMargin   = 30 * time.Second // a token is renewed this long before it expires, or after 3/4 of a shorter life
	assertionLife    = 2 * time.Minute  // Salesforce takes at most 3, and clocks differ
)

// tokenError says why there is no token, with no secret in its text.
type tokenError struct {
	redacted
	retryAfter time.Duration // what the token endpoint asked for
}

// tokenEndpoint gets tokens. Form, signature and the reading of answers are x/oauth2's; what it is asked through, when it
// is not asked again and what its failures say is ours.
type tokenEndpoint struct {
	source    func(context.Context) oauth2.TokenSource // asks once for each Token()
	host      string
	userAgent string
	transport http.RoundTripper
	check     string   // what may be wrong if it refuses
	secrets   []string // what no error may quote
}

// newTokenEndpoint needs valid options of a kind that has tokens.
func newTokenEndpoint(o *AuthOptions, userAgent string, transport http.RoundTripper) *tokenEndpoint {
	t := &tokenEndpoint{userAgent: userAgent, transport: transport, secrets: unquotable(o)}
	if u, err := url.Parse(o.TokenURL); err == nil { // as validate has found
		t.host = u.Host
	}
	if o.Kind == AuthJWTBearer {
		t.check = "check issuer, subject, audience, private_key and this machine's clock"
		t.source = (&jwt.Config{
			Email: o.Issuer, Subject: o.Subject, Audience: o.Audience, Scopes: o.Scopes,
			PrivateKey: []byte(o.PrivateKey), TokenURL: o.TokenURL, Expires: assertionLife,
		}).TokenSource
		return t
	}
	t.check = "check client_id, client_secret, scopes and params"
	params := url.Values{}
	for name, value := range o.Params {
		params.Set(name, value)
	}
	t.source = (&clientcredentials.Config{
		ClientID: o.ClientID, ClientSecret: o.ClientSecret, TokenURL: o.TokenURL, Scopes: o.Scopes, EndpointParams: params,
	}).TokenSource
	return t
}

// fetch gets a token. Its errors are *tokenError.
func (t *tokenEndpoint) fetch(ctx context.Context) (*credential, error) {
	trip := &tokenTrip{ctx: ctx, endpoint: t}
	client := &http.Client{Transport: trip, CheckRedirect: followNothing}
	token, err := t.source(context.WithValue(ctx, oauth2.HTTPClient, client)).Token()
	var refused *oauth2.RetrieveError
	switch {
	case ctx.Err() != nil && err != nil:
		return nil, t.failure("did not answer in time; check token_url", ctx.Err())
	case trip.err != nil:
		cause := redact(trip.err)
		return nil, t.failure("was not reached; check token_url: "+cause.Error(), cause)
	case errors.As(err, &refused) || trip.status/100 != 2:
		return nil, t.refusal(trip, refused)
	case err != nil || token.AccessToken == "" || !isToken(token.AccessToken) || !isToken(token.Type()):
		return nil, t.failure(fmt.Sprintf("answered %d without a usable token; check token_url", trip.status), nil)
	}
	life := defaultTokenLife
	if !token.Expiry.IsZero() {
		life = time.Until(token.Expiry)
	}
	c := newCredential(token.Type() + " " + token.AccessToken)
	c.until = time.Now().Add(life - min(life/4, maxTokenMargin))
	return c, nil
}

func (t *tokenEndpoint) failure(text string, cause error) *tokenError {
	return &tokenError{redacted: redacted{shorten("no token: " + t.host + " " + text), cause}}
}

// late is the failure of an attempt whose time ended before the token came.
func (t *tokenEndpoint) late(timeout time.Duration) error {
	return t.failure(fmt.Sprintf("did not answer within %s; check token_url", timeout), context.DeadlineExceeded)
}

// refusal says what to check, and what the token endpoint said (RFC 6749 §5.2) unless that quotes a secret.
func (t *tokenEndpoint) refusal(trip *tokenTrip, said *oauth2.RetrieveError) *tokenError {
	text := fmt.Sprintf("answered %d", trip.status)
	switch {
	case trip.refused():
		text += "; " + t.check
	case trip.status != http.StatusTooManyRequests && trip.status < 500:
		text += "; check token_url"
	}
	var answer struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if said != nil && json.Unmarshal(said.Body, &answer) == nil && answer.Error != "" {
		if told := strings.TrimSpace(answer.Error + " " + answer.Description); !t.quotes(told) {
			text += ": " + told
		}
	}
	failure := t.failure(text, nil)
	failure.retryAfter = trip.retryAfter
	return failure
}

// unquotable lists what a token endpoint knows and might repeat, as it was sent. Every assertion begins like any other JWT.
func unquotable(o *AuthOptions) []string {
	escaped := url.QueryEscape(o.ClientSecret)
	pair := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(o.ClientID) + ":" + escaped))
	list := append(slices.Collect(maps.Values(o.Params)), o.ClientSecret, escaped, pair, "eyJ")
	if u, err := url.Parse(o.TokenURL); err == nil {
		list = append(list, u.RawQuery)
	}
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}

// quotes says whether text has something in it that nobody may see.
func (t *tokenEndpoint) quotes(text string) bool {
	return slices.ContainsFunc(t.secrets, func(secret string) bool { return strings.Contains(text, secret) })
}

// tokenTrip is the transport of one fetch, whose context, limits and headers it adds, and whose course it remembers: the
// library's own errors quote the URL and the answer.
type tokenTrip struct {
	ctx      context.Context
	endpoint *tokenEndpoint

	status     int // of the last answer
	retryAfter time.Duration
	err        error // that there was no answer
}

// RoundTrip lets the library try the other place for client id and secret only if they were refused in the first.
func (t *tokenTrip) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.err != nil || t.status != 0 && !t.refused() {
		return nil, errAskedOnce
	}
	req = req.Clone(t.ctx)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", t.endpoint.userAgent)
	resp, err := t.endpoint.transport.RoundTrip(req)
	if err != nil {
		t.err = err
		return nil, err
	}
	t.status, t.retryAfter = resp.StatusCode, retryAfter(resp, time.Now())
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, MaxBody), resp.Body}
	return resp, nil
}

var errAskedOnce = errors.New("the token endpoint has answered")

// refused says whether the last answer was about who asks.
func (t *tokenTrip) refused() bool {
	return t.status == http.StatusBadRequest || t.status == http.StatusUnauthorized || t.status == http.StatusForbidden
}
