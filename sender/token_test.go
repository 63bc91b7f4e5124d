package sender

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	v := &vendor{}
	server := serve(t, v.ServeHTTP)
	auth := clientCredentials(server.URL)
	auth.Scopes, auth.Params = []string{"crm.write", "crm.read"}, map[string]string{"audience": "https://crm.test"}
	e := open(t, Options{Auth: auth, UserAgent: "walpost/1"}, wiring{})
	for range 3 {
		expect(t, e.Send(t.Context(), post(server.URL)), Delivered, ClassOK, 200)
	}
	v.counts(t, 1, 3)
	want := url.Values{
		"grant_type": {"client_credentials"}, "scope": {"crm.write crm.read"}, "audience": {"https://crm.test"},
	}
	if got := v.forms[0]; got.Encode() != want.Encode() {
		t.Errorf("asked with %v, want %v", got, want)
	}
	pair := base64.StdEncoding.EncodeToString([]byte("me:hush%2B1")) // RFC 6749 §2.3.1: escaped first
	for name, want := range map[string]string{
		"Authorization": "Basic " + pair, "User-Agent": "walpost/1", "Accept": "application/json",
		"Content-Type": "application/x-www-form-urlencoded", "Webhook-Id": "",
	} {
		if got := v.asked[0].Get(name); got != want {
			t.Errorf("%s of the token request is %q, want %q", name, got, want)
		}
	}
}

func TestClientSecretGoesIntoTheFormIfRefusedElsewhere(t *testing.T) {
	t.Parallel()
	v := &vendor{token: func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.PostForm.Get("client_secret") == "hush+1" && r.Header.Get("Authorization") == "" {
			return false
		}
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}}
	server := serve(t, v.ServeHTTP)
	e := open(t, Options{Auth: clientCredentials(server.URL)}, wiring{})
	expect(t, e.Send(t.Context(), post(server.URL)), Delivered, ClassOK, 200)
	v.counts(t, 2, 1)
	v.revoke()
	expect(t, e.Send(t.Context(), post(server.URL)), Delivered, ClassOK, 200)
	v.counts(t, 3, 3) // it knows now where to put it
}

func TestJWTBearer(t *testing.T) {
	t.Parallel()
	v := &vendor{}
	server := serve(t, v.ServeHTTP)
	auth := &AuthOptions{
		Kind: AuthJWTBearer, TokenURL: server.URL + "/token", Issuer: "consumer key", Subject: "me@example.com",
		Audience: "https://login.salesforce.com", Scopes: []string{"api"}, PrivateKey: pkcs8(t, rsaKey()),
	}
	e := open(t, Options{Auth: auth}, wiring{})
	before := time.Now()
	for range 2 {
		expect(t, e.Send(t.Context(), post(server.URL)), Delivered, ClassOK, 200)
	}
	v.counts(t, 1, 2)
	if grant := v.forms[0].Get("grant_type"); grant != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		t.Errorf("the grant type is %q", grant)
	}
	var header struct{ Alg, Typ string }
	var claims struct {
		Iss, Sub, Aud, Scope string
		Exp, Iat             int64
	}
	verifyJWT(t, v.forms[0].Get("assertion"), &rsaKey().PublicKey, &header, &claims)
	if header.Alg != "RS256" || header.Typ != "JWT" {
		t.Errorf("header %+v", header)
	}
	if claims.Iss != auth.Issuer || claims.Sub != auth.Subject || claims.Aud != auth.Audience || claims.Scope != "api" {
		t.Errorf("claims %+v", claims)
	}
	expires, issued := time.Unix(claims.Exp, 0), time.Unix(claims.Iat, 0)
	if issued.After(before) || expires.Before(before.Add(time.Minute)) || expires.After(before.Add(3*time.Minute)) {
		t.Errorf("issued %s, expires %s; it is %s", issued, expires, before)
	}
}

