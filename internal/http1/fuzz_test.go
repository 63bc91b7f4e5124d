package http1

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// FuzzAnswer has a server say anything, in pieces, and close or not. A request ends in its time, its body is closed, and its connection is
// kept only if what was said is an answer, all of it, and nothing else.
func FuzzAnswer(f *testing.F) {
	for _, a := range answers {
		f.Add([]byte(a.answer), uint16(0), a.closes, a.method == http.MethodHead, uint16(0))
		f.Add([]byte(a.answer), uint16(30), !a.closes, false, uint16(100))
	}
	f.Fuzz(func(t *testing.T, said []byte, cut uint16, closes, head bool, size uint16) {
		said = said[:min(len(said), 4<<10)] // what is read at once: a pipe, unlike a socket, doesn't show what is behind it
		at := min(int(cut), len(said))
		method, body := http.MethodPost, &closing{Reader: strings.NewReader(strings.Repeat("x", 5*int(size)))}
		if head {
			method = http.MethodHead
		}
		synctest.Test(t, func(t *testing.T) {
			s := &server{script: func(_ int, conn net.Conn) {
				read := make(chan struct{})
				go func() {
					defer close(read)
					untilClosed(conn)
				}()
				_, _ = conn.Write(said[:at])
				_, _ = conn.Write(said[at:])
				if !closes {
					<-read
				}
			}}
			transport := opened(t, s.pipe)
			transport.MaxHeader = 1 << 10
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			req := request(ctx, t, method, "http://receiver.test/", body)
			req.ContentLength = 5 * int64(size)
			_, _, err := do(t, transport, req)
			if took := time.Since(start); took > time.Second+writeLate {
				t.Errorf("it took %s", took)
			}
			if n := body.closed.Load(); n != 1 {
				t.Errorf("the body was closed %d times", n)
			}
			transport.mu.Lock()
			kept := len(transport.idle) == 1
			transport.mu.Unlock()
			if kept && (err != nil || !whole(said, method) && !whole(said[:at], method)) {
				t.Errorf("the connection is kept (%v) behind %q", err, said)
			}
		})
	})
}

// whole says whether what was said is one answer that leaves the connection open, by net/http's reading of it.
func whole(said []byte, method string) bool {
	in := bufio.NewReader(bytes.NewReader(said))
	for {
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return false
		}
		if informational(resp.StatusCode) {
			continue
		}
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return err == nil && !resp.Close && resp.StatusCode >= 200 && in.Buffered() == 0
	}
}
