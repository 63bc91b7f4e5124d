package admin_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/walpost/walpost/internal/admin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answers is a daemon with fixed answers.
type answers struct {
	ready, status, reload error
	report                admin.Report
	asked                 chan struct{} // closed when Status is asked, which then waits for answer
	answer                chan struct{}
}

func (a *answers) Ready(context.Context) error { return a.ready }

func (a *answers) Status(context.Context) (admin.Report, error) {
	if a.asked != nil {
		close(a.asked)
		<-a.answer
	}
	return a.report, a.status
}

func (a *answers) Reload(context.Context) error { return a.reload }

// start runs a server until the test ends and gives its URL.
func start(t *testing.T, token string, daemon admin.Daemon) (url string, stop func()) {
	t.Helper()
	server, err := admin.New(admin.Options{Listen: "127.0.0.1:0", Token: token, Daemon: daemon})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		ended <- nil
	}
	t.Cleanup(stop)
	return "http://" + server.Addr().String(), stop
}

// do sends a request with headers "Name: value" and gives the status and the body.
func do(t *testing.T, method, url string, headers ...string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
		} else {
			req.Header.Set(name, value)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestWhoMayAskWhat(t *testing.T) {
	t.Parallel()
	const token = "correct horse"
	for _, c := range []struct {
		name, token, method, path string
		headers                   []string
		status                    int
	}{
		{"health needs no token", token, "GET", "/healthz", nil, 200},
		{"nor does readiness", token, "GET", "/readyz", nil, 200},
		{"status does", token, "GET", "/api/v1/status", nil, 401},
		{"reload does", token, "POST", "/-/reload", nil, 401},
		{"so does what isn't there", token, "GET", "/nowhere", nil, 401},
		{"a wrong token", token, "GET", "/api/v1/status", []string{"Authorization: Bearer correct"}, 401},
		{"an empty token", token, "GET", "/api/v1/status", []string{"Authorization: Bearer "}, 401},
		{"another scheme", token, "GET", "/api/v1/status", []string{"Authorization: Basic " + token}, 401},
		{"the token", token, "GET", "/api/v1/status", []string{"Authorization: Bearer " + token}, 200},
		{"the scheme in lower case", token, "POST", "/-/reload", []string{"Authorization: bearer " + token}, 200},
		{"a wrong method", token, "GET", "/-/reload", []string{"Authorization: Bearer " + token}, 405},
		{"what isn't there, with the token", token, "GET", "/nowhere", []string{"Authorization: Bearer " + token}, 404},
		{"by any name, with the token", token, "GET", "/api/v1/status", []string{"Host: walpost.example.com", "Authorization: Bearer " + token}, 200},
		{"no token asked for", "", "GET", "/api/v1/status", nil, 200},
		{"as localhost", "", "GET", "/api/v1/status", []string{"Host: localhost:8710"}, 200},
		{"by IPv6 address", "", "GET", "/api/v1/status", []string{"Host: [::1]:8710"}, 200},
		{"by a rebound name", "", "GET", "/api/v1/status", []string{"Host: evil.example.com"}, 403},
		{"health by any name", "", "GET", "/healthz", []string{"Host: pod.example.com"}, 200},
		{"from a page of another site", "", "POST", "/-/reload", []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"from the same site", "", "POST", "/-/reload", []string{"Sec-Fetch-Site: same-origin"}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			url, _ := start(t, c.token, &answers{})
			if status, body := do(t, c.method, url+c.path, c.headers...); status != c.status {
				t.Errorf("%s %s: %d, not %d: %s", c.method, c.path, status, c.status, body)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	rejected := &admin.RejectedError{Diagnostics: []byte(`{"format": 1, "diagnostics": ["x"]}`), Err: errors.New("one error")}
	for _, c := range []struct {
		name, method, path string
		daemon             answers
		status             int
		contains           string
	}{
		{"ready", "GET", "/readyz", answers{}, 200, "ready\n"},
		{"not ready", "GET", "/readyz", answers{ready: errors.New("no slot")}, 503, "not ready: no slot\n"},
		{"status", "GET", "/api/v1/status", answers{report: admin.Report{Format: 1, Daemon: map[string]int{"queues": 2}}}, 200, `"queues": 2`},
		{"no status", "GET", "/api/v1/status", answers{status: errors.New("no database")}, 503, `"error": "no database"`},
		{"reloaded", "POST", "/-/reload", answers{}, 200, `"reloaded": true`},
		{"a wrong configuration", "POST", "/-/reload", answers{reload: rejected}, 422, `"diagnostics": [`},
		{"a configuration that takes a restart", "POST", "/-/reload", answers{reload: errors.New("outbox.slot has changed")}, 409, `"error": "outbox.slot has changed"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			url, _ := start(t, "", &c.daemon)
			status, body := do(t, c.method, url+c.path)
			if status != c.status || !strings.Contains(body, c.contains) {
				t.Errorf("%d %s, not %d with %s", status, body, c.status, c.contains)
			}
		})
	}
}

func TestTakenAddressIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	url, _ := start(t, "", &answers{})
	_, err := admin.New(admin.Options{Listen: strings.TrimPrefix(url, "http://"), Daemon: &answers{}})
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v, not that the address is in use", err)
	}
}

func TestRunLetsRequestsEnd(t *testing.T) {
	t.Parallel()
	daemon := &answers{asked: make(chan struct{}), answer: make(chan struct{})}
	url, stop := start(t, "", daemon)
	answered := make(chan int, 1)
	go func() {
		status, _ := do(t, "GET", url+"/api/v1/status")
		answered <- status
	}()
	<-daemon.asked
	stopped := make(chan struct{})
	go func() {
		stop()
		close(stopped)
	}()
	close(daemon.answer)
	if status := <-answered; status != http.StatusOK {
		t.Errorf("the request that was running got %d", status)
	}
	<-stopped
	if _, err := http.Get(url + "/healthz"); err == nil { //nolint:bodyclose // there is no response
		t.Error("the server still answers after Run has returned")
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	if _, err := admin.New(admin.Options{Listen: "127.0.0.1:0"}); err == nil {
		t.Error("a server without a daemon was made")
	}
	if _, err := admin.New(admin.Options{Daemon: &answers{}}); err == nil {
		t.Error("a server without an address was made")
	}
	server, err := admin.New(admin.Options{Listen: "127.0.0.1:0", Daemon: &answers{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
