package sender

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"
)

// unused returns a URL that refuses connections.
func unused(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return "http://" + l.Addr().String()
}

// script starts a receiver that does with each connection what handle says, without any HTTP of its own.
func script(t testing.TB, handle func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			handle(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

// answers reads a request's beginning and writes text.
func answers(text string) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 64<<10))
		_, _ = io.WriteString(conn, text)
	}
}

// noSecret fails if an error shows what the tests hide in URLs and headers, at any depth.
func noSecret(t testing.TB, err error) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		for _, text := range []string{e.Error(), fmt.Sprintf("%+v", e)} {
			if strings.Contains(text, "hush") {
				t.Errorf("the error shows a secret: %s", text)
			}
		}
	}
}

func TestFailuresHaveTheirClass(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(answer(http.StatusOK))
	secure.Config.ErrorLog = quiet
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := serve(t, answer(http.StatusOK))
	e := open(t, Options{}, wiring{resolver: nameServer(nowhere)})
	denied := open(t, Options{Guard: NewGuard(nil, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})}, wiring{})
	for _, tc := range []struct {
		name    string
		e       *Endpoint
		url     string
		verdict Verdict
		class   Class
		status  int
	}{
		{"refused", e, unused(t), Retry, ClassRefused, 0},
		{"closed at once", e, "http://" + script(t, func(net.Conn) {}), Retry, ClassReset, 0},
		{"closed after the request", e, "http://" + script(t, answers("")), Retry, ClassReset, 0},
		{"closed within the headers", e, "http://" + script(t, answers("HTTP/1.1 200 OK\r\nA: b")), Retry, ClassReset, 0},
		{"not HTTP", e, "http://" + script(t, answers("SSH-2.0-OpenSSH_9.9\r\n")), Retry, ClassProtocol, 0},
		{"not a status", e, "http://" + script(t, answers("HTTP/1.1 abc OK\r\n\r\n")), Retry, ClassProtocol, 0},
		{
			"megabyte header", e, "http://" + script(t, answers("HTTP/1.1 200 OK\r\nA: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")),
			Retry, ClassProtocol, 0,
		},
		{
			"megabyte of headers", e, "http://" + script(t, answers("HTTP/1.1 200 OK\r\n"+strings.Repeat("A: b\r\n", 200_000)+"\r\n")),
			Retry, ClassProtocol, 0,
		},
		{"no headers", e, "http://" + script(t, answers("HTTP/1.1 200 OK\r\n\r\n")), Delivered, ClassOK, 200},
		{
			"switching protocols", e, "http://" + script(t, answers("HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")),
			Retry, ClassStatus, 101,
		},
		{"unknown authority", e, secure.URL, Retry, ClassTLS, 0},
		{"TLS to a plain server", e, "https" + strings.TrimPrefix(plain.URL, "http"), Retry, ClassTLS, 0},
		{"plain to a TLS server", e, "http" + strings.TrimPrefix(secure.URL, "https"), Retry, ClassStatus, 400},
		{"garbage for TLS", e, "https://" + script(t, answers("garbage, not a handshake")), Retry, ClassTLS, 0},
		{"no such host", e, "http://nowhere.walpost.test./", Retry, ClassDNS, 0},
		{"denied", denied, plain.URL, Rejected, ClassEgress, 0},
		{"metadata", e, "http://169.254.169.254/latest/meta-data", Rejected, ClassEgress, 0},
		{"mapped metadata", e, "http://[::ffff:169.254.169.254]/", Rejected, ClassEgress, 0},
		{"no URL", e, "", Rejected, ClassInvalidURL, 0},
		{"no scheme", e, "receiver.test/hook", Rejected, ClassInvalidURL, 0},
		{"other scheme", e, "ftp://receiver.test/", Rejected, ClassInvalidURL, 0},
		{"file", e, "file:///etc/passwd", Rejected, ClassInvalidURL, 0},
		{"no host", e, "http:///path", Rejected, ClassInvalidURL, 0},
		{"port alone", e, "http://:80/", Rejected, ClassInvalidURL, 0},
		{"bad port", e, "http://user:hush", Rejected, ClassInvalidURL, 0},
		{"bad escape", e, "http://receiver.test/%zzhush", Rejected, ClassInvalidURL, 0},
		{"null in a template", e, "http://receiver.test/\x00", Rejected, ClassInvalidURL, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := tc.e.Send(t.Context(), post(tc.url))
			expect(t, o, tc.verdict, tc.class, tc.status)
			noSecret(t, o.Err)
			if o.Err != nil && (len(o.Err.Error()) > maxErrorText+len("…") || !utf8.ValidString(o.Err.Error())) {
				t.Errorf("unfit for a log: %q", o.Err)
			}
		})
	}
}

