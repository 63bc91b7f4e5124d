package sender

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// cheapReceiver answers 200 to every request at as little cost as it can, so that the benchmarks show the sender's own.
func cheapReceiver(b *testing.B) (url string) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer func() { _ = conn.Close() }()
				if err := cheaply(conn); err != nil && !errors.Is(err, io.EOF) {
					b.Logf("receiver: %v", err)
				}
			})
		}
	})
	b.Cleanup(func() {
		_ = l.Close()
		conns.Wait()
	})
	return "http://" + l.Addr().String()
}

var (
	okAnswer     = []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	lengthHeader = []byte("Content-Length: ")
)

func cheaply(conn net.Conn) error {
	in := bufio.NewReaderSize(conn, 64<<10)
	length := 0
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if digits, ok := bytes.CutPrefix(line, lengthHeader); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(digits))); err != nil {
				return err
			}
		}
		if len(line) == 2 {
			if _, err := in.Discard(length); err != nil {
				return err
			}
			if _, err := conn.Write(okAnswer); err != nil {
				return err
			}
			length = 0
		}
	}
}

var benchSizes = []int{500, 20_000}

func benchAttempt(url string, size int) Attempt {
	attempt := post(url + "/hook")
	attempt.Header = http.Header{"Content-Type": {"application/json"}}
	attempt.Body = []byte(`{"id":"` + strings.Repeat("x", size-9) + `"}`)
	return attempt
}

// measure reports, besides time and allocations, the processor time of an operation, receiver included: the figure that other
// programs on the machine disturb least.
func measure(b *testing.B) (done func()) {
	b.Helper()
	b.ReportAllocs()
	b.SetParallelism(8)
	start := processorTime(b)
	return func() {
		b.ReportMetric(float64((processorTime(b)-start).Nanoseconds())/float64(b.N), "cpu-ns/op")
	}
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkPlain is the limit: what a client of net/http alone needs for the same bodies and about the same headers.
func BenchmarkPlain(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("body=%d", size), func(b *testing.B) {
			url := cheapReceiver(b)
			transport := &http.Transport{MaxIdleConnsPerHost: DefaultConcurrency, DisableCompression: true}
			client := &http.Client{Transport: transport}
			defer client.CloseIdleConnections()
			attempt := benchAttempt(url, size)
			measured := measure(b)
			defer measured()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					req, err := http.NewRequest(http.MethodPost, attempt.URL, bytes.NewReader(attempt.Body))
					if err != nil {
						b.Error(err)
						return
					}
					req.Header.Set("Content-Type", "application/json")
					req.Header.Set("Webhook-Id", attempt.DeliveryID)
					resp, err := client.Do(req)
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
			})
		})
	}
}

// BenchmarkSend is to be compared with BenchmarkPlain of the same run.
func BenchmarkSend(b *testing.B) {
	for _, size := range benchSizes {
		for name, secret := range map[string]string{"unsigned": "", "signed": vectorSecret} {
			b.Run(fmt.Sprintf("body=%d/%s", size, name), func(b *testing.B) {
				url := cheapReceiver(b)
				e := open(b, Options{Secret: secret}, wiring{})
				defer e.Close()
				attempt := benchAttempt(url, size)
				measured := measure(b)
				defer measured()
				b.RunParallel(func(p *testing.PB) {
					for p.Next() {
						if o := e.Send(b.Context(), attempt); o.Verdict != Delivered {
							b.Error(o.Err)
							return
						}
					}
				})
			})
		}
	}
}

func BenchmarkSign(b *testing.B) {
	s, err := newSigner(vectorSecret, "")
	if err != nil {
		b.Fatal(err)
	}
	body := bytes.Repeat([]byte("x"), 500)
	b.ReportAllocs()
	for b.Loop() {
		s.sign(vectorID, vectorTimestamp, body)
	}
}
