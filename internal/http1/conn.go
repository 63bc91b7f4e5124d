package http1

import (
	"bufio"
	"cmp"
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
	// writeLate is how long the answer's end waits for the request's, on its way to be seen by us, and how long a request that
	// couldn't be written waits for the answer that says why.
	writeLate = 50 * time.Millisecond
)

// conn is a connection, used by one request at a time.
type conn struct {
	net.Conn
	transport *Transport
	host      *host
	idleSince time.Time

	in      *bufio.Reader // while an answer is read; nil otherwise
	quota   int64         // bytes that may still be read
	closing bool          // one of both sides has said that this is the last request
	ctx     context.Context
	watched func() bool // ends the watch on ctx, and reports whether it did so in time
	writing chan error  // gets one value when a request is written that is not yet; nil: it is
	stop    func()      // interrupt, made once

	under net.Conn // below TLS
	look  *look
}

func newConn(opened net.Conn, t *Transport, h *host) *conn {
	c := &conn{Conn: opened, transport: t, host: h, under: opened}
	if over, ok := opened.(interface{ NetConn() net.Conn }); ok {
		c.under = over.NetConn()
	}
	c.look = lookAt(c.under)
	c.stop = c.interrupt
	return c
}

// past is a deadline that ends whatever is being read or written.
var past = time.Unix(1, 0)

func (c *conn) interrupt() { _ = c.SetDeadline(past) }

var (
	readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4<<10) }} // the most that trailers may have
	writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 16<<10) }}
)

// exchange sends the request and reads its answer.
func (c *conn) exchange(req *http.Request) (*http.Response, error) {
	c.ctx = req.Context()
	c.closing = wantsClose(req)
	_ = c.SetDeadline(c.transport.deadline(c.ctx)) // before the watch, which sets another one
	c.watched = context.AfterFunc(c.ctx, c.stop)
	resp, err := c.ask(req)
	if err != nil {
		return nil, c.fail(err)
	}
	c.closing = c.closing || resp.Close || resp.StatusCode < 200
	if resp.Body == http.NoBody {
		c.end()
	} else {
		resp.Body = &body{ReadCloser: resp.Body, conn: c}
	}
	return resp, nil
}

func (c *conn) ask(req *http.Request) (*http.Response, error) {
	if req.Body == nil || req.Body == http.NoBody || 0 < req.ContentLength && req.ContentLength <= inline {
		if err := c.send(req); err != nil {
			return nil, err
		}
	} else {
		written := make(chan error, 1)
		c.writing = written
		go func() {
			err := c.send(req)
			written <- err
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				_ = c.SetReadDeadline(time.Now().Add(writeLate)) // whoever gets half a request need not answer
			}
		}()
	}
	c.in = readers.Get().(*bufio.Reader)
	c.in.Reset(c)
	resp, err := c.answer(req)
	if err != nil && c.writing != nil {
		select {
		case failed := <-c.writing:
			c.writing = nil
			err = cmp.Or(failed, err)
		default:
		}
	}
	return resp, err
}

// answer reads the headers of the answer, those of informational ones before it included.
func (c *conn) answer(req *http.Request) (*http.Response, error) {
	c.quota = c.transport.MaxHeader
	for {
		resp, err := http.ReadResponse(c.in, req)
		if err != nil {
			return nil, err
		}
		if !informational(resp.StatusCode) {
			c.quota = math.MaxInt64
			return resp, nil
		}
	}
}

// informational reports whether another answer follows. After 101 comes another protocol.
func informational(status int) bool {
	return status >= 100 && status < 200 && status != http.StatusSwitchingProtocols
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
		return 0, fmt.Errorf("http1: response headers exceed %d bytes", c.transport.MaxHeader)
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
	c.transport.put(c, usable)
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
	err := <-c.writing
	return usable && err == nil
}

// body is an answer's body, whose end is that of the request. It is for one goroutine at a time.
type body struct {
	io.ReadCloser
	conn *conn // nil: it has ended
	err  error // with which it has: its reader is another request's now
}

// Read reads, and gives the connection back at the end.
func (b *body) Read(p []byte) (int, error) {
	if b.conn == nil {
		return 0, b.err
	}
	n, err := b.ReadCloser.Read(p)
	if err == nil {
		return n, nil
	}
	c := b.conn
	b.conn = nil
	if errors.Is(err, io.EOF) {
		c.end()
	} else {
		err = c.fail(err)
	}
	b.err = err
	return n, err
}

// Close closes the connection if the body wasn't read to its end: to read the rest may take forever.
func (b *body) Close() error {
	if c := b.conn; c != nil {
		b.conn, b.err = nil, http.ErrBodyReadAfterClose
		c.closing = true
		c.end()
	}
	return nil
}

// look finds out whether there is something to be read on an idle socket, its end included.
type look struct {
	raw   syscall.RawConn
	peek  func(fd uintptr)
	quiet bool
}

// lookAt is nil if there is no socket to look at.
func lookAt(c net.Conn) *look {
	socket, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	l := &look{raw: raw}
	l.peek = func(fd uintptr) { l.quiet = quiet(fd) }
	return l
}

// cut closes the connection without TLS's goodbye, for which a peer that doesn't read would have five seconds.
func (c *conn) cut() { _ = c.under.Close() }

// alive reports whether an idle connection may be used. Nothing is to be read from it: neither its end, nor an answer to nothing.
// It isn't old by the clock on the wall either, which goes on while a machine sleeps.
func (c *conn) alive() bool {
	if time.Now().Round(0).Sub(c.idleSince) >= c.transport.IdleTimeout {
		return false
	}
	if c.look != nil {
		// Not by Read, for which the deadline of the last request holds.
		if err := c.look.raw.Control(c.look.peek); err != nil || !c.look.quiet {
			return false
		}
		if c.under == c.Conn {
			return true
		}
	}
	_ = c.SetReadDeadline(past) // TLS may have read more than the last answer, which the socket has no more
	_, err := c.Conn.Read(make([]byte, 1))
	return errors.Is(err, os.ErrDeadlineExceeded)
}
