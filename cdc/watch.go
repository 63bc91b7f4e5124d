package cdc

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// watch checks from time to time, over a short connection of its own, that the publication still covers the
// table: the server says nothing when it doesn't any more. A SetupError is sent as the verdict; that the server
// can't be asked is no verdict, the stream itself notices a server that is gone. done is closed when it ends.
func (s *Source) watch(ctx context.Context, coverage string) (verdicts <-chan error, done <-chan struct{}) {
	verdict, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		ticks := time.NewTicker(s.checkInterval)
		defer ticks.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
			}
			var setup *SetupError
			if err := checkCoverage(ctx, s.opts, coverage); errors.As(err, &setup) {
				verdict <- err
				return
			} else if err != nil {
				s.opts.Logger.Debug().Err(err).Msg("publication not checked")
			}
		}
	}()
	return verdict, ended
}

// checkCoverage is the part of the setup that can be lost while the stream goes on. A column that is missing now
// isn't: rows that have it may still be on their way.
func checkCoverage(ctx context.Context, o Options, before string) error {
	o.Columns = nil
	conn, err := openOrdinary(ctx, o)
	if err != nil {
		return err
	}
	defer closeOrdinary(ctx, conn)
	t, err := checkTable(ctx, conn, o)
	if err != nil {
		return err
	}
	p, err := findPublication(ctx, conn, o)
	switch {
	case err != nil:
		return err
	case p == nil:
		return publicationLost(o, fmt.Sprintf("publication %q is gone", o.Publication), nil)
	}
	if err := p.check(o, t, true); err != nil {
		return err
	}
	if p.Coverage != before {
		return publicationChanged(o)
	}
	return nil
}
