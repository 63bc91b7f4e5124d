package http1

import (
	"bufio"
	"cmp"
	"io"
	"maps"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const maxHeader = 8 << 10

// answers are what servers say, and do behind it.
var answers = map[string]struct {
	method string // default: GET
	answer string
	closes bool
	close  bool // of the request
	conns  int64
}{
	"200":                         {answer: ok, conns: 1},
	"200 without a reason":        {answer: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", conns: 1},
	"bare line feeds":             {answer: "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", conns: 1},
	"chunks":                      {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", conns: 1},
	"chunks and trailers":         {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\n\r\n2\r\nok\r\n0\r\nSum: 1\r\n\r\n", conns: 1},
	"long trailers":               {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nSum: " + strings.Repeat("1", 3000) + "\r\n\r\n", conns: 1},
	"longer trailers":             {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nSum: " + strings.Repeat("1", 9000) + "\r\n\r\n", conns: 2},
	"a long chunk extension":      {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;" + strings.Repeat("x", 3000) + "\r\nok\r\n0\r\n\r\n", conns: 1},
	"a bad chunk":                 {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n", conns: 2},
	"chunks that end early":       {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", closes: true, conns: 2},
	"chunks without an end":       {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", closes: true, conns: 2},
	"chunks and a length":         {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n2\r\nok\r\n0\r\n\r\n", conns: 1},
	"an unknown encoding":         {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: zip\r\n\r\nok", closes: true, conns: 2},
	"204":                         {answer: nothing, conns: 1},
	"204 with a length":           {answer: "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", conns: 1},
	"304 with a length":           {answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", conns: 1},
	"HEAD":                        {method: "HEAD", answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", conns: 1},
	"HEAD without a length":       {method: "HEAD", answer: "HTTP/1.1 200 OK\r\n\r\n", conns: 1},
	"HEAD, chunked":               {method: "HEAD", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", conns: 1},
	"100 first":                   {answer: "HTTP/1.1 100 Continue\r\n\r\n" + ok, conns: 1},
	"many early hints first":      {answer: strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 20) + ok, conns: 1},
	"too many early hints":        {answer: strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 400) + ok, conns: 2},
	"100 and no more":             {answer: "HTTP/1.1 100 Continue\r\n\r\n", closes: true, conns: 2},
	"101":                         {answer: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nanything", conns: 2},
	"099":                         {answer: "HTTP/1.1 099 What\r\nContent-Length: 2\r\n\r\nok", conns: 2},
	"999":                         {answer: "HTTP/1.1 999 What\r\nContent-Length: 2\r\n\r\nok", conns: 1},
	"HTTP/1.0":                    {answer: "HTTP/1.0 200 OK\r\n\r\nok", closes: true, conns: 2},
	"HTTP/1.0 with a length":      {answer: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", conns: 2},
	"HTTP/1.0 that goes on":       {answer: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", conns: 1},
	"the answer closes":           {answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", conns: 2},
	"the answer closes, among":    {answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x, Close\r\n\r\nok", conns: 2},
	"the request closes":          {answer: ok, close: true, conns: 2},
	"no length, no end":           {answer: "HTTP/1.1 200 OK\r\n\r\nok", closes: true, conns: 2},
	"closed behind the answer":    {answer: ok, closes: true, conns: 2},
	"a body that ends early":      {answer: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", closes: true, conns: 2},
	"nothing":                     {answer: "", closes: true, conns: 2},
	"half a status line":          {answer: "HTTP/1.1 20", closes: true, conns: 2},
	"half the headers":            {answer: "HTTP/1.1 200 OK\r\nA: b\r\n", closes: true, conns: 2},
	"another protocol":            {answer: "220 mail.test ESMTP\r\n", closes: true, conns: 2},
	"HTTP/2.0 in letters":         {answer: "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok", conns: 1},
	"a status of four digits":     {answer: "HTTP/1.1 2000 OK\r\n\r\n", closes: true, conns: 2},
	"a status of letters":         {answer: "HTTP/1.1 abc OK\r\n\r\n", closes: true, conns: 2},
	"no colon":                    {answer: "HTTP/1.1 200 OK\r\nwhat\r\n\r\n", closes: true, conns: 2},
	"a space before the colon":    {answer: "HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 2\r\n\r\nok", closes: true, conns: 2},
	"a folded header":             {answer: "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok", conns: 1},
	"a NUL":                       {answer: "HTTP/1.1 200 OK\r\nA: b\x00\r\nContent-Length: 2\r\n\r\nok", closes: true, conns: 2},
	"the same length twice":       {answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", conns: 1},
	"two lengths":                 {answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", closes: true, conns: 2},
	"a negative length":           {answer: "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", closes: true, conns: 2},
	"a length with a sign":        {answer: "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", closes: true, conns: 2},
	"as many headers as may be":   {answer: long(maxHeader), conns: 1},
	"one byte more than may be":   {answer: long(maxHeader + 1), conns: 2},
	"Location":                    {answer: "HTTP/1.1 302 Found\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n", conns: 1},
	"a body that says it's small": {answer: "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok", conns: 1},
}

// TestMoreThanAnAnswer: what has more behind it is an answer, and its connection's last. net/http may take the rest for the next one,
// if that is asked for in the same moment.
func TestMoreThanAnAnswer(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ method, answer, body string }{
		"another answer":        {http.MethodGet, ok + ok, "ok"},
		"a line":                {http.MethodGet, ok + "\r\n", "ok"},
		"a body of 204":         {http.MethodGet, "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", ""},
		"a body of HEAD":        {http.MethodHead, ok, ""},
		"a byte behind chunks":  {http.MethodGet, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nx", "ok"},
		"an answer behind 101":  {http.MethodGet, "HTTP/1.1 101 Switching Protocols\r\n\r\n" + ok, ""},
		"an answer behind HEAD": {http.MethodHead, nothing + ok, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{script: answering(tc.answer)}
			url := "http://" + s.listen(t)
			transport := opened(t, dial)
			for range 2 {
				if _, body, err := do(t, transport, request(t.Context(), t, tc.method, url, nil)); body != tc.body || err != nil {
					t.Errorf("got %q, %v; want %q", body, err, tc.body)
				}
			}
			s.connected(t, 2)
		})
	}
}

// long is an answer whose headers have so many bytes. It has no body, which would have come with the headers.
func long(size int) string {
	const before, behind = "HTTP/1.1 204 No Content\r\nA: ", "\r\n\r\n"
	return before + strings.Repeat("x", size-len(before)-len(behind)) + behind
}

// heard is what a transport makes of an answer.
type heard struct {
	Status   int
	Proto    string
	Header   http.Header
	Length   int64
	Body     string
	Trailer  http.Header
	NoAnswer bool
	Broken   bool  // the body
	Conns    int64 // after a second request
}

// TestAnswersAreNetHTTPs plays the same answers to net/http's transport and to ours.
func TestAnswersAreNetHTTPs(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := hear(t, name, func() http.RoundTripper {
				theirs := &http.Transport{DisableCompression: true, MaxResponseHeaderBytes: maxHeader}
				t.Cleanup(theirs.CloseIdleConnections)
				return theirs
			})
			got := hear(t, name, func() http.RoundTripper {
				ours := opened(t, dial)
				ours.MaxHeader = maxHeader
				return ours
			})
			if want.Conns != answers[name].conns {
				t.Errorf("net/http used %d connections, want %d", want.Conns, answers[name].conns)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got\n%+v, and net/http\n%+v", got, want)
			}
		})
	}
}

// hear makes the request that gets the answer, and another one.
func hear(t *testing.T, name string, open func() http.RoundTripper) (h heard) {
	t.Helper()
	answer, closed := answers[name], make(chan struct{})
	s := &server{script: func(n int, conn net.Conn) {
		in := bufio.NewReader(conn)
		if n == 1 && next(in) == nil {
			_, _ = io.WriteString(conn, answer.answer)
			if answer.closes {
				_ = conn.Close()
				close(closed)
				return
			}
		}
		answering(nothing)(n, conn)
	}}
	url := "http://" + s.listen(t)
	via := open() // behind the server, to be closed before it
	req := request(t.Context(), t, cmp.Or(answer.method, http.MethodGet), url, nil)
	req.Close = answer.close
	resp, body, err := do(t, via, req)
	if resp == nil {
		h.NoAnswer = true
	} else {
		h = heard{resp.StatusCode, resp.Proto, resp.Header, resp.ContentLength, body, resp.Trailer, false, err != nil, 0}
	}
	if answer.closes {
		<-closed
	}
	if resp, _, err := get(t.Context(), t, via, url); err != nil || resp.StatusCode != http.StatusNoContent {
		t.Errorf("the next request got %v, %v", resp, err)
	}
	h.Conns = s.conns.Load()
	return h
}