func verifyJWT(t testing.TB, token string, key *rsa.PublicKey, header, claims any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("the assertion has %d parts", len(parts))
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature); err != nil {
		t.Errorf("the signature: %v", err)
	}
	for i, into := range []any{header, claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAudienceIsTheTokenURLUnlessGiven(t *testing.T) {
	t.Parallel()
	v := &vendor{}
	server := serve(t, v.ServeHTTP)
	auth := &AuthOptions{
		Kind: AuthJWTBearer, TokenURL: server.URL + "/token", Issuer: "i", Subject: "s", PrivateKey: pkcs8(t, rsaKey()),
	}
	expect(t, open(t, Options{Auth: auth}, wiring{}).Send(t.Context(), post(server.URL)), Delivered, ClassOK, 200)
	var header, claims map[string]any
	verifyJWT(t, v.forms[0].Get("assertion"), &rsaKey().PublicKey, &header, &claims)
	if claims["aud"] != auth.TokenURL {
		t.Errorf("aud is %v", claims["aud"])
	}
}

func TestTokenEndpointFailures(t *testing.T) {
	t.Parallel()
	// echo repeats all that it was asked with.
	echo := func(w http.ResponseWriter, r *http.Request, n int) bool {
		_, secret, _ := r.BasicAuth()
		text := []string{r.Header.Get("Authorization"), secret, r.PostForm.Encode(), r.PostForm.Get("assertion"), r.URL.RawQuery}
		for _, said := range text {
			if said == "" {
				continue
			}
			answer, _ := json.Marshal(map[string]string{"error": "invalid_client", "error_description": "no such client: " + said})
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write(answer)
			return true
		}
		return false
	}
	const unusable = "answered 200 without a usable token; check token_url"
	for _, tc := range []struct {
		name   string
		status int
		body   string
		token  func(http.ResponseWriter, *http.Request, int) bool
		asked  int
		want   string
	}{
		{name: "invalid_client", status: 401, body: `{"error":"invalid_client"}`, asked: 2, want: "answered 401; check client_id, client_secret, scopes and params: invalid_client"},
		{name: "described", status: 400, body: `{"error":"invalid_grant","error_description":"user hasn't\napproved"}`, asked: 2, want: "answered 400; check client_id, client_secret, scopes and params: invalid_grant user hasn't approved"},
		{name: "long", status: 400, body: `{"error":"` + strings.Repeat("ä", 500) + `"}`, asked: 2, want: "ä…"},
		{name: "forbidden", status: 403, asked: 2, want: "answered 403; check client_id, client_secret, scopes and params"},
		{name: "not found", status: 404, body: "<html>", asked: 1, want: "answered 404; check token_url"},
		{name: "busy", status: 429, asked: 1, want: "answered 429"},
		{name: "down", status: 503, body: `{"error":"temporarily_unavailable"}`, asked: 1, want: "answered 503: temporarily_unavailable"},
		{name: "no JSON", status: 200, body: "<html>hush</html>", asked: 1, want: unusable},
		{name: "empty", status: 200, asked: 1, want: unusable},
		{name: "no token", status: 200, body: `{"token_type":"Bearer"}`, asked: 1, want: unusable},
		{name: "error with 200", status: 200, body: `{"error":"bad_verification_code"}`, asked: 1, want: "answered 200; check token_url: bad_verification_code"},
		{name: "injection", status: 200, body: `{"access_token":"hush\r\nX: y"}`, asked: 1, want: unusable},
		{name: "injection by type", status: 200, body: `{"access_token":"x","token_type":"a\nb"}`, asked: 1, want: unusable},
		{name: "endless", asked: 1, want: unusable, token: func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			for zeros := make([]byte, 1<<20); ; {
				if _, err := w.Write(zeros); err != nil {
					return true
				}
			}
		}},
		{name: "cut off", asked: 1, want: "gave no answer; check token_url: unexpected EOF", token: func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"access_token":"hush"`)
			return true
		}},
		{name: "echo", token: echo, asked: 2, want: "answered 400; check client_id, client_secret, scopes and params"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			v := &vendor{token: func(w http.ResponseWriter, r *http.Request, n int) bool {
				if tc.token != nil {
					return tc.token(w, r, n)
				}
				w.Header().Set("Retry-After", "7200")
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
				return true
			}}
			server := serve(t, v.ServeHTTP)
			e := open(t, Options{Auth: clientCredentials(server.URL)}, wiring{})
			o := e.Send(t.Context(), post(server.URL))
			expect(t, o, Retry, ClassAuth, 0)
			noSecret(t, o.Err)
			text := o.Err.Error()
			host := strings.TrimPrefix(server.URL, "http://")
			if !strings.HasPrefix(text, "no token: "+host+" ") || !strings.HasSuffix(text, tc.want) || len(text) > maxErrorText+len("…") {
				t.Errorf("says %q, want %q", text, tc.want)
			}
			if asks := tc.status == 429 || tc.status == 503; asks != (o.RetryAfter == 2*time.Hour) {
				t.Errorf("asks for %s", o.RetryAfter)
			}
			v.counts(t, tc.asked, 0)
		})
	}
	t.Run("echoed assertion", func(t *testing.T) {
		t.Parallel()
		v := &vendor{token: echo}
		server := serve(t, v.ServeHTTP)
		e := open(t, Options{Auth: &AuthOptions{
			Kind: AuthJWTBearer, TokenURL: server.URL + "/token", Issuer: "i", Subject: "s", PrivateKey: pkcs8(t, rsaKey()),
		}}, wiring{})
		o := e.Send(t.Context(), post(server.URL))
		expect(t, o, Retry, ClassAuth, 0)
		if text := o.Err.Error(); !strings.HasSuffix(text, "answered 400; check issuer, subject, audience, private_key and this machine's clock") {
			t.Errorf("says %q", text)
		}
		v.counts(t, 1, 0)
	})
}

func TestTokenEndpointOutOfReach(t *testing.T) {
	t.Parallel()
	server := serve(t, answer(http.StatusOK))
	for name, tc := range map[string]struct{ base, want string }{
		"refused": {unused(t), "connection refused"},
		"no host": {"http://nowhere.walpost.test.", "no such host"},
		"denied":  {"http://169.254.169.254", "address 169.254.169.254 is denied by the egress guard"},
		"closed":  {"http://" + script(t, answers("")), "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, kind := range []AuthKind{AuthOAuth2, AuthJWTBearer} {
				auth := clientCredentials(tc.base)
				auth.Kind, auth.Issuer, auth.Subject, auth.PrivateKey = kind, "i", "s", pkcs8(t, rsaKey())
				auth.TokenURL += "/hush?code=hush"
				e := open(t, Options{Auth: auth}, wiring{resolver: nameServer(nowhere)})
				o := e.Send(t.Context(), post(server.URL))
				expect(t, o, Retry, ClassAuth, 0)
				noSecret(t, o.Err)
				if text := o.Err.Error(); !strings.Contains(text, "gave no answer; check token_url: ") || !strings.Contains(text, tc.want) {
					t.Errorf("%s says %q, want %q", kind, text, tc.want)
				}
			}
		})
	}
}

func TestTokenRequestsAreGuardedLikeOthers(t *testing.T) {
	t.Parallel()
	v := &vendor{}
	server := serve(t, v.ServeHTTP)
	guard := NewGuard(nil, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
	e := open(t, Options{Auth: clientCredentials(server.URL), Guard: guard}, wiring{})
	expect(t, e.Send(t.Context(), post(server.URL)), Retry, ClassAuth, 0)
	v.counts(t, 0, 0)
}

func TestTokenRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := &vendor{}
	other := serve(t, elsewhere.ServeHTTP)
	for _, status := range []int{301, 302, 303, 307, 308} {
		v := &vendor{token: func(w http.ResponseWriter, r *http.Request, _ int) bool {
			http.Redirect(w, r, other.URL+"/token", status)
			return true
		}}
		server := serve(t, v.ServeHTTP)
		e := open(t, Options{Auth: clientCredentials(server.URL)}, wiring{})
		o := e.Send(t.Context(), post(server.URL))
		expect(t, o, Retry, ClassAuth, 0)
		if want := fmt.Sprintf("answered %d; check token_url", status); !strings.HasSuffix(o.Err.Error(), want) {
			t.Errorf("says %q, want %q", o.Err, want)
		}
		v.counts(t, 1, 0)
	}
	elsewhere.counts(t, 0, 0)
}

func TestTokenRequestThatCannotBeMade(t *testing.T) {
	t.Parallel()
	endpoint := newTokenEndpoint(clientCredentials("http://l.test"), time.Second, "", nil)
	endpoint.source = func(context.Context) oauth2.TokenSource { return unsigned{} }
	_, err := endpoint.fetch(t.Context())
	if want := "no token: l.test was not asked; check client_id, client_secret, scopes and params"; err == nil || err.Error() != want {
		t.Errorf("says %v, want %q", err, want)
	}
}

// unsigned is a source whose key signs nothing.
type unsigned struct{}

func (unsigned) Token() (*oauth2.Token, error) { return nil, errors.New("hush") }

func TestSecretsOfATokenRequest(t *testing.T) {
	t.Parallel()
	got := unquotable(&AuthOptions{
		TokenURL: "https://l.test/t?key=q", ClientID: "a", ClientSecret: "b c", Params: map[string]string{"p": "param", "empty": ""},
	})
	slices.Sort(got)
	if want := []string{"YTpiK2M=", "b c", "b+c", "eyJ", "key=q", "param"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// roundTrip is a transport without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func FuzzTokenAnswer(f *testing.F) {
	f.Add(200, "application/json", `{"access_token":"a","token_type":"bearer","expires_in":"3600"}`)
	f.Add(200, "application/json", `{"access_token":"a\r\nX: y","expires_in":1e99}`)
	f.Add(200, "text/plain", "access_token=a&expires_in=9")
	f.Add(400, "application/json", `{"error":"invalid_grant","error_description":"hush+1"}`)
	f.Add(302, "", "")
	f.Fuzz(func(t *testing.T, status int, kind, body string) {
		via := roundTrip(func(*http.Request) (*http.Response, error) {
			answer := io.NopCloser(strings.NewReader(body))
			return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}, Body: answer}, nil
		})
		endpoint := newTokenEndpoint(clientCredentials("http://l.test"), time.Second, "", via)
		c, err := endpoint.fetch(t.Context())
		switch {
		case err != nil:
			if text := err.Error(); len(text) > maxErrorText+len("…") || strings.Contains(text, "hush+1") || strings.Contains(text, "\n") {
				t.Errorf("unfit for a log: %q", text)
			}
		case status/100 != 2:
			t.Errorf("a token came with %d", status)
		default:
			if kind, token, ok := strings.Cut(c.header[0], " "); !ok || !isToken(kind) || !isToken(token) || token == "" {
				t.Errorf("unfit for a header: %q", c.header[0])
			}
		}
	})
}
