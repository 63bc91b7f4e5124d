//go:build unix

package demo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/walpost/walpost/internal/pgembed"
)

// database is the demo's Postgres.
type database struct {
	url string
	// dir is a folder that goes with the server, even if this process is killed: all files of the demo
	// belong in it.
	dir  string
	stop func(context.Context) error
}

// startDatabase runs a throw-away Postgres. Where none can run, the error is a *SetupError.
func startDatabase(ctx context.Context, log zerolog.Logger) (*database, error) {
	server, err := pgembed.Start(ctx, pgembed.Options{Logger: log})
	var setup *SetupError
	if errors.As(err, &setup) {
		return nil, fmt.Errorf("%w; %s", err, setup.Fix) // tells what to install, even to who doesn't ask for Fix
	}
	if err != nil {
		return nil, err
	}
	return &database{url: server.URL("postgres"), dir: filepath.Dir(server.Log()), stop: server.Stop}, nil
}
