//go:build unix

// Package pgembed runs a throw-away local Postgres, for `walpost demo` and for tests.
// It lives in one folder, is set up for logical replication and for speed, not for
// durability, and leaves neither process nor file behind, however its owner ends.
package pgembed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"
)

const (
	startTimeout = time.Minute      // for initdb and for each start, if the context has no deadline
	fastTimeout  = 10 * time.Second // how long a fast shutdown may take before an immediate one
	killTimeout  = 5 * time.Second  // how long an immediate shutdown may take before SIGKILL
	connectPause = 20 * time.Millisecond
	portTries    = 5
)

// Options say how to run a server. The zero value runs the best Postgres of the
// machine in a temporary folder.
type Options struct {
	Dir      string            // folder to make (it must not exist or be empty), removed by Stop; "": a temporary one
	Settings map[string]string // postgresql.conf settings, on top of and instead of the defaults
	Version  string            // major version, e.g. "17"; "": whichever is found
	Bin      string            // folder of the programs postgres and initdb; "": look for them, else download
	Mirror   string            // base URL of the Maven repository to download from; "": Maven Central
	Logger   zerolog.Logger    // says what is found, downloaded and started; zero: silent
}

// Mode is how a server is shut down.
type Mode string

// The modes of shutdown that Postgres has and tests need.
const (
	Fast      Mode = "fast"      // clients are disconnected, the WAL is flushed and sent
	Immediate Mode = "immediate" // as in a crash: the next start recovers from the WAL
)

// Server is a running Postgres. Its methods may be called from any goroutine.
type Server struct {
	cluster  cluster
	watchdog *watchdog
	log      zerolog.Logger
	port     int
	version  string

	mu      sync.Mutex // serializes Stop and Restart
	process *process   // nil after Stop
}

// Start makes a new cluster and runs it until Stop. Where it cannot run at all the
// error is a *SetupError.
func Start(ctx context.Context, o Options) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	as, err := serverAccount()
	if err != nil {
		return nil, err
	}
	bin, err := o.binaries(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := makeDir(o.Dir, as)
	if err != nil {
		return nil, err
	}
	s := &Server{cluster: cluster{dir: dir, bin: bin, as: as}, log: o.Logger}
	if s.watchdog, err = startWatchdog(dir); err == nil {
		err = s.bringUp(ctx, o.Settings)
	}
	if err != nil {
		return nil, errors.Join(err, s.remove())
	}
	s.log.Info().Str("version", s.version).Int("port", s.port).Str("dir", dir).Msg("postgres started")
	return s, nil
}

// binaries finds or downloads the programs.
func (o *Options) binaries(ctx context.Context) (binaries, error) {
	major := 0
	if o.Version != "" {
		var err error
		if major, err = strconv.Atoi(o.Version); err != nil || major < minMajor {
			return binaries{}, &SetupError{
				Problem: fmt.Sprintf("%q is not a Postgres version that walpost can use", o.Version),
				Fix:     fmt.Sprintf("name a major version from %d on, e.g. \"17\"", minMajor),
			}
		}
	}
	found, ok, err := findBinaries(ctx, o.Bin, major)
	if err != nil || ok {
		return found, err
	}
	return download(ctx, major, o.Mirror, o.Logger)
}

// makeDir makes the server's folder, owned by the account that the server runs as.
func makeDir(dir string, as *account) (string, error) {
	if dir == "" {
		parent := os.TempDir()
		if !as.reaches(filepath.Join(parent, "x")) {
			parent = "/tmp" // TMPDIR is root's own
		}
		temp, err := os.MkdirTemp(parent, "walpost-postgres-")
		if err != nil {
			return "", fmt.Errorf("make a folder for postgres: %w", err)
		}
		dir = temp
	} else {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", fmt.Errorf("find the folder for postgres: %w", err)
		}
		dir = abs
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", fmt.Errorf("make a folder for postgres: %w", err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return "", fmt.Errorf("read the folder for postgres: %w", err)
		}
		if len(entries) > 0 {
			return "", &SetupError{
				Problem: fmt.Sprintf("%s is not empty", dir),
				Fix:     "name a folder that does not exist: it is removed when Postgres stops",
			}
		}
	}
	if !as.reaches(dir) {
		return "", &SetupError{
			Problem: fmt.Sprintf("%s cannot be used for Postgres, which does not run as root: uid %d cannot enter a folder above it", dir, as.uid),
			Fix:     "name a folder below /tmp or /var/tmp, or run as another user than root",
		}
	}
	return dir, as.give(dir)
}

// bringUp makes the data directory and starts the server on a free port.
func (s *Server) bringUp(ctx context.Context, settings map[string]string) error {
	if err := s.cluster.init(ctx); err != nil {
		return err
	}
	all := s.cluster.defaults()
	maps.Copy(all, settings)
	if err := s.cluster.configure(all); err != nil {
		return err
	}
	for try := 1; ; try++ {
		port, err := freePort()
		if err != nil {
			return err
		}
		s.port = port
		if err := s.cluster.configure(map[string]string{"port": strconv.Itoa(port)}); err != nil {
			return err
		}
		err = s.run(ctx)
		if !errors.Is(err, errPortTaken) || try == portTries {
			return err
		}
	}
}

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
	p, err := s.cluster.spawn("postgres", "-D", s.cluster.data())
	if err != nil {
		return err
	}
	if err := s.connect(ctx, p); err != nil {
		p.signal(syscall.SIGQUIT)
		await(p, killTimeout)
		return err
	}
	s.process = p
	return nil
}

// connect waits until the server accepts a connection, or has ended.
func (s *Server) connect(ctx context.Context, p *process) error {
	for {
		conn, err := pgconn.Connect(ctx, s.URL("postgres"))
		if err == nil {
			s.version = conn.ParameterStatus("server_version")
			_ = conn.Close(ctx) // it has answered; nothing was asked
			return nil
		}
		select {
		case <-p.done:
			tail := s.cluster.logTail()
			if strings.Contains(tail, "Address already in use") {
				return fmt.Errorf("start postgres on port %d: %w", s.port, errPortTaken)
			}
			return fmt.Errorf("start %s: %w%s", s.cluster.bin.path("postgres"), p.err, tail)
		case <-ctx.Done():
			return fmt.Errorf("wait for postgres to accept connections: %w (last: %w)%s", ctx.Err(), err, s.cluster.logTail())
		case <-time.After(connectPause):
		}
	}
}

// URL gives the connection string of a database for the superuser, over TCP.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword("postgres", s.cluster.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Version gives the server's version, e.g. "15.18 (Debian 15.18-0+deb12u1)".
func (s *Server) Version() string { return s.version }

// Log gives the path of the server's log, which goes when the server stops.
func (s *Server) Log() string { return s.cluster.log() }

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
	s.log.Info().Msg("postgres stopped")
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
		err := s.run(ctx)
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

// remove dismisses the watchdog and removes the folder, in this order: between the two
// nothing else is left to clean up.
func (s *Server) remove() error {
	if s.watchdog != nil {
		s.watchdog.dismiss()
		s.watchdog = nil
	}
	if err := os.RemoveAll(s.cluster.dir); err != nil {
		return fmt.Errorf("remove the folder of postgres: %w", err)
	}
	return nil
}
