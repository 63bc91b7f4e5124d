package sender

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// The frames of HTTP/2 that the test's endpoint reads and writes; RFC 9113 §6.
const (
	frameHeaders, frameReset, frameSettings, frameGoAway = 1, 3, 4, 7
	flagAck, flagEndStream, flagEndHeaders               = 1, 1, 4
	codeNone, codeRefusedStream                          = 0, 7
)

// framed is an endpoint that answers at the level of frames: what net/http's server never does. refuses says of the nth
// stream of all (from 1) how it is not processed; "" if it is.
type framed struct {
	t         testing.TB
	refuses   func(n int) string
	mu        sync.Mutex
	streams   int
	processed int
}

func (f *framed) serve(conn net.Conn) {
	defer conn.Close()
	preface := make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	if _, err := io.ReadFull(conn, preface); err != nil {
		return
	}
	write := func(kind, flags byte, stream uint32, payload ...byte) {
		frame := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
		frame = binary.BigEndian.AppendUint32(append(frame, flags), stream)
		_, _ = conn.Write(append(frame, payload...)) // a client that has gone is seen when reading
	}
	write(frameSettings, 0, 0)
	var last uint32 // the last stream that was processed
	for {
		head := make([]byte, 9)
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		length, kind, stream := binary.BigEndian.Uint32(head)>>8, head[3], binary.BigEndian.Uint32(head[5:])
		if _, err := io.CopyN(io.Discard, conn, int64(length)); err != nil {
			return
		}
		switch {
		case kind == frameSettings && head[4]&flagAck == 0:
			write(frameSettings, flagAck, 0)
		case kind == frameHeaders:
			switch f.next() {
			case "reset":
				write(frameReset, 0, stream, binary.BigEndian.AppendUint32(nil, codeRefusedStream)...)
			case "goaway":
				write(frameGoAway, 0, 0, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, last), codeNone)...)
				return
			default:
				last = stream
				write(frameHeaders, flagEndHeaders|flagEndStream, stream, 0x88) // HPACK: ":status: 200"
			}
		}
	}
}

// next counts a stream.
func (f *framed) next() (how string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.streams++
	if how = f.refuses(f.streams); how == "" {
		f.processed++
	}
	return how
}

// TestHTTP2RefusalsAreNoAttempts: a stream that the endpoint says it has not processed is opened again within the attempt
// (RFC 9113 §8.7), so that neither REFUSED_STREAM nor GOAWAY costs a delivery an attempt or is sent twice.
func TestHTTP2RefusalsAreNoAttempts(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		refuses func(n int) string
		streams int
		change  func(*Attempt)
	}{
		"all processed":                       {refuses: func(int) string { return "" }, streams: 3},
		"refused once":                        {refuses: once("reset", 1), streams: 4},
		"refused later":                       {refuses: once("reset", 2), streams: 4},
		"refused, no body":                    {refuses: once("reset", 1), streams: 4, change: func(a *Attempt) { a.Method, a.Body = http.MethodDelete, nil }},
		"goaway at first":                     {refuses: once("goaway", 1), streams: 4},
		"goaway in between":                   {refuses: once("goaway", 2), streams: 4},
		"goaway, then reset":                  {refuses: func(n int) string { return map[int]string{1: "goaway", 2: "reset"}[n] }, streams: 5},
		"with an idempotency key":             {refuses: once("reset", 2), streams: 4, change: idempotent},
		"with an idempotency key, and goaway": {refuses: once("goaway", 2), streams: 4, change: idempotent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &framed{t: t, refuses: tc.refuses}
			url, roots := f.listen()
			e := open(t, Options{Timeout: time.Minute}, wiring{rootCAs: roots})
			const attempts = 3
			for i := range attempts {
				a := post(url)
				if tc.change != nil {
					tc.change(&a)
				}
				if o := e.Send(t.Context(), a); o.Verdict != Delivered {
					t.Errorf("attempt %d: %s %s %v", i+1, o.Verdict, o.Class, o.Err)
				}
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.processed != attempts || f.streams != tc.streams {
				t.Errorf("%d streams, of which %d were processed; want %d and %d", f.streams, f.processed, tc.streams, attempts)
			}
		})
	}
}

// idempotent makes the attempt one that net/http doesn't repeat by itself, since it would repeat too much.
func idempotent(a *Attempt) { a.Header = http.Header{"Idempotency-Key": {"1"}} }

func once(how string, at int) func(int) string {
	return func(n int) string {
		if n == at {
			return how
		}
		return ""
	}
}

// listen starts the endpoint on a real socket, over TLS, and gives its URL and its certificate.
func (f *framed) listen() (url string, roots *x509.CertPool) {
	f.t.Helper()
	lender := httptest.NewUnstartedServer(nil) // of a certificate
	lender.StartTLS()
	roots = x509.NewCertPool()
	roots.AddCert(lender.Certificate())
	config := &tls.Config{Certificates: lender.TLS.Certificates, NextProtos: []string{"h2"}}
	lender.Close()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		f.t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				stop := context.AfterFunc(f.t.Context(), func() { _ = conn.Close() }) // net/http keeps one whose last stream isn't gone when it is closed
				defer stop()
				f.serve(conn)
			})
		}
	})
	f.t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return "https://" + listener.Addr().String() + "/", roots
}
