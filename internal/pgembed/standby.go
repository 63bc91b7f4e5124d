//go:build unix

package pgembed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Standby copies the running server with its files and starts the copy as a physical standby, which follows it until
// Promote. It has the server's password, on a port of its own, and is stopped like any other. Replication slots stay behind.
// It needs Postgres 15 or later.
func (s *Server) Standby(ctx context.Context, settings map[string]string) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	dir, err := makeDir("", s.cluster.as)
	if err != nil {
		return nil, err
	}
	standby := &Server{cluster: s.cluster, log: s.log}
	standby.cluster.dir = dir
	if standby.watchdog, err = startWatchdog(dir); err == nil {
		err = standby.follow(ctx, s, settings)
	}
	if err != nil {
		return nil, errors.Join(err, standby.remove())
	}
	return standby, nil
}

// follow makes the data directory from the primary's and starts the server on it.
func (s *Server) follow(ctx context.Context, primary *Server, settings map[string]string) error {
	if err := os.Mkdir(s.cluster.socket(), 0o700); err != nil {
		return fmt.Errorf("make the socket folder: %w", err)
	}
	if err := s.cluster.as.give(s.cluster.socket()); err != nil {
		return err
	}
	if err := s.backUp(ctx, primary); err != nil {
		return err
	}
	all := s.cluster.defaults()
	all["primary_conninfo"] = fmt.Sprintf("host=127.0.0.1 port=%d user=postgres password=%s dbname=postgres sslmode=disable", primary.port, s.cluster.password)
	maps.Copy(all, settings)
	if err := s.cluster.configure(all); err != nil {
		return err
	}
	return s.runOnFreePort(ctx)
}

// backUp is an online backup: the files as they are, between two calls, and the WAL of the time.
// https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-LOWLEVEL-BASE-BACKUP
func (s *Server) backUp(ctx context.Context, primary *Server) error {
	conn, err := pgconn.Connect(ctx, primary.URL("postgres"))
	if err != nil {
		return fmt.Errorf("begin the backup: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // all is done by then
	if _, err := conn.Exec(ctx, "select pg_backup_start('standby', true)").ReadAll(); err != nil {
		return fmt.Errorf("begin the backup: %w", err)
	}
	if err := s.copyData(primary, func(path string) bool { return !strings.HasPrefix(path, "pg_wal/") }); err != nil {
		return err
	}
	label, err := conn.Exec(ctx, "select labelfile from pg_backup_stop(false)").ReadAll()
	if err != nil {
		return fmt.Errorf("end the backup: %w", err)
	}
	if err := s.copyData(primary, func(path string) bool { return strings.HasPrefix(path, "pg_wal/") }); err != nil {
		return err
	}
	for name, content := range map[string][]byte{"backup_label": label[0].Rows[0][0], "standby.signal": nil} {
		path := filepath.Join(s.cluster.data(), name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return fmt.Errorf("make the standby's %s: %w", name, err)
		}
		if err := s.cluster.as.give(path); err != nil {
			return err
		}
	}
	return nil
}

// copyData copies the files that are wanted, and all folders. What belongs to the running server alone stays behind, and
// what vanishes meanwhile is in the WAL.
func (s *Server) copyData(primary *Server, wanted func(path string) bool) error {
	from := primary.cluster.data()
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("copy the data directory: %w", err)
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		to := filepath.Join(s.cluster.data(), relative)
		switch {
		case relative == "postmaster.pid", relative == "postmaster.opts", strings.HasPrefix(relative, "pg_replslot/"):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			if err := os.Mkdir(to, 0o700); errors.Is(err, fs.ErrExist) {
				return nil
			} else if err != nil {
				return fmt.Errorf("copy the data directory: %w", err)
			}
		case !wanted(relative):
			return nil
		default:
			if err := copyFile(path, to); errors.Is(err, fs.ErrNotExist) {
				return nil
			} else if err != nil {
				return fmt.Errorf("copy the data directory: %w", err)
			}
		}
		return s.cluster.as.give(to)
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() // it is only read
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// Promote makes a standby a primary, and returns when it is one.
func (s *Server) Promote(ctx context.Context) error {
	conn, err := pgconn.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return fmt.Errorf("promote the standby: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // all is done by then
	result, err := conn.Exec(ctx, "select pg_promote(true, 60)").ReadAll()
	if err == nil && string(result[0].Rows[0][0]) != "t" {
		err = errors.New("it is none after a minute")
	}
	if err != nil {
		return fmt.Errorf("promote the standby: %w", err)
	}
	return nil
}

// Halt shuts the server down in the given mode and keeps its folder, as a host that fails does. Restart starts it again.
func (s *Server) Halt(ctx context.Context, mode Mode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(ctx, mode)
}
