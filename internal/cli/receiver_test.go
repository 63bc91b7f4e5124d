//go:build unix

package cli_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long a script waits for something that is to happen, before it fails.
const patience = 30 * time.Second

// hang is the status of a request that is not answered.
const hang = 0

// receiver is an endpoint that keeps what it gets.
type receiver struct {
	server   *httptest.Server
	requests chan string // one line each

	mu       sync.Mutex
	statuses []int  // the next answers; the last one repeats
	body     string // of each answer
}

// cmdReceiver starts a receiver, or sets its answers: receiver NAME [STATUS|hang|body=TEXT]...
// NAME is also the variable with its URL, NAME_ADDRESS the one with its address.
func cmdReceiver(ts *testscript.TestScript, _ bool, args []string) {
	s := stageOf(ts)
	r := s.receivers[args[0]]
	if r == nil {
		r = &receiver{requests: make(chan string, 1000)}
		r.server = httptest.NewServer(r)
		s.receivers[args[0]] = r
		ts.Setenv(args[0], r.server.URL)
		ts.Setenv(args[0]+"_ADDRESS", r.server.Listener.Addr().String())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.statuses = []int{http.StatusNoContent}
	r.body = ""
	if len(args) > 1 {
		r.statuses = nil
	}
	for _, arg := range args[1:] {
		if body, ok := strings.CutPrefix(arg, "body="); ok {
			r.body = body
			continue
		}
		status, err := strconv.Atoi(arg)
		if arg == "hang" {
			status, err = hang, nil
		}
		ts.Check(err)
		r.statuses = append(r.statuses, status)
	}
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the sender has gone
	}
	r.mu.Lock()
	status, answer := r.statuses[0], r.body
	if len(r.statuses) > 1 {
		r.statuses = r.statuses[1:]
	}
	r.mu.Unlock()
	if status != hang {
		w.WriteHeader(status)
		if answer != "" {
			_, _ = io.WriteString(w, answer) // the sender may have gone
		}
	}
	r.requests <- fmt.Sprintf("%s %s %s attempt %s: %s -> %d", req.Method, req.URL.Path,
		req.Header.Get("webhook-topic"), req.Header.Get("webhook-attempt"), body, status)
	if status == hang {
		<-req.Context().Done()
	}
}

// cmdReceive waits for so many more requests and prints them, sorted: receive NAME N.
func cmdReceive(ts *testscript.TestScript, _ bool, args []string) {
	r := stageOf(ts).receivers[args[0]]
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	var lines []string
	timeout := time.After(patience)
	for len(lines) < n {
		select {
		case line := <-r.requests:
			lines = append(lines, line)
		case <-timeout:
			ts.Fatalf("receive: got %d of %d requests: %q", len(lines), n, lines)
		}
	}
	slices.Sort(lines)
	for _, line := range lines {
		_, err := fmt.Fprintln(ts.Stdout(), line)
		ts.Check(err)
	}
}
