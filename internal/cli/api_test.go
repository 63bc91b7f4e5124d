//go:build unix

package cli_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdAPI sends a request to the admin server whose address is in the last output, or was when it was called first,
// and prints status and body: api METHOD PATH [TOKEN].
func cmdAPI(ts *testscript.TestScript, _ bool, args []string) {
	if ts.Getenv("ADMIN") == "" {
		ts.Setenv("ADMIN", regexp.MustCompile(`http://[^"]+`).FindString(ts.ReadFile("stdout")))
	}
	req, err := http.NewRequest(args[0], ts.Getenv("ADMIN")+args[1], strings.NewReader(""))
	ts.Check(err)
	if len(args) > 2 {
		req.Header.Set("Authorization", "Bearer "+args[2])
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer func() { ts.Check(resp.Body.Close()) }()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	_, err = fmt.Fprintf(ts.Stdout(), "%s\n%s", resp.Status, body)
	ts.Check(err)
}

// cmdSilence listens on an address, URL, where nothing ever answers. Its second call waits for a connection:
// silence URL, silence.
func cmdSilence(ts *testscript.TestScript, _ bool, args []string) {
	s := stageOf(ts)
	if len(args) == 0 {
		<-s.connected
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	s.connected = make(chan struct{}, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }() // its peer has gone by then
			select {
			case s.connected <- struct{}{}:
			default:
			}
		}
	}()
	ts.Defer(func() { _ = listener.Close(); <-ended })
	ts.Setenv(args[0], "postgres://app@"+listener.Addr().String()+"/app?sslmode=disable")
}
