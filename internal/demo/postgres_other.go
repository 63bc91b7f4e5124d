//go:build !unix

package demo

import (
	"context"
	"errors"

	"github.com/rs/zerolog"
)

type database struct {
	url, dir string
	stop     func(context.Context) error
}

func startDatabase(context.Context, zerolog.Logger) (*database, error) {
	return nil, errors.New("the demo starts a Postgres of its own, which it can do on Linux and macOS only")
}
