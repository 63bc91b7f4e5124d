package sender

import (
	"bytes"
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
	late      error    // that it gave no answer in time
}

// newTokenEndpoint needs valid options of a kind that has tokens.
func newTokenEndpoint(o *AuthOptions, timeout time.Duration, userAgent string, via http.RoundTripper) *tokenEndpoint {
	t := &tokenEndpoint{userAgent: userAgent, transport: via, secrets: unquotable(o)}
	if u, err := url.Parse(o.TokenURL); err == nil { // as validate has found
		t.host = u.Host
	}
	t.late = t.failure(fmt.Sprintf("gave no answer within %s; check token_url", timeout), context.DeadlineExceeded)
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
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, t.late
	case trip.err != nil:
		cause := redact(trip.err)
		return nil, t.failure("gave no answer; check token_url: "+cause.Error(), cause)
	case trip.answer == nil: // the request was not made: the key does not sign
		return nil, t.failure("was not asked; "+t.check, nil)
	case trip.status()/100 != 2 || errors.As(err, new(*oauth2.RetrieveError)): // an error that came with 200
		return nil, t.refusal(trip)
	case err != nil || token.AccessToken == "" || !isToken(token.AccessToken) || !isToken(token.Type()):
		return nil, t.failure(fmt.Sprintf("answered %d without a usable token; check token_url", trip.status()), nil)
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

// refusal says what to check, and what the token endpoint said (RFC 6749 §5.2) unless that quotes a secret.
func (t *tokenEndpoint) refusal(trip *tokenTrip) *tokenError {
	status := trip.status()
	text := fmt.Sprintf("answered %d", status)
	switch {
	case trip.refused():
		text += "; " + t.check
	case status != http.StatusTooManyRequests && status < 500:
		text += "; check token_url"
	}
	var said struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(trip.body, &said) == nil && said.Error != "" {
		if quote := strings.TrimSpace(said.Error + " " + said.Description); !t.quotes(quote) {
			text += ": " + quote
		}
	}
	failure := t.failure(text, nil)
	failure.retryAfter = retryAfter(trip.answer, time.Now())
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

// tokenTrip is the transport of one fetch. It adds context, limit and headers, and remembers how it went: the library's own
// errors quote the URL and the answer.
type tokenTrip struct {
	ctx      context.Context
	endpoint *tokenEndpoint

	answer *http.Response // the last one, whose body is body
	body   []byte
	err    error // why there is none
}

// RoundTrip asks, and once more if client id and secret were refused: the library then has put them into the other place.
// Other answers hold for its second try too.
func (t *tokenTrip) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.err == nil && (t.answer == nil || t.refused()) {
		t.ask(req)
	}
	if t.err != nil {
		return nil, t.err
	}
	resp := *t.answer
	resp.Body = io.NopCloser(bytes.NewReader(t.body))
	return &resp, nil
}

func (t *tokenTrip) ask(req *http.Request) {
	req = req.Clone(t.ctx)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", t.endpoint.userAgent)
	if t.answer, t.err = t.endpoint.transport.RoundTrip(req); t.err != nil {
		return
	}
	defer func() { _ = t.answer.Body.Close() }()
	t.body, t.err = io.ReadAll(io.LimitReader(t.answer.Body, MaxBody))
}

func (t *tokenTrip) status() int { return t.answer.StatusCode }

// refused says whether the answer is about who asks.
func (t *tokenTrip) refused() bool {
	return slices.Contains([]int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden}, t.status())
}
