package daemon

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
)

func TestAuthorizedRequestsAndRetriedStatuses(t *testing.T) {
	t.Parallel()
	r := newRig(t, `
webhook "hook" {
  topics    = ["*"]
  url       = "{url}/hook"
  permanent = [400]
  retry_on  = [403]
  auth "oauth2" {
    token_url     = "{url}/token"
    client_id     = "walpost"
    client_secret = env("DATABASE_URL")
  }
}
`)
	var tokens atomic.Int32
	r.receiver.answers(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case req.URL.Path == "/token":
			w.Header().Set("Content-Type", "application/json")
			token := map[string]any{"access_token": fmt.Sprint("token-", tokens.Add(1)), "token_type": "Bearer", "expires_in": 3600}
			if err := json.NewEncoder(w).Encode(token); err != nil {
				t.Error(err)
			}
		case req.Header.Get("Authorization") != fmt.Sprint("Bearer token-", tokens.Load()):
			w.WriteHeader(http.StatusUnauthorized)
		case tokens.Load() > 1:
			w.WriteHeader(http.StatusForbidden)
		}
	})
	d := r.start()
	expect := func(paths ...string) {
		t.Helper()
		for _, path := range paths {
			if got := r.receiver.next(); got.path != path {
				t.Errorf("request to %s, want %s", got.path, path)
			}
		}
	}
	r.insert(tagged("1"))
	expect("/token", "/hook")
	tokens.Add(1) // the receiver takes the token back
	r.insert(tagged("2"))
	expect("/hook", "/token", "/hook")
	r.until("select exists (select from walpost.delivery where state = 'retrying' and attempts = 1 and last_status = 403)")
	d.mustStop()
	r.receiver.none()
}
