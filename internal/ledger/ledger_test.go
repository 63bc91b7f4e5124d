package ledger

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walpost/walpost/internal/pgtest"
	"github.com/walpost/walpost/outbox"
)

func TestOptionsReportEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := Open(t.Context(), Options{Record: "some", BatchSize: -1})
	if err == nil {
		t.Fatal("taken")
	}
	for _, part := range []string{"no connection string", `"some"`, "negative"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %s", err, part)
		}
	}
	if _, err := Open(t.Context(), Options{ConnString: "postgres://user:hunter2@[::bad/db"}); err == nil {
		t.Error("a bad connection string is taken")
	} else if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%q tells the password", err)
	}
}

// What the host sets for its own sake must not make the ledger forgetful.
func TestSessionsAreDurable(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, "alter database "+db.Name+" set synchronous_commit = off")
	db.Exec(t, "alter database "+db.Name+" set default_transaction_isolation = 'serializable'")
	f := openFixture(t, db, Options{})
	for name, want := range map[string]string{
		"synchronous_commit": "on", "transaction_isolation": "read committed", "application_name": "walpost",
		"lock_timeout": "5s", "statement_timeout": "30s", "timezone": "UTC",
	} {
		if got := value[string](f, "select current_setting($1)", name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// The first entry after a quiet time is written at once, the next ones together after a while, or when they are many.
func TestBatchesArePaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &Ledger{options: Options{BatchSize: 10, BatchDelay: 20 * time.Millisecond}, queue: newQueue()}
		w := &writer{Ledger: l}
		ctx, cancel := context.WithCancel(t.Context())
		add := func(entries int) {
			for range entries {
				l.queue.add(waiting{Entry: Attempted{Event: &outbox.Row{}}})
			}
		}
		began := time.Now()
		round := func(want time.Duration, rows int) {
			t.Helper()
			if !w.await(ctx) {
				t.Fatal("nothing to write")
			}
			if got := time.Since(began); got != want {
				t.Errorf("written after %v, want %v", got, want)
			}
			w.last = time.Now()
			if got := len(l.queue.take(100, 1<<20)); got != rows {
				t.Errorf("%d entries, want %d", got, rows)
			}
		}
		add(1)
		round(0, 1)
		add(1)
		round(20*time.Millisecond, 1)
		time.AfterFunc(5*time.Millisecond, func() { add(4) })
		time.AfterFunc(10*time.Millisecond, func() { add(6) })
		round(30*time.Millisecond, 10)
		time.AfterFunc(time.Second, func() { add(1) })
		round(1030*time.Millisecond, 1)
		add(1)
		cancel()
		round(1030*time.Millisecond, 1)
		if w.await(ctx) {
			t.Error("goes on after the end")
		}
	})
}

func TestTakeIsBounded(t *testing.T) {
	t.Parallel()
	q := newQueue()
	for n := range 5 {
		q.add(waiting{Entry: Owed{Event: event(n, 1000), Deliveries: make([]Delivery, 3)}}) // 4 rows, some 3 kB
	}
	for i, c := range []struct {
		rows int
		size int64
		want int
	}{{8, 1 << 20, 2}, {100, 5000, 1}, {1, 1, 1}, {100, 1 << 20, 1}, {100, 1 << 20, 0}} {
		if got := len(q.take(c.rows, c.size)); got != c.want {
			t.Errorf("take %d gave %d entries, want %d", i, got, c.want)
		}
	}
}

func TestCleanCutsBetweenRunes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "abcdef": "abcd", "abcß": "abc", "ab\x00": "ab\uFFFD", "\xff\xff": "\uFFFD", "aßb": "aßb",
	} {
		if got := clean(in, 4); got != want {
			t.Errorf("clean(%q) is %q, want %q", in, got, want)
		}
	}
}

func TestLSNText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]lsn{"0/0": 0, "16/B374D848": 0x16_B374D848, "FFFFFFFF/FFFFFFFF": 1<<64 - 1} {
		var got lsn
		if err := got.Scan(text); err != nil || got != want || got.String() != text {
			t.Errorf("%s reads as %d, %v and prints as %s", text, got, err, got)
		}
	}
	var bad lsn
	for _, src := range []any{"", "7", "x/y", 7} {
		if err := bad.Scan(src); err == nil {
			t.Errorf("%v reads as an LSN", src)
		}
	}
}