func TestErrorsShowNoSecret(t *testing.T) {
	t.Parallel()
	e := open(t, Options{}, wiring{resolver: nameServer(nowhere)})
	for _, base := range []string{unused(t), "http://nowhere.walpost.test.", "http://169.254.169.254"} {
		url := strings.Replace(base, "http://", "http://me:hush1@", 1) + "/hush2?token=hush3#hush4"
		o := e.Send(t.Context(), post(url))
		if o.Err == nil {
			t.Fatalf("%s was delivered", base)
		}
		noSecret(t, o.Err)
	}
}

func TestTypedCausesStayInTheError(t *testing.T) {
	t.Parallel()
	o := open(t, Options{}, wiring{}).Send(t.Context(), post("http://169.254.169.254/"))
	var egress *EgressError
	if !errors.As(o.Err, &egress) || egress.Addr != netip.MustParseAddr("169.254.169.254") {
		t.Errorf("got %v, want an EgressError with the address", o.Err)
	}
	server := serve(t, answer(http.StatusTeapot))
	o = open(t, Options{}, wiring{}).Send(t.Context(), post(server.URL))
	var status *StatusError
	if !errors.As(o.Err, &status) || status.Status != http.StatusTeapot {
		t.Errorf("got %v, want a StatusError", o.Err)
	}
}

// metered counts the bytes that are read from the network.
type metered struct {
	net.Conn
	read *atomic.Int64
}

func (m metered) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	m.read.Add(int64(n))
	return n, err
}

func TestHugeBodiesAreNotRead(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	packer := gzip.NewWriter(&bomb)
	zeros := make([]byte, 1<<20)
	_, _ = packer.Write(zeros)
	_ = packer.Close()
	members := bytes.Repeat(bomb.Bytes(), 500) // half a gigabyte
	for name, handler := range map[string]http.HandlerFunc{
		"gzip bomb": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding") != "" {
				t.Errorf("compression was asked for: %q", r.Header.Get("Accept-Encoding"))
			}
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(members)
		},
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(zeros); err != nil {
					return
				}
			}
		},
		"long, of known length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000000")
			for range 100 {
				if _, err := w.Write(zeros[:1_000_000]); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, handler)
			var read atomic.Int64
			e := open(t, Options{}, wiring{dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
				return metered{conn, &read}, err
			}})
			o := e.Send(t.Context(), post(server.URL))
			expect(t, o, Delivered, ClassOK, 200)
			if limit := int64(MaxBody + 3*connBufferSize); read.Load() > limit {
				t.Errorf("%d bytes were read, want at most %d", read.Load(), limit)
			}
			if len(o.Excerpt) > MaxExcerpt || !utf8.Valid(o.Excerpt) {
				t.Errorf("excerpt of %d bytes", len(o.Excerpt))
			}
		})
	}
}

func TestBrokenBodyChangesNothing(t *testing.T) {
	t.Parallel()
	e := open(t, Options{}, wiring{})
	o := e.Send(t.Context(), post("http://"+script(t, answers("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"))))
	expect(t, o, Delivered, ClassOK, 200)
	if string(o.Excerpt) != "half" {
		t.Errorf("excerpt %q", o.Excerpt)
	}
	o = e.Send(t.Context(), post("http://"+script(t, answers("HTTP/1.1 410 G\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"))))
	expect(t, o, Gone, ClassStatus, 410)
}

func TestExcerptIsTheBeginningOfTheBody(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"":                                "",
		`{"error":"no such lead"}`:        `{"error":"no such lead"}`,
		"a\x00b\xffc":                     "a\uFFFDb\uFFFDc",
		strings.Repeat("x", 3000):         strings.Repeat("x", 1024),
		strings.Repeat("x", 1023) + "é":   strings.Repeat("x", 1023), // never half a character
		strings.Repeat("\xff", 1024):      strings.Repeat("\uFFFD", 341),
		strings.Repeat("€", 400):          strings.Repeat("€", 341),
		"cut off in the middle: \xe2\x82": "cut off in the middle: ",
	} {
		server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, body)
		})
		o := open(t, Options{}, wiring{}).Send(t.Context(), post(server.URL))
		if string(o.Excerpt) != want {
			t.Errorf("of %.40q: %.40q (%d bytes), want %.40q (%d bytes)", body, o.Excerpt, len(o.Excerpt), want, len(want))
		}
	}
}

func FuzzExcerpt(f *testing.F) {
	f.Add([]byte("plain"))
	f.Add([]byte("\x00\xff€\xe2\x82"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := excerpt(b[:min(len(b), MaxExcerpt)])
		if len(got) > MaxExcerpt || !utf8.Valid(got) || bytes.IndexByte(got, 0) >= 0 {
			t.Errorf("excerpt of %q is %q", b, got)
		}
	})
}
