package ledger

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// pages is how many pages a statement touches: what it costs, whatever else the machine does.
func pages(t testing.TB, db querier, sql string, args ...any) int {
	t.Helper()
	rows, _ := db.Query(t.Context(), "explain (analyze, buffers, format json) "+sql, args...)
	text, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[[]byte])
	if err != nil {
		t.Fatal(err)
	}
	var plans []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		}
	}
	if err := json.Unmarshal(text, &plans); err != nil {
		t.Fatal(err)
	}
	return plans[0].Plan.Hit + plans[0].Plan.Read
}

// claimPages claims up to 32 of a webhook from a due time on.
func (f *fixture) claimPages(webhook string, from time.Time) int {
	f.t.Helper()
	return pages(f.t, f.pool, claimSQL, []string{webhook}, []int32{32}, []time.Duration{time.Minute}, int64(claimMaxBytes),
		[]time.Time{from}, []int32{1}, []int32{32})
}

// insert makes deliveries without events, from number `from` to number `to`, of one webhook. They came due two hours ago, in
// another order than that in which they lie in the table.
func (f *fixture) insert(webhook string, state State, from, to int) {
	f.t.Helper()
	f.db.Exec(f.t, `insert into walpost.delivery (id, event_id, topic, webhook, state, due_at, created_at, updated_at)
		select gen_random_uuid(), $1 || i, 'contact.tagged', $1, $2, now() - interval '2 hours' + interval '1 ms' * (i::bigint * 7919 % 1000003), now(), now()
		from generate_series($3::int, $4::int) i`, webhook, state, from, to)
	f.db.Exec(f.t, "vacuum analyze walpost.delivery")
}

// What is done every second, and what the status shows, touches the same few pages whatever is parked.
func TestCostIsFlatInParkedDeliveries(t *testing.T) {
	t.Parallel()
	const few, many = 10_000, 300_000
	f := newFixture(t, Options{})
	f.fill(2000)
	costs := func() map[string]int {
		f.claimPages("crm", time.Time{}) // the caches of the session, and the hints
		return map[string]int{
			"claim of 32":            f.claimPages("crm", time.Time{}),
			"claim with nothing due": f.claimPages("parked", time.Time{}),
			"look":                   pages(t, f.pool, lowestSQL, []string{"crm", "parked", "none"}, []time.Time{{}, {}, {}}),
			"status":                 pages(t, f.pool, statusWebhooksSQL, 1000),
			"cancel held":            pages(t, f.pool, cancelHeldSQL, 7*day, chunk),
			"park":                   pages(t, f.pool, parkWaitingSQL, "parked", chunk, "-infinity"),
		}
	}
	f.insert("parked", Parked, 0, few)
	before := costs()
	f.insert("parked", Parked, few, many)
	after := costs()
	for what, n := range after {
		t.Logf("%s: %d pages beside %d parked, %d beside %d", what, before[what], few, n, many)
		if n > before[what]+before[what]/4+20 {
			t.Errorf("%s: %d pages, %d before there were %d parked", what, n, before[what], many)
		}
	}
}

// While somebody holds a snapshot, dead rows stay. Claims pass them by; a look, once.
func TestCostIsFlatInDeadRows(t *testing.T) {
	t.Parallel()
	const dead = 30_000
	f := newFixture(t, Options{})
	f.fill(4000)
	f.insert("crm", Pending, -dead, -1)
	crm := []Capacity{{Webhook: "crm", Limit: 32, Lease: time.Minute}}
	cost := func() int {
		if err := f.look(t.Context(), crm); err != nil {
			t.Fatal(err)
		}
		return f.claimPages("crm", f.floors.from(crm)[0])
	}
	dump, err := f.db.Conn(t).BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	defer dump.Rollback(t.Context()) //nolint:errcheck // the test is over
	if _, err := dump.Exec(t.Context(), "select count(*) from walpost.webhook"); err != nil {
		t.Fatal(err)
	}
	f.db.Exec(t, `update walpost.delivery set state = 'delivered', finished_at = now(), attempts = 1
		where webhook = 'crm' and event_id !~ 'event'`)
	f.db.Exec(t, "vacuum walpost.delivery")
	if all := f.claimPages("crm", time.Time{}); all < dead {
		t.Fatalf("a claim from the beginning touched %d pages: no dead rows are in its way", all)
	}
	const most = 1000                                    // for 32, at some 15 each
	if _, err := f.Claim(t.Context(), crm); err != nil { // the sweep
		t.Fatal(err)
	}
	for range 3 {
		if n := cost(); n > most {
			t.Errorf("a claim touched %d pages, want %d at most", n, most)
		}
		if got := f.claim("crm", 32); len(got) != 32 {
			t.Fatalf("claimed %d", len(got))
		}
	}
	f.later(lookEvery)
	if n := cost(); n > most {
		t.Errorf("a claim after a look touched %d pages, want %d at most", n, most)
	}
	bottom := f.floors.of["crm"].bottom
	if n := pages(t, f.pool, lowestSQL, []string{"crm"}, []time.Time{bottom}); n > most {
		t.Errorf("a look touched %d pages, want %d at most", n, most)
	}
	for len(f.claim("crm", 1000)) > 0 {
	}
	if n := cost(); n > most {
		t.Errorf("a claim with nothing due touched %d pages, want %d at most", n, most)
	}
}

// Pruning in chunks passes what the chunks before have left dead.
func TestPruneChunksPassDeadRows(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.insert("crm", Pending, 1, 5*chunk)
	f.db.Exec(t, "update walpost.delivery set state = 'delivered', finished_at = due_at - interval '8 days'")
	f.db.Exec(t, "vacuum analyze walpost.delivery")
	dump, err := f.db.Conn(t).BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	defer dump.Rollback(t.Context()) //nolint:errcheck // the test is over
	if _, err := dump.Exec(t.Context(), "select count(*) from walpost.webhook"); err != nil {
		t.Fatal(err)
	}
	from := "-infinity"
	var costs []int
	for range 4 {
		err := pgx.BeginFunc(t.Context(), f.pool, func(tx pgx.Tx) error {
			costs = append(costs, pages(t, tx, pruneDeliveriesSQL, 7*day, chunk, "crm", Delivered, from))
			return pgx.ErrTxCommitRollback
		})
		if err == nil {
			t.Fatal("not rolled back")
		}
		var last time.Time
		rows, _ := f.pool.Query(t.Context(), pruneDeliveriesSQL, 7*day, chunk, "crm", Delivered, from)
		var event string
		var at time.Time
		n, err := pgx.ForEachRow(rows, []any{&event, &at}, func() error {
			if at.After(last) {
				last = at
			}
			return nil
		})
		if err != nil || n.RowsAffected() != chunk {
			t.Fatalf("pruned %d, %v", n.RowsAffected(), err)
		}
		from = last.Format(time.RFC3339Nano)
	}
	if costs[3] > costs[0]+costs[0]/4 {
		t.Errorf("chunks touched %d pages", costs)
	}
}
