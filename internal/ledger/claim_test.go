package ledger

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/internal/pgtest"
)

// fill makes n owed deliveries, with their events, by plain SQL. They came due over the past hour, half of each webhook.
func (f *fixture) fill(n int) {
	f.t.Helper()
	f.db.Exec(f.t, `insert into walpost.event (id, aggregate_type, aggregate_id, type, payload, lsn, recorded_at)
		select 'event-' || i, 'contact', i, 'tagged', '{"n": ' || i || '}', '0/0'::pg_lsn + i, now()
		from generate_series(1, $1::int) i`, n)
	f.db.Exec(f.t, `insert into walpost.delivery (id, event_id, topic, webhook, state, due_at, created_at, updated_at)
		select gen_random_uuid(), 'event-' || i, 'contact.tagged', (array['crm', 'hub'])[1 + i % 2], 'pending',
			now() - interval '1 hour' * (i::float8 / $1), now(), now()
		from generate_series(1, $1::int) i`, n)
}

func TestConcurrentClaimersShareDeliveries(t *testing.T) {
	t.Parallel()
	const claimers, n = 4, 5000
	f := newFixture(t, Options{})
	f.fill(n)
	claimed := make([][]Claimed, claimers)
	var wg sync.WaitGroup
	for i := range claimers {
		l := openFixture(t, f.db, Options{})
		wg.Go(func() {
			// Others hold what they are claiming for the moment, so only an empty claim of a lone claimer is the end.
			for range 2 * n {
				got, err := l.Claim(t.Context(), []Capacity{
					{Webhook: "crm", Limit: 17, Lease: time.Minute}, {Webhook: "hub", Limit: 32, Lease: time.Minute},
				})
				if err != nil {
					t.Error(err)
				}
				if len(got) == 0 {
					return
				}
				claimed[i] = append(claimed[i], got...)
			}
		})
	}
	wg.Wait()
	seen := make(map[string]int)
	for i, list := range claimed {
		t.Logf("claimer %d got %d", i, len(list))
		for _, c := range list {
			seen[c.ID]++
			if c.Fence != 1 || c.Attempt != 1 || c.State != Pending || c.Event == nil || len(c.Event.Payload) == 0 {
				t.Fatalf("claimed %+v", c)
			}
		}
	}
	if len(seen) != n {
		t.Errorf("%d deliveries claimed, want %d", len(seen), n)
	}
	for id, times := range seen {
		if times != 1 {
			t.Errorf("delivery %s was claimed %d times", id, times)
		}
	}
}

func TestClaimHonoursLimitOrderAndLease(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	for n := range 5 {
		e := event(n, 50)
		d := delivery(e, "crm", Pending) // due now: the first is due longest
		if n == 4 {
			d.DueIn = time.Hour
		}
		f.mustRecord(owed(e, d))
	}
	ids := func(claimed []Claimed) (ids []string) {
		for _, c := range claimed {
			ids = append(ids, c.Event.ID)
		}
		return ids
	}
	if got := fmt.Sprint(ids(f.claim("crm", 3))); got != "[event-0000000 event-0000001 event-0000002]" {
		t.Errorf("claimed %s, want the three that are due longest", got)
	}
	if got := fmt.Sprint(ids(f.claim("crm", 3))); got != "[event-0000003]" {
		t.Errorf("claimed %s, want the one that is left", got)
	}
	f.shift(29 * time.Second)
	if got := f.claim("crm", 9); len(got) != 0 {
		t.Errorf("claimed %v within the leases", ids(got))
	}
	f.shift(31 * time.Second)
	other := openFixture(t, f.db, Options{}) // it looks at everything, as f does every ten seconds
	if got := other.claim("crm", 9); len(got) != 4 || got[0].Fence != 2 || got[0].Attempt != 1 {
		t.Errorf("claimed %v after the leases, want all four again", ids(got))
	}
}

