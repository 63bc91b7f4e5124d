package sender

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// vendor is a token endpoint at /token and a receiver elsewhere, which takes the newest token alone.
type vendor struct {
	answer func(n int) string                                              // to the nth token request; default: token-n, no expiry
	token  func(w http.ResponseWriter, r *http.Request, n int) (done bool) // in place of answer
	hook   func(w http.ResponseWriter, r *http.Request, n int) (done bool) // in place of the receiver

	mu     sync.Mutex
	forms  []url.Values  // of token requests
	asked  []http.Header // of token requests
	hooks  []received    // what the receiver got
	valid  string        // what it takes
	always bool          // it takes nothing
}

func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/token" {
		v.serveToken(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	v.mu.Lock()
	v.hooks = append(v.hooks, received{r.Method, r.RequestURI, r.Host, r.Header.Clone(), body, r.ContentLength})
	n, ok := len(v.hooks), r.Header.Get("Authorization") == v.valid && !v.always
	v.mu.Unlock()
	if v.hook != nil && v.hook(w, r, n) {
		return
	}
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]`)
	}
}

func (v *vendor) serveToken(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	v.mu.Lock()
	v.forms, v.asked = append(v.forms, r.PostForm), append(v.asked, r.Header.Clone())
	n := len(v.forms)
	v.mu.Unlock()
	if v.token != nil && v.token(w, r, n) {
		return
	}
	answer := fmt.Sprintf(`{"access_token":"token-%d","instance_url":"https://x.my.salesforce.com","token_type":"Bearer"}`, n)
	if v.answer != nil {
		answer = v.answer(n)
	}
	var got struct {
		Token string `json:"access_token"`
	}
	_ = json.Unmarshal([]byte(answer), &got)
	v.mu.Lock()
	v.valid = "Bearer " + got.Token
	v.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, answer)
}

// revoke makes the receiver refuse what it took until now.
func (v *vendor) revoke() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.valid = "nothing"
}

// counts fails unless the token endpoint and the receiver have been asked so many times.
func (v *vendor) counts(t testing.TB, tokens, hooks int) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.forms) != tokens || len(v.hooks) != hooks {
		t.Errorf("%d token requests and %d webhook requests, want %d and %d", len(v.forms), len(v.hooks), tokens, hooks)
	}
}

func clientCredentials(base string) *AuthOptions {
	return &AuthOptions{Kind: AuthOAuth2, TokenURL: base + "/token", ClientID: "me", ClientSecret: "hush+1"}
}

func TestTokenIsRenewedOn401(t *testing.T) {
	t.Parallel()
	v := &vendor{}
	server := serve(t, v.ServeHTTP)
	e := open(t, Options{Auth: clientCredentials(server.URL), Secret: vectorSecret, Concurrency: 1}, wiring{})
	expect(t, e.Send(t.Context(), post(server.URL)), Delivered, ClassOK, 200)
	v.revoke()
	attempt := post(server.URL)
	attempt.Number = 2
	expect(t, e.Send(t.Context(), attempt), Delivered, ClassOK, 200)
	v.counts(t, 2, 3)
	first, second := v.hooks[1], v.hooks[2]
	if first.header.Get("Authorization") != "Bearer token-1" || second.header.Get("Authorization") != "Bearer token-2" {
		t.Errorf("sent %q, then %q", first.header.Get("Authorization"), second.header.Get("Authorization"))
	}
	first.header.Del("Authorization")
	second.header.Del("Authorization")
	if fmt.Sprint(first) != fmt.Sprint(second) {
		t.Errorf("the repeated request differs: %v, then %v", first, second)
	}
}

func TestTheRequestIsRepeatedOnceAtMost(t *testing.T) {
	t.Parallel()
	v := &vendor{always: true}
	server := serve(t, v.ServeHTTP)
	e := open(t, Options{Auth: clientCredentials(server.URL)}, wiring{})
	o := e.Send(t.Context(), post(server.URL))
	expect(t, o, Retry, ClassStatus, 401)
	v.counts(t, 1, 1) // the token was new: another would not help
	o = e.Send(t.Context(), post(server.URL))
	expect(t, o, Retry, ClassStatus, 401)
	v.counts(t, 2, 3)
	if !strings.Contains(string(o.Excerpt), "INVALID_SESSION_ID") {
		t.Errorf("excerpt %q", o.Excerpt)
	}
	if delay, again := e.Policy().Next(1, o); delay != 5*time.Minute || !again {
		t.Errorf("next is %s, %t; want the schedule's", delay, again)
	}
}

func TestNoNewTokenAfter401(t *testing.T) {
	t.Parallel()
	v := &vendor{token: func(w http.ResponseWriter, _ *http.Request, n int) bool {
		if n > 1 {
			w.WriteHeader(http.StatusBadGateway)
		}
		return n > 1
	}}
	server := serve(t, v.ServeHTTP)
	e := open(t, Options{Auth: clientCredentials(server.URL)}, wiring{})
	expect(t, e.Send(t.Context(), post(server.URL)), Delivered, ClassOK, 200)
	v.revoke()
	expect(t, e.Send(t.Context(), post(server.URL)), Retry, ClassAuth, 0)
	v.counts(t, 2, 2)
}

const bubbleReceiver, bubbleLogin = "http://receiver.test/", "http://login.test"

func TestTokenLife(t *testing.T) {
	t.Parallel()
	for answer, life := range map[string]time.Duration{
		`{"access_token":"%d"}`:                                           time.Hour - 30*time.Second,
		`{"access_token":"%d","expires_in":0}`:                            time.Hour - 30*time.Second,
		`{"access_token":"%d","expires_in":7200}`:                         2*time.Hour - 30*time.Second,
		`{"access_token":"%d","expires_in":"7200","token_type":"bearer"}`: 2*time.Hour - 30*time.Second,
		`{"access_token":"%d","expires_in":20}`:                           15 * time.Second,
		`{"access_token":"%d","expires_in":-5}`:                           0,
	} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			v := &vendor{answer: func(n int) string { return fmt.Sprintf(answer, n) }}
			inBubble(t, Options{Auth: clientCredentials(bubbleLogin)}, v.ServeHTTP, func(t *testing.T, e *Endpoint) {
				send := func() { expect(t, e.Send(t.Context(), post(bubbleReceiver)), Delivered, ClassOK, 200) }
				send()
				v.counts(t, 1, 1)
				if life > 0 {
					time.Sleep(life - time.Millisecond)
					send()
					v.counts(t, 1, 2)
					time.Sleep(time.Millisecond)
				}
				hooks := len(v.hooks)
				send()
				v.counts(t, 2, hooks+1) // renewed before it could be refused
			})
		})
	}
}

func TestOneTokenRequestForAllAttempts(t *testing.T) {
	t.Parallel()
	v := &vendor{token: func(_ http.ResponseWriter, r *http.Request, _ int) bool {
		pause(r, time.Second) // until all wait for it
		return false
	}}
	inBubble(t, Options{Auth: clientCredentials(bubbleLogin)}, v.ServeHTTP, func(t *testing.T, e *Endpoint) {
		for round := 1; round <= 3; round++ {
			var senders sync.WaitGroup
			for range 50 {
				senders.Go(func() { expect(t, e.Send(t.Context(), post(bubbleReceiver)), Delivered, ClassOK, 200) })
			}
			senders.Wait()
			v.counts(t, round, 50+100*(round-1)) // from the second round on, each was refused once
			v.revoke()
		}
	})
}

// An attempt that is refused late finds the token that others have got meanwhile.
func TestRefusedLateUsesWhatOthersGot(t *testing.T) {
	t.Parallel()
	v := &vendor{}
	v.hook = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n != 2 {
			return false
		}
		pause(r, 3*time.Second)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	inBubble(t, Options{Auth: clientCredentials(bubbleLogin)}, v.ServeHTTP, func(t *testing.T, e *Endpoint) {
		expect(t, e.Send(t.Context(), post(bubbleReceiver)), Delivered, ClassOK, 200)
		v.revoke()
		var slow sync.WaitGroup
		slow.Go(func() { expect(t, e.Send(t.Context(), post(bubbleReceiver)), Delivered, ClassOK, 200) })
		synctest.Wait()
		expect(t, e.Send(t.Context(), post(bubbleReceiver)), Delivered, ClassOK, 200)
		v.counts(t, 2, 4)
		slow.Wait()
		v.counts(t, 2, 5)
	})
}

func TestTokenCountsTowardsTheTimeout(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		token, hook time.Duration
		verdict     Verdict
		class       Class
		status      int
		text        string
	}{
		{6 * time.Second, 3 * time.Second, Delivered, ClassOK, 200, ""},
		{6 * time.Second, 5 * time.Second, Retry, ClassTimeout, 0, "no answer within 10s"},
		{time.Hour, 0, Retry, ClassAuth, 0, "no token: login.test gave no answer within 10s; check token_url"},
	} {
		v := &vendor{
			token: func(_ http.ResponseWriter, r *http.Request, _ int) bool { pause(r, tc.token); return false },
			hook:  func(_ http.ResponseWriter, r *http.Request, _ int) bool { pause(r, tc.hook); return false },
		}
		inBubble(t, Options{Auth: clientCredentials(bubbleLogin)}, v.ServeHTTP, func(t *testing.T, e *Endpoint) {
			start := time.Now()
			o := e.Send(t.Context(), post(bubbleReceiver))
			expect(t, o, tc.verdict, tc.class, tc.status)
			if want := min(tc.token+tc.hook, 10*time.Second); time.Since(start) != want || o.Duration != want {
				t.Errorf("took %s, want %s", time.Since(start), want)
			}
			if o.Err != nil && o.Err.Error() != tc.text {
				t.Errorf("says %q, want %q", o.Err, tc.text)
			}
		})
	}
}

func TestWaitingForATokenEndsAlone(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{}, 1)
	v := &vendor{token: func(_ http.ResponseWriter, r *http.Request, n int) bool {
		pause(r, 5*time.Second)
		if r.Context().Err() != nil {
			gone <- struct{}{}
		}
		return false
	}}
	inBubble(t, Options{Auth: clientCredentials(bubbleLogin)}, v.ServeHTTP, func(t *testing.T, e *Endpoint) {
		// Two attempts wait; the one that asked is interrupted, the other gets the token.
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var both sync.WaitGroup
		both.Go(func() { expect(t, e.Send(short, post(bubbleReceiver)), Interrupted, ClassInterrupted, 0) })
		synctest.Wait()
		both.Go(func() { expect(t, e.Send(t.Context(), post(bubbleReceiver)), Delivered, ClassOK, 200) })
		both.Wait()
		v.counts(t, 1, 1)
		// Nobody is left: the request ends, and the next attempt asks anew.
		time.Sleep(time.Hour)
		short, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		expect(t, e.Send(short, post(bubbleReceiver)), Interrupted, ClassInterrupted, 0)
		<-gone
		expect(t, e.Send(t.Context(), post(bubbleReceiver)), Delivered, ClassOK, 200)
		v.counts(t, 3, 2)
	})
}
