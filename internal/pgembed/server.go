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
	"strconv"
	"sync"

	"github.com/rs/zerolog"
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
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
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
	cache, err := cacheDir()
	if err != nil {
		return binaries{}, noPostgres(major, err)
	}
	return download(ctx, cache, major, o.Mirror, o.Logger)
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
	return s.runOnFreePort(ctx)
}

// runOnFreePort starts the server on a port that nobody has, another one if somebody takes it meanwhile.
func (s *Server) runOnFreePort(ctx context.Context) error {
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