func TestClaimBoundsBytes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	for n, size := range []int{20 << 20, 9 << 20, 9 << 20} {
		e := event(n, size)
		f.mustRecord(owed(e, delivery(e, "crm", Pending)))
	}
	for i, want := range []int{1, 2, 0} { // the first is over the limit by itself; the second and third start below it
		if got := len(f.claim("crm", 10)); got != want {
			t.Errorf("claim %d took %d, want %d", i, got, want)
		}
	}
}

func TestClaimSkipsDisabledWebhook(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.fill(10)
	if err := f.Disable(t.Context(), "crm", Reason{By: "operator", Why: "maintenance"}); err != nil {
		t.Fatal(err)
	}
	capacities := []Capacity{
		{Webhook: "crm", Limit: 10, Lease: time.Minute},
		{Webhook: "hub", Limit: 10, Lease: time.Minute},
		{Webhook: "none", Limit: 10, Lease: time.Minute},
	}
	claimed, err := f.Claim(t.Context(), capacities)
	if err != nil {
		t.Fatal(err)
	}
	if len(claimed) != 5 || claimed[0].Webhook != "hub" {
		t.Errorf("claimed %d, want the five of the enabled webhook", len(claimed))
	}
}

// A transaction without an id has written nothing: no row version, no lock, no WAL.
func TestIdleClaimWritesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.fill(100)
	args := []any{
		[]string{"none", "crm"},
		[]int32{10, 10},
		[]time.Duration{time.Minute, time.Minute},
		int64(1000),
		[]time.Time{{}, {}},
		[]int32{1, 1},
		[]int32{10, 10},
	}
	claimAgain := func() (rows int64, wrote bool) {
		err := pgx.BeginFunc(t.Context(), f.pool, func(tx pgx.Tx) error {
			tag, err := tx.Exec(t.Context(), claimSQL, args...)
			if err != nil {
				return err
			}
			rows = tag.RowsAffected()
			return tx.QueryRow(t.Context(), "select pg_current_xact_id_if_assigned() is not null").Scan(&wrote)
		})
		if err != nil {
			t.Fatal(err)
		}
		return rows, wrote
	}
	for {
		rows, wrote := claimAgain()
		if wrote != (rows > 0) {
			t.Fatalf("claim of %d rows wrote: %v", rows, wrote)
		}
		if rows == 0 {
			return
		}
	}
}

// explain gives the plan of a statement.
func explain(t *testing.T, db querier, sql string, args ...any) string {
	t.Helper()
	rows, _ := db.Query(t.Context(), "explain (costs off) "+sql, args...)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// querier is a pool or a connection.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func TestClaimUsesDueIndex(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.fill(100_000)
	f.db.Exec(t, `insert into walpost.delivery (id, event_id, topic, webhook, state, due_at, created_at, updated_at)
		select gen_random_uuid(), 'event-' || i, 'contact.tagged', 'crm', 'parked', now(), now(), now()
		from generate_series(1, 100000) i`)
	f.db.Exec(t, "vacuum analyze")
	for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
		conn := f.db.Conn(t)
		if _, err := conn.Exec(t.Context(), "set plan_cache_mode = "+mode); err != nil {
			t.Fatal(err)
		}
		plan := explain(t, conn, claimSQL, []string{"crm", "hub"}, []int32{32, 32},
			[]time.Duration{time.Minute, time.Minute}, int64(claimMaxBytes), []time.Time{{}, time.Now().Add(-time.Hour)}, []int32{1, 64}, []int32{32, 500})
		for _, index := range []string{"delivery_due", "delivery_pkey", "event_pkey"} {
			if !strings.Contains(plan, " "+index) {
				t.Errorf("%s: index %s is not used:\n%s", mode, index, plan)
			}
		}
		if strings.Contains(plan, "Seq Scan on delivery") || strings.Contains(plan, "Seq Scan on event") {
			t.Errorf("%s: a big table is read whole:\n%s", mode, plan)
		}
	}
	claimed := f.claim("crm", 32)
	if len(claimed) != 32 {
		t.Errorf("claimed %d, want 32", len(claimed))
	}
}

