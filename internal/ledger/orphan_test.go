package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// What a daemon was doing when it was killed ends with it, and its locks: here that on the checkpoint, which whoever takes over
// needs.
func TestStatementOfAKilledDaemonEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	ctx := t.Context()
	if _, err := f.Acquire(ctx, "s", "1", 1, 0); err != nil {
		t.Fatal(err)
	}
	borrowed, err := f.pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	killed := borrowed.Hijack()
	if _, err := killed.Exec(ctx, "begin; select 1 from walpost.checkpoint for share"); err != nil {
		t.Fatal(err)
	}
	sql := killed.PgConn().Frontend()
	sql.SendQuery(&pgproto3.Query{String: "select pg_sleep(60)"})
	if err := sql.Flush(); err != nil {
		t.Fatal(err)
	}
	sleeps := fmt.Sprintf("select count(*) = 1 from pg_stat_activity where pid = %d and wait_event = 'PgSleep'", killed.PgConn().PID())
	for !value[bool](f, sleeps) {
		value[bool](f, "select pg_sleep(0.01) is null")
	}
	begun := time.Now()
	if err := killed.PgConn().Conn().Close(); err != nil {
		t.Fatal(err)
	}
	const late = 20 * time.Second // by statement_timeout it ends after 30 s, whatever we do
	for {
		if _, err = f.Acquire(ctx, "s", "1", 1, 0); err == nil {
			break
		}
		if time.Since(begun) > late {
			t.Fatalf("%s after the kill: %v", time.Since(begun), err)
		}
	}
	t.Logf("acquired %s after the kill", time.Since(begun))
}
