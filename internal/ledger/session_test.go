package ledger

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestSilentServerIsNoticed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		var all lines
		dial := all.dialed(func(context.Context, string, string) (net.Conn, error) { return ours, nil })
		conn, err := dial(t.Context(), "tcp", "database:5432")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		begin := time.Now()
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != readLimit {
			t.Errorf("read ended after %s with %v", time.Since(begin), err)
		}
		// What pgx sets goes before, whether the read has begun or not, until it is taken back.
		if err := conn.SetDeadline(time.Now()); err != nil {
			t.Fatal(err)
		}
		begin = time.Now()
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != 0 {
			t.Errorf("read that pgx has ended: after %s with %v", time.Since(begin), err)
		}
		if err := conn.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		begin = time.Now()
		if _, err := conn.Read(make([]byte, 1)); err == nil || time.Since(begin) != readLimit {
			t.Errorf("read after that: after %s with %v", time.Since(begin), err)
		}
		// Once there is doubt, also the read that waits is given up soon.
		begin = time.Now()
		time.AfterFunc(time.Second, all.doubt)
		if _, err := conn.Read(make([]byte, 1)); err == nil || time.Since(begin) != time.Second+doubtLimit {
			t.Errorf("read in doubt: after %s with %v", time.Since(begin), err)
		}
		if err := conn.Close(); err != nil || len(all.open) != 0 {
			t.Errorf("%d lines are open after the end: %v", len(all.open), err)
		}
	})
}

func TestSessionsThatMayNotWriteAreReplaced(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	ctx := t.Context()
	if _, err := f.Acquire(ctx, "s", "1", 1, 0); err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func() error{
		"acquire": func() error { _, err := f.Acquire(ctx, "s", "1", 1, 0); return err },
		"park":    func() error { _, err := f.ParkWaiting(ctx, "w"); return err },
		"disable": func() error { return f.Disable(ctx, "w", Reason{By: "test", Why: "test"}) },
	} {
		f.db.Exec(t, `do $$ begin execute format('alter database %I set default_transaction_read_only = on', current_database()); end $$`)
		f.pool.Reset()
		if err := write(); stateOf(err) != stateReadOnly {
			t.Fatalf("%s in a read-only session: %v", name, err)
		}
		f.db.Exec(t, `begin read write; do $$ begin execute format('alter database %I reset default_transaction_read_only', current_database()); end $$; commit`)
		if err := write(); err != nil {
			t.Errorf("%s: the session is still the old one: %v", name, err)
		}
	}
}
