//go:build unix

package pgembed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"
)

// xidsPerSegment is how many transactions one file of pg_xact has the fate of.
const xidsPerSegment = 32 * 8192 * 4

// SetNextXID restarts the server with another next transaction id of epoch 0, as if it had run for years. Only the database
// postgres is of use afterwards: its rows are frozen before, those of others would be in the future. Where the installation
// has no pg_resetwal, the error is fs.ErrNotExist.
func (s *Server) SetNextXID(ctx context.Context, xid uint32) error {
	program := s.cluster.bin.path("pg_resetwal")
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("set the next transaction id: %w", err)
	}
	if err := s.freeze(ctx); err != nil {
		return err
	}
	s.Halt(ctx, Fast)
	fates := filepath.Join(s.cluster.data(), "pg_xact", fmt.Sprintf("%04X", xid/xidsPerSegment))
	err := os.WriteFile(fates, make([]byte, xidsPerSegment/4), 0o600)
	if err = errors.Join(err, s.cluster.as.give(fates)); err != nil {
		return fmt.Errorf("make a file of pg_xact: %w", err)
	}
	p, err := s.cluster.spawn("pg_resetwal", "-f", "-e", "0", "-x", strconv.FormatUint(uint64(xid), 10),
		"-u", strconv.FormatUint(uint64(xid-1000), 10), "-D", s.cluster.data())
	if err != nil {
		return err
	}
	<-p.done
	if p.err != nil {
		return fmt.Errorf("set the next transaction id with %s: %s%s", program, p.how(), s.cluster.logTail(0))
	}
	return s.Restart(ctx, Fast)
}

// freeze makes all rows of the database postgres, and those that all databases share, older than every transaction.
func (s *Server) freeze(ctx context.Context) error {
	conn, err := pgconn.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return fmt.Errorf("freeze the catalogs: %w", err)
	}
	_, err = conn.Exec(ctx, "vacuum (freeze)").ReadAll()
	if err = errors.Join(err, conn.Close(ctx)); err != nil {
		return fmt.Errorf("freeze the catalogs: %w", err)
	}
	return nil
}
