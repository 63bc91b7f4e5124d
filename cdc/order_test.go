package cdc

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// place gives ids that ascend in the order in which they are asked for, as uuidv7() does.
func place(counter *atomic.Int64) string {
	return fmt.Sprintf("00000000-0000-7000-8000-%012x", counter.Add(1))
}

// TestOrderOfAKey has a host that takes an advisory lock of a key before its transaction writes anything, as docs/ordering.md asks for. The journal is the
// key's counter: what each commit has raised it to. Whatever finds the rows gives those of a key in that order, although transactions
// of different keys overlap, begin early and commit late.
func TestOrderOfAKey(t *testing.T) {
	conform(t, func(t *testing.T, g *ground) {
		const keys, workers, transactions = 3, 6, 25
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		g.db.Exec(t, "create table keys (key int primary key, n int not null); insert into keys select k, 0 from generate_series(0, 2) k")
		f := g.start()
		f.connected()
		var committed, places atomic.Int64
		var working sync.WaitGroup
		for worker := range workers {
			working.Go(func() {
				random := rand.New(rand.NewPCG(seed, uint64(worker)))
				for range transactions {
					n, err := g.append(random, random.IntN(keys), &places)
					committed.Add(int64(n))
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		working.Wait()
		latest := map[string]int{}
		for _, row := range f.next(int(committed.Load())) {
			key := value(row, "aggregate_id")
			n, err := strconv.Atoi(value(row, "event_type"))
			if err != nil {
				t.Fatal(err)
			}
			if n != latest[key]+1 {
				t.Errorf("%d of key %s comes after %d", n, key, latest[key])
			}
			latest[key] = n
		}
	})
}

// append commits a transaction with up to three rows of a key, or rolls it back, and gives the number of those committed.
func (g *ground) append(random *rand.Rand, key int, places *atomic.Int64) (rows int, err error) {
	ctx := context.Background()
	tx, err := g.pool.Begin(ctx)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback(ctx) //nolint:errcheck // it may be over
	if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock($1)", key); err != nil {
		return 0, err
	}
	var n int
	if err := tx.QueryRow(ctx, "select n from keys where key = $1", key).Scan(&n); err != nil {
		return 0, err
	}
	for range 1 + random.IntN(3) {
		n++
		_, err := tx.Exec(ctx, "insert into outbox (id, aggregate_type, aggregate_id, event_type, payload) values ($1, 'contact', $2, $3, '{}')",
			place(places), strconv.Itoa(key), strconv.Itoa(n))
		if err != nil {
			return 0, err
		}
		rows++
	}
	if _, err := tx.Exec(ctx, "update keys set n = $2 where key = $1", key, n); err != nil {
		return 0, err
	}
	if random.IntN(5) == 0 {
		return 0, tx.Rollback(ctx)
	}
	return rows, tx.Commit(ctx)
}

// TestOrderOfPollingGoesByTheFirstWrite is the limit of that: a transaction that has written something before it waits for the key comes
// before the one that it has waited for, if one look finds both, and rows of a transaction come as their ids are sorted.
func TestOrderOfPollingGoesByTheFirstWrite(t *testing.T) {
	conform(t, func(t *testing.T, g *ground) {
		g.db.Exec(t, "create table keys (key int primary key, n int not null); insert into keys values (1, 0); create table audit (n int)")
		first, second := begin(t, g.pool), begin(t, g.pool)
		must := func(tx pgx.Tx, sql string) {
			t.Helper()
			if _, err := tx.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		add := func(tx pgx.Tx, id, name string) {
			t.Helper()
			must(tx, fmt.Sprintf("insert into outbox (id, aggregate_type, aggregate_id, event_type, payload) values ('%s', 'contact', '%s', 'x', '{}')", id, name))
		}
		f := g.start()
		f.connected()
		insert(t, g.pool, "before")
		resolve(f.next(1))
		f.settle()
		f.end() // nothing is looked at until all is committed
		must(second, "insert into audit values (1)")
		must(first, "update keys set n = 1")
		add(first, "00000000-0000-4000-8000-000000000002", "1")
		add(first, "00000000-0000-4000-8000-000000000001", "2")
		commit(t, first)
		must(second, "update keys set n = 2")
		add(second, "00000000-0000-4000-8000-000000000003", "3")
		commit(t, second)
		f = g.start()
		f.connected()
		want := []string{"3", "2", "1"}
		if g.kind.name == "stream" {
			want = []string{"1", "2", "3"}
		}
		equal(t, g.kind.name, ids(f.next(3)), want)
	})
}
