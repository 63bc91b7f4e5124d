package cdc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// errForgotten says that the server has ended the stream, and that we were not told.
var errForgotten = errors.New("the server doesn't have the stream any more: its connection was lost without a word")

// watch checks from time to time, and when Recheck asks for it, over a short connection of its own, that the server still
// has the stream, and that the publication still covers the table: the server says nothing when it doesn't any more. That,
// or a SetupError, is sent as the verdict; that the server can't be asked is none, the stream itself notices a server
// that is gone. done is closed when it ends.
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
			case <-s.recheck:
			}
			var setup *SetupError
			if err := checkStream(ctx, s.opts, coverage); errors.As(err, &setup) || errors.Is(err, errForgotten) {
				verdict <- err
				return
			} else if err != nil {
				s.opts.Logger.Debug().Err(err).Msg("stream and publication not checked")
			}
		}
	}()
	return verdict, ended
}

// checkStream asks for what the stream itself doesn't tell.
func checkStream(ctx context.Context, o Options, before string) error {
	conn, err := openOrdinary(ctx, o)
	if err != nil {
		return err
	}
	defer closeOrdinary(ctx, conn)
	found, err := findSlot(ctx, conn, o)
	if err != nil {
		return err
	}
	if found == nil || found.ActivePID == 0 { // the process that reads it needn't be known to us: a pooler makes ids up
		return errForgotten
	}
	return checkCoverage(ctx, conn, o, before)
}

// checkCoverage is the part of the setup that can be lost while the stream goes on. A column that is missing now
// isn't: rows that have it may still be on their way.
func checkCoverage(ctx context.Context, conn *pgconn.PgConn, o Options, before string) error {
	o.Columns = nil
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
		return publicationChanged(o, before, p.Coverage)
	}
	return nil
}
