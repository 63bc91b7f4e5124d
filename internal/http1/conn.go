package http1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// inline is the longest body, in bytes, that is written before the answer is read: it fits into the buffers on the way, so
	// that an answer which comes early needs no second goroutine.
	inline = 32 << 10
	// writeLate is how long the answer's end waits for the request's, on its way to be seen by us.
	writeLate = 50 * time.Millisecond
	// informationalMost is how many 1xx answers one request may get.
	informationalMost = 5
)

// conn is a connection, used by one request at a time.
type conn struct {
	net.Conn
	pool      *pool
	idleSince time.Time

	in      *bufio.Reader // while an answer is read; nil otherwise
	quota   int64         // bytes that may still be read
	closing bool          // one of both sides has said that this is the last request
	ctx     context.Context
	watched func() bool // ends the watch on ctx, and reports whether it did so in time
	writing chan error  // gets one value when a request is written that is not yet; nil: it is
	stop    func()      // interrupt, made once

	look *look
}

func newConn(opened net.Conn, p *pool) *conn {
	c := &conn{Conn: opened, pool: p, look: lookAt(opened)}
	c.stop = c.interrupt
	return c
}

// past is a deadline that ends whatever is being read or written.
var past = time.Unix(1, 0)

func (c *conn) interrupt() { _ = c.SetDeadline(past) }

var (
	readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 1<<10) }}
	writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 16<<10) }}
)

// exchange sends the request and reads its answer.
func (c *conn) exchange(req *http.Request) (*http.Response, error) {
	c.ctx = req.Context()
	c.closing = wantsClose(req)
	_ = c.SetDeadline(c.pool.transport.deadline(c.ctx)) // before the watch, which sets another one
	c.watched = context.AfterFunc(c.ctx, c.stop)
	resp, err := c.ask(req)
	if err != nil {
		return nil, c.fail(err)
	}
	c.closing = c.closing || resp.Close || resp.StatusCode == http.StatusSwitchingProtocols
	if resp.Body == http.NoBody {
		c.end()
	} else {
		resp.Body = &body{ReadCloser: resp.Body, conn: c}
	}
	return resp, nil
}

func (c *conn) ask(req *http.Request) (*http.Response, error) {
	if req.Body == nil || req.ContentLength >= 0 && req.ContentLength <= inline {
		if err := c.send(req); err != nil {
			return nil, err
		}
	} else {
		written := make(chan error, 1)
		c.writing = written
		go func() { written <- c.send(req) }()
	}
	c.in = readers.Get().(*bufio.Reader)
	c.in.Reset(c)
	for range informationalMost + 1 {
		c.quota = c.pool.transport.MaxHeader
		resp, err := http.ReadResponse(c.in, req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			c.quota = math.MaxInt64
			return resp, nil
		}
	}
	return nil, errors.New("http1: too many informational answers")
}

// send writes the request, and closes its body.
func (c *conn) send(req *http.Request) error {
	out := writers.Get().(*bufio.Writer)
	out.Reset(c.Conn)
	err := req.Write(out)
	if err == nil {
		err = out.Flush()
	}
	out.Reset(nil)
	writers.Put(out)
	return err
}

// Read reads up to the quota.
func (c *conn) Read(p []byte) (int, error) {
	if c.quota <= 0 {
		return 0, fmt.Errorf("http1: response headers exceed %d bytes", c.pool.transport.MaxHeader)
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.quota)])
	c.quota -= int64(n)
	return n, err
}

// fail ends a request of which err became, and the connection. What it returns says whether it was the context that ended it.
func (c *conn) fail(err error) error {
	c.closing = true
	switch {
	case c.ctx.Err() != nil:
		err = context.Cause(c.ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = context.DeadlineExceeded
	}
	c.end()
	return err
}

// end gives the connection back, when the answer is read to its end or nobody wants the rest.
func (c *conn) end() {
	usable := c.watched() && !c.closing && c.in.Buffered() == 0
	if c.writing != nil {
		usable = c.written(usable)
	}
	if c.in != nil {
		c.in.Reset(nil)
		readers.Put(c.in)
	}
	c.in, c.ctx, c.watched, c.writing = nil, nil, nil, nil
	c.pool.put(c, usable)
}

// written waits until the request isn't written any more, so that nobody who counts bytes counts too early. What is not written in
// time is cut off.
func (c *conn) written(usable bool) bool {
	if usable {
		late := time.NewTimer(writeLate)
		defer late.Stop()
		select {
		case err := <-c.writing:
			return err == nil
		case <-late.C:
		}
	}
	c.interrupt()
	<-c.writing
	return false
}

// body is an answer's body, whose end is that of the request.
type body struct {
	io.ReadCloser
	conn *conn // nil: it has ended
}

// Read reads, and gives the connection back at the end.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil || b.conn == nil {
		return n, err
	}
	c := b.conn
	b.conn = nil
	if errors.Is(err, io.EOF) {
		c.end()
		return n, err
	}
	return n, c.fail(err)
}

// Close closes the connection if the body wasn't read to its end: to read the rest may take forever.
func (b *body) Close() error {
	if c := b.conn; c != nil {
		b.conn = nil
		c.closing = true
		c.end()
	}
	return nil
}

// look finds out whether there is something to be read on an idle connection, its end included.
type look struct {
	raw   syscall.RawConn
	peek  func(fd uintptr) bool
	quiet bool
}

// lookAt is nil if there is no socket to look at.
func lookAt(c net.Conn) *look {
	if over, ok := c.(interface{ NetConn() net.Conn }); ok { // TLS
		c = over.NetConn()
	}
	socket, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	l := &look{raw: raw}
	l.peek = func(fd uintptr) bool {
		l.quiet = quiet(fd)
		return true
	}
	return l
}

// alive reports whether an idle connection may be used. Nothing is to be read from it: neither its end, nor an answer to nothing.
func (c *conn) alive() bool {
	if c.look == nil {
		return true
	}
	c.look.quiet = false
	return c.look.raw.Read(c.look.peek) == nil && c.look.quiet
}
