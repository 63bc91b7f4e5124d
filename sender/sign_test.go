package sender

import (
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// The published vector: libraries/go/webhook_test.go, TestWebhookSign.
const (
	vectorSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorTimestamp = "1614265330"
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func TestSignatureOfThePublishedVector(t *testing.T) {
	t.Parallel()
	s, err := newSigner(vectorSecret, "")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // the state is used again
		if got := s.sign(vectorID, vectorTimestamp, []byte(vectorBody)); got != vectorSignature {
			t.Fatalf("got %s, want %s", got, vectorSignature)
		}
	}
	s.sign("other", "1", []byte(strings.Repeat("long", 1000)))
	if got := s.sign(vectorID, vectorTimestamp, []byte(vectorBody)); got != vectorSignature {
		t.Errorf("after another signature: got %s, want %s", got, vectorSignature)
	}
}

func TestReceiversVerify(t *testing.T) {
	t.Parallel()
	current, previous := NewSecret(), NewSecret()
	url, requests := record(t)
	signed := open(t, Options{Secret: current}, wiring{})
	rotating := open(t, Options{Secret: current, PreviousSecret: previous}, wiring{})
	for name, tc := range map[string]struct {
		endpoint *Endpoint
		count    int
		accepts  map[string]bool
	}{
		"one secret": {signed, 1, map[string]bool{current: true, previous: false, vectorSecret: false}},
		"rotation":   {rotating, 2, map[string]bool{current: true, previous: true, vectorSecret: false}},
	} {
		for _, body := range []string{`{"id":"1"}`, "", "not UTF-8: \xff\x00", strings.Repeat("x", 100_000)} {
			for _, method := range []string{http.MethodPost, http.MethodGet} {
				attempt := post(url)
				attempt.Method, attempt.Body = method, []byte(body)
				expect(t, tc.endpoint.Send(t.Context(), attempt), Delivered, ClassOK, 200)
				got := <-requests
				signatures := strings.Fields(got.header.Get("Webhook-Signature"))
				if len(signatures) != tc.count {
					t.Errorf("%s: %d signatures, want %d", name, len(signatures), tc.count)
				}
				for secret, want := range tc.accepts {
					verifier, err := standardwebhooks.NewWebhook(secret)
					if err != nil {
						t.Fatal(err)
					}
					if err := verifier.Verify(got.body, got.header); (err == nil) != want {
						t.Errorf("%s, %s of %d bytes: a receiver says %v, want accepted: %t", name, method, len(body), err, want)
					}
				}
				first, err := standardwebhooks.NewWebhook(current)
				if err != nil {
					t.Fatal(err)
				}
				alone := got.header.Clone()
				alone.Set("Webhook-Signature", signatures[0])
				if err := first.Verify(got.body, alone); err != nil {
					t.Errorf("%s: the current secret's signature is not the first: %v", name, err)
				}
			}
		}
	}
}

func TestEachAttemptIsSignedAnew(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var headers []http.Header
	inBubble(t, Options{Secret: vectorSecret}, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		headers = append(headers, r.Header.Clone())
	}, func(t *testing.T, e *Endpoint) {
		attempt := post("http://receiver.test/")
		for number := 1; number <= 2; number++ {
			attempt.Number = number
			expect(t, e.Send(t.Context(), attempt), Delivered, ClassOK, 200)
			verifier, err := standardwebhooks.NewWebhook(vectorSecret)
			if err != nil {
				t.Fatal(err)
			}
			// The receiver's tolerance is 5 minutes: the retry passes only if its timestamp is its own.
			if err := verifier.Verify(attempt.Body, headers[number-1]); err != nil {
				t.Errorf("attempt %d: %v", number, err)
			}
			time.Sleep(time.Hour)
		}
		if headers[0].Get("Webhook-Id") != headers[1].Get("Webhook-Id") {
			t.Error("the id changed between attempts")
		}
		if headers[0].Get("Webhook-Timestamp") == headers[1].Get("Webhook-Timestamp") {
			t.Error("the timestamp is the first attempt's")
		}
	})
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	encode := func(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for secret, want := range map[string]string{
		vectorSecret: "", encode(24): "", encode(32): "", encode(64): "",
		"":                            "starts with",
		"whsec_":                      "this one has 0",
		encode(23):                    "this one has 23",
		encode(65):                    "this one has 65",
		vectorSecret[6:]:              "starts with",
		"whsk_" + encode(64)[6:]:      "starts with",
		"whsec_hush!" + vectorID:      "not standard base64",
		encode(32)[:len("whsec_")+43]: "not standard base64", // no padding
	} {
		err := ValidSecret(secret)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", secret, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: got %v, want %q", secret, err, want)
		}
		noSecret(t, err)
	}
	first, second := NewSecret(), NewSecret()
	if first == second {
		t.Error("two new secrets are the same")
	}
	if err := ValidSecret(first); err != nil || len(first) != len("whsec_")+44 {
		t.Errorf("a new secret of %d characters: %v", len(first), err)
	}
}
