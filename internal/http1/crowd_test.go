package http1

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestEachGetsItsOwnAnswer has a crowd ask servers that close, answer early, answer twice or never, and give up at any moment. Whoever gets
// an answer gets its own, no host has more connections than it may, and in the end nothing is left.
func TestEachGetsItsOwnAnswer(t *testing.T) {
	t.Parallel()
	const hosts, crowd, requests = 3, 12, 150
	var addresses []string
	for range hosts {
		s := &server{script: moody}
		addresses = append(addresses, s.listen(t))
	}
	open := map[string]*atomic.Int64{}
	for _, address := range addresses {
		open[address] = &atomic.Int64{}
	}
	var transport *Transport
	transport = opened(t, func(ctx context.Context, h Host) (net.Conn, error) {
		conn, err := dial(ctx, h)
		if err != nil {
			return nil, err
		}
		if n := open[h.Address].Add(1); n > int64(transport.MaxConns) {
			t.Errorf("%d connections to a host", n)
		}
		return &tracked{TCPConn: conn.(*net.TCPConn), open: open[h.Address]}, nil
	})
	transport.Deadline = func(ctx context.Context) time.Time {
		at, _ := ctx.Value(limit{}).(time.Time)
		return at
	}
	var answered atomic.Int64
	var asking sync.WaitGroup
	for who := range crowd {
		asking.Go(func() {
			chance := rand.New(rand.NewPCG(1, uint64(who)))
			for i := range requests {
				if asked(t, transport, addresses[chance.IntN(hosts)], fmt.Sprintf("%d-%d", who, i), chance) {
					answered.Add(1)
				}
			}
		})
	}
	asking.Wait()
	if n := answered.Load(); n < crowd*requests/4 {
		t.Errorf("%d of %d requests were answered", n, crowd*requests)
	}
	transport.Close()
	transport.has(t, 0)
	for address, n := range open {
		if n.Load() != 0 {
			t.Errorf("%d connections to %s are open", n.Load(), address)
		}
	}
}

// asked makes a request, and reports whether there was an answer.
func asked(t *testing.T, transport *Transport, address, id string, chance *rand.Rand) bool {
	mood := []string{"plain", "plain", "plain", "chunked", "close", "early", "twice", "never", "half"}[chance.IntN(9)]
	patience := time.Minute
	if mood == "never" || chance.IntN(4) == 0 {
		patience = time.Duration(chance.IntN(1000)) * time.Microsecond
	}
	ctx := t.Context()
	if chance.IntN(2) == 0 {
		limited, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		ctx = limited
	} else {
		ctx = context.WithValue(ctx, limit{}, time.Now().Add(patience))
	}
	size := []int{0, 100, 3 * inline}[chance.IntN(3)]
	req := request(ctx, t, http.MethodPost, "http://"+address+"/"+mood+"/"+id, strings.NewReader(strings.Repeat("x", size)))
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	if chance.IntN(8) == 0 {
		return true // unread
	}
	body, err := io.ReadAll(resp.Body)
	if err == nil && string(body) != id {
		t.Errorf("request %s (%s) got the answer %q", id, mood, body)
	}
	return true
}

// moody answers with the id that it was asked with, in the mood that it was asked for.
func moody(_ int, conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		mood, id, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
		if mood != "early" {
			_, _ = io.Copy(io.Discard, req.Body)
		}
		answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(id), id)
		switch mood {
		case "chunked":
			answer = fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(id), id)
		case "twice":
			answer += answer
		case "half":
			answer = answer[:len(answer)-1]
		case "never":
			untilClosed(conn)
			return
		}
		_, _ = io.WriteString(conn, answer)
		if mood == "close" || mood == "half" {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
	}
}

// tracked is a connection that counts among the open ones.
type tracked struct {
	*net.TCPConn
	open *atomic.Int64
	once sync.Once
}

func (c *tracked) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.TCPConn.Close()
}
