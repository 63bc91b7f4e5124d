package sender

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
)

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, minKeyBits)
	if err != nil {
		panic(err)
	}
	return key
})

func pkcs8(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestFixedCredentials(t *testing.T) {
	t.Parallel()
	url, requests := record(t)
	for _, tc := range []struct {
		auth *AuthOptions
		want string
	}{
		{&AuthOptions{Kind: AuthBasic, Username: "me", Password: "hush:x"}, "Basic bWU6aHVzaDp4"},
		{&AuthOptions{Kind: AuthBasic, Username: "anystring"}, "Basic YW55c3RyaW5nOg=="},
		{&AuthOptions{Kind: AuthBearer, Token: "pat-na1-hush"}, "Bearer pat-na1-hush"},
		{nil, "own"},
	} {
		e := open(t, Options{Auth: tc.auth}, wiring{})
		attempt := post(strings.Replace(url, "http://", "http://other:pass@", 1))
		attempt.Header = http.Header{"authorization": {"own"}}
		expect(t, e.Send(t.Context(), attempt), Delivered, ClassOK, 200)
		if got := (<-requests).header.Values("Authorization"); len(got) != 1 || got[0] != tc.want {
			t.Errorf("sent %q, want %q once", got, tc.want)
		}
		if attempt.Header.Get("Authorization") != "" || len(attempt.Header) != 1 {
			t.Errorf("the attempt's header was modified: %v", attempt.Header)
		}
	}
}

func TestFixedCredentialsAreRefusedOnce(t *testing.T) {
	t.Parallel()
	seen := 0
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		seen++
		w.WriteHeader(http.StatusUnauthorized)
	})
	e := open(t, Options{Auth: &AuthOptions{Kind: AuthBearer, Token: "hush"}}, wiring{})
	o := e.Send(t.Context(), post(server.URL))
	expect(t, o, Retry, ClassStatus, 401)
	noSecret(t, o.Err)
	if seen != 1 {
		t.Errorf("the receiver got %d requests, want 1", seen)
	}
}

func TestAuthOptionsReportEveryProblem(t *testing.T) {
	t.Parallel()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwt := func(key string) AuthOptions {
		return AuthOptions{Kind: AuthJWTBearer, TokenURL: "https://l.test/", Issuer: "i", Subject: "s", PrivateKey: key}
	}
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey())})
	for _, tc := range []struct {
		auth  AuthOptions
		wants []string // none: valid
	}{
		{AuthOptions{}, []string{`kind "" is not`}},
		{AuthOptions{Kind: "digest"}, []string{`kind "digest" is not`}},
		{AuthOptions{Kind: AuthBasic}, []string{"username is empty"}},
		{AuthOptions{Kind: AuthBasic, Username: "a:hush"}, []string{"username has a colon"}},
		{AuthOptions{Kind: AuthBearer}, []string{"token is empty"}},
		{AuthOptions{Kind: AuthBearer, Token: "hush\n"}, []string{"token has a space, a line break"}},
		{AuthOptions{Kind: AuthBearer, Token: "hüsh"}, []string{"token has a space, a line break"}},
		{AuthOptions{Kind: AuthOAuth2}, []string{"client_id is empty", "token_url is not"}},
		{AuthOptions{Kind: AuthOAuth2, ClientID: "c", TokenURL: "hush"}, []string{"token_url is not"}},
		{AuthOptions{Kind: AuthOAuth2, ClientID: "c", TokenURL: "ftp://l.test"}, []string{"token_url is not"}},
		{AuthOptions{Kind: AuthOAuth2, ClientID: "c", TokenURL: "http://u:hush@l.test"}, []string{"token_url has user info"}},
		{
			AuthOptions{Kind: AuthOAuth2, ClientID: "c", TokenURL: "http://l.test", Params: map[string]string{"client_secret": "hush"}},
			[]string{"params has client_secret"},
		},
		{AuthOptions{Kind: AuthOAuth2, ClientID: "c", TokenURL: "http://l.test"}, nil},
		{AuthOptions{Kind: AuthJWTBearer}, []string{"issuer is empty", "subject is empty", "private_key is not PEM", "token_url is not"}},
		{jwt("hush"), []string{"private_key is not PEM"}},
		{jwt(pkcs8(t, small)), []string{"private_key has 1024 bits"}},
		{jwt(pkcs8(t, curve)), []string{"private_key is not an RSA key"}},
		{jwt("-----BEGIN PRIVATE KEY-----\naHVzaA==\n-----END PRIVATE KEY-----\n"), []string{"private_key is PEM, but neither"}},
		{jwt(pkcs8(t, rsaKey())), nil},
		{jwt(string(pkcs1)), nil},
	} {
		_, err := New(Options{Timeout: -1, Auth: &tc.auth})
		for _, want := range append(tc.wants, "timeout is negative") {
			if !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%s: %v does not say %q", tc.auth.Kind, err, want)
			}
		}
		if lines := strings.Count(fmt.Sprint(err), "\n"); lines != len(tc.wants) {
			t.Errorf("%s: %d problems beside the timeout's, want %d: %v", tc.auth.Kind, lines, len(tc.wants), err)
		}
		noSecret(t, err)
	}
}

// Who reloads compares options to know whether an endpoint can stay.
func TestOptionsStayAsTheyWereGiven(t *testing.T) {
	t.Parallel()
	make := func() Options {
		return Options{RetryOn: []int{403}, Auth: &AuthOptions{
			Kind: AuthOAuth2, TokenURL: "https://l.test/", ClientID: "c", ClientSecret: "hush", Scopes: []string{"a"},
			Params: map[string]string{"audience": "b"},
		}}
	}
	given := make()
	open(t, given, wiring{})
	if !reflect.DeepEqual(given, make()) {
		t.Error("New changed the options")
	}
	other := make()
	other.Auth.ClientSecret = "hush, hush"
	if reflect.DeepEqual(given, other) {
		t.Error("options with another secret are equal")
	}
}