// An outage of the schedule's owner, or of the database, moves no due time, and the schedule is counted from each failure.
func TestScheduleInVirtualTime(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	f := start(t, db, Options{})
	e := event(1, 50)
	first := outcome(e, "crm", 1, 0, Retrying, "retry")
	first.DueIn = 5 * time.Minute
	f.mustRecord(attempted(first))
	now := time.Duration(0)
	for i, wait := range []time.Duration{5 * time.Minute, time.Hour, 3 * time.Hour} {
		f = start(t, db, Options{}) // another daemon
		f.shift(now + wait - time.Minute)
		if got := f.claim("crm", 1); len(got) != 0 {
			t.Fatalf("retry %d was due a minute early", i+1)
		}
		now += wait
		f.shift(now)
		claimed := f.claim("crm", 1)
		if len(claimed) != 1 || claimed[0].Attempt != i+2 || claimed[0].ID != first.ID {
			t.Fatalf("claimed %+v, want attempt %d", claimed, i+2)
		}
		next := outcome(e, "crm", i+2, claimed[0].Fence, Retrying, "retry")
		switch i {
		case 0:
			next.DueIn = time.Hour
		case 1:
			next.DueIn = 3 * time.Hour
		case 2:
			next.State = Failed
		}
		f.mustRecord(attempted(next))
	}
	d := f.view(first.ID)
	if d.State != Failed || d.Attempts != 4 || len(d.Log) != 4 {
		t.Errorf("delivery is %+v, want it failed after four attempts", d)
	}
	f.shift(now + 1000*time.Hour)
	if got := f.claim("crm", 1); len(got) != 0 {
		t.Error("a failed delivery was due")
	}
}

var workOfStep = regexp.MustCompile(`rows=(\d+) loops=(\d+)`)

// TestClaimOfManyWebhooks: what a claim for hundreds of webhooks costs grows with what it brings, and not with its square.
func TestClaimOfManyWebhooks(t *testing.T) {
	t.Parallel()
	const webhooks, each = 500, 4
	f := newFixture(t, Options{})
	f.db.Exec(t, `insert into walpost.event (id, aggregate_type, aggregate_id, type, payload, lsn, recorded_at)
		select 'event-' || i, 'contact', i, 'tagged', '{}', '0/0'::pg_lsn + i, now() from generate_series(1, $1::int) i`, each)
	f.db.Exec(t, `insert into walpost.delivery (id, event_id, topic, webhook, state, due_at, created_at, updated_at)
		select gen_random_uuid(), 'event-' || i, 'contact.tagged', 'hook_' || w, 'pending', now(), now(), now()
		from generate_series(1, $1::int) i, generate_series(1, $2::int) w`, each, webhooks)
	var names []string
	for i := range webhooks {
		names = append(names, fmt.Sprintf("hook_%d", i+1))
	}
	conn := f.db.Conn(t)
	rows, _ := conn.Query(t.Context(), "explain (analyze, costs off, timing off, summary off) "+claimSQL, names,
		slices.Repeat([]int32{each}, webhooks), slices.Repeat([]time.Duration{time.Minute}, webhooks), int64(claimMaxBytes),
		make([]time.Time, webhooks), slices.Repeat([]int32{1}, webhooks), slices.Repeat([]int32{each}, webhooks))
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	loops := 0
	for _, line := range lines {
		found := workOfStep.FindStringSubmatch(line)
		if found != nil {
			loops, _ = strconv.Atoi(found[2])
		}
		if _, removed, ok := strings.Cut(line, "Rows Removed by Filter: "); ok {
			if n, _ := strconv.Atoi(removed); n*loops > 10*webhooks*each {
				t.Errorf("%d rows are looked at in vain:\n%s", n*loops, strings.Join(lines, "\n"))
			}
		}
	}
}
