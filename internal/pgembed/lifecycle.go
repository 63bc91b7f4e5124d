//go:build unix

package pgembed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	startTimeout = time.Minute      // for initdb with the first start, and for each restart
	fastTimeout  = 10 * time.Second // how long a fast shutdown may take before an immediate one
	killTimeout  = 5 * time.Second  // how long an immediate shutdown may take before SIGKILL
	dialTimeout  = 2 * time.Second  // for one connection: someone else's program on the port may never answer
	connectPause = 20 * time.Millisecond
	portTries    = 5
)

// Mode is how a server is shut down.
type Mode string

// The modes of shutdown that Postgres has and tests need.
const (
	Fast      Mode = "fast"      // clients are disconnected, the WAL is flushed and sent
	Immediate Mode = "immediate" // as in a crash: the next start recovers from the WAL
)

// freePort gives a TCP port that is free now. Another program may be faster, so the
// server's start is tried again on another one.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return 0, fmt.Errorf("release the free port: %w", err)
	}
	return port, nil
}

var errPortTaken = errors.New("the port is taken")

// run starts the server program and waits until it accepts a connection.
func (s *Server) run(ctx context.Context) error {
	logged := s.cluster.logSize()
	p, err := s.cluster.spawn("postgres", "-D", s.cluster.data())
	if err != nil {
		return err
	}
	if err := s.connect(ctx, p, logged); err != nil {
		p.signal(syscall.SIGQUIT)
		await(p, killTimeout)
		return err
	}
	s.process = p
	return nil
}

// connect waits until the server accepts a connection, or has ended. What it said before
// is in the log's first bytes.
func (s *Server) connect(ctx context.Context, p *process, logged int) error {
	for {
		version, err := s.greet(ctx)
		if err == nil {
			if s.version == "" { // not again on a restart: Version may be read then
				s.version = version
			}
			return nil
		}
		select {
		case <-p.done:
			tail := s.cluster.logTail(logged)
			if strings.Contains(tail, "Address already in use") {
				return fmt.Errorf("start postgres on port %d: %w", s.port, errPortTaken)
			}
			return fmt.Errorf("start %s: %s%s", s.cluster.bin.path("postgres"), p.how(), tail)
		case <-ctx.Done():
			return fmt.Errorf("wait for postgres to accept connections: %w (last: %w)%s", ctx.Err(), err, s.cluster.logTail(logged))
		case <-time.After(connectPause):
		}
	}
}

// greet connects once and gives the server's version.
func (s *Server) greet(ctx context.Context) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := pgconn.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return "", err
	}
	version = conn.ParameterStatus("server_version")
	return version, conn.Close(ctx)
}

// Stop shuts the server down and removes its folder. A fast shutdown that takes longer
// than 10 s, or than ctx allows, becomes an immediate one: Stop always ends Postgres.
// Stopping twice does nothing.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchdog == nil {
		return nil
	}
	s.end(ctx, Fast)
	s.log.Debug().Msg("postgres stopped")
	return s.remove()
}

// Restart shuts the server down in the given mode and starts it again on the same
// port with the same data.
func (s *Server) Restart(ctx context.Context, mode Mode) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchdog == nil {
		return errors.New("restart postgres: it was stopped")
	}
	s.end(ctx, mode)
	for {
		err := s.run(ctx) // the port may serve a connection of someone else for a moment
		if !errors.Is(err, errPortTaken) || ctx.Err() != nil {
			return err
		}
	}
}

// end brings the process to its end, by force if it must.
func (s *Server) end(ctx context.Context, mode Mode) {
	p := s.process
	if p == nil {
		return
	}
	s.process = nil
	if mode == Fast {
		ctx, cancel := context.WithTimeout(ctx, fastTimeout)
		defer cancel()
		p.signal(syscall.SIGINT)
		select {
		case <-p.done:
			return
		case <-ctx.Done():
			s.log.Warn().Msg("postgres does not stop, is stopped at once")
		}
	}
	p.signal(syscall.SIGQUIT)
	await(p, killTimeout)
}

// await gives a process that was told to end some time, then kills it.
func await(p *process, patience time.Duration) {
	select {
	case <-p.done:
	case <-time.After(patience):
		p.signal(syscall.SIGKILL)
		<-p.done
	}
}

// remove removes the folder and then dismisses the watchdog, which until then would finish
// the work.
func (s *Server) remove() error {
	err := os.RemoveAll(s.cluster.dir)
	if s.watchdog != nil {
		s.watchdog.dismiss()
		s.watchdog = nil
	}
	if err != nil {
		return fmt.Errorf("remove the folder of postgres: %w", err)
	}
	return nil
}
