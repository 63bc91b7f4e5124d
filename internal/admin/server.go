// Package admin serves a running daemon's JSON API and health endpoints over HTTP.
package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"
)

// Daemon is what the server asks of the daemon that it belongs to.
type Daemon interface {
	// Ready gives nil while the daemon streams or stands by and can reach its ledger, else the reason why not, which
	// is shown to anybody.
	Ready(ctx context.Context) error
	// Status gives the report of all that is known, with the daemon's own facts.
	Status(ctx context.Context) (Report, error)
	// Reload puts the configuration, read anew, into force, or changes nothing and says why, by a *RejectedError
	// where the configuration itself is wrong.
	Reload(ctx context.Context) error
}

// RejectedError says that a configuration was read and is wrong.
type RejectedError struct {
	// Diagnostics is the JSON document of all problems, as `walpost check -o json` prints it.
	Diagnostics []byte
	// Err sums it up in one line.
	Err error
}

// Error gives the summary.
func (e *RejectedError) Error() string { return e.Err.Error() }

// Unwrap gives the summary as an error.
func (e *RejectedError) Unwrap() error { return e.Err }

// Options are what New needs.
type Options struct {
	// Listen is the address, host:port; port 0 takes a free one. Required.
	Listen string
	// Token must be sent as "Authorization: Bearer …" for all but the health endpoints. Empty: none is asked for,
	// and requests must name the server by address or as localhost, so that no web page can reach it by a name of
	// its own.
	Token string
	// Daemon answers. Required.
	Daemon Daemon
	// Logger gets what goes wrong in answering.
	Logger zerolog.Logger
}

// How long a client may take, so that slow ones don't pile up.
const (
	headerTimeout   = 5 * time.Second
	readTimeout     = 10 * time.Second
	answerTimeout   = 30 * time.Second
	idleTimeout     = time.Minute
	shutdownTimeout = 2 * time.Second
	maxHeaderBytes  = 16 << 10
)

// Server is the admin listener. Make it with New, call Run once.
type Server struct {
	listener net.Listener
	http     http.Server
}

// New takes the address, so that a taken one is known before anything else is started. Run, or Close, gives it back.
func New(o Options) (*Server, error) {
	if o.Daemon == nil || o.Listen == "" {
		return nil, errors.New("admin options: Listen and Daemon are required")
	}
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("take the admin address: %w", err)
	}
	a := &api{daemon: o.Daemon, log: o.Logger, token: o.Token}
	return &Server{
		listener: listener,
		http: http.Server{
			Handler:           a.handler(),
			ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout,
			WriteTimeout: answerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		},
	}, nil
}

// Addr is the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close gives the address back without Run.
func (s *Server) Close() error { return s.listener.Close() }

// Run serves until ctx ends, then lets running requests end for a moment.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve the admin address: %w", err)
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := s.http.Shutdown(limit); err != nil {
		_ = s.http.Close() // those that didn't end in time are cut off
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the admin address: %w", err)
	}
	return nil
}
