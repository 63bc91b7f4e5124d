package cdc

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/internal/pgtest"
)

// pollable is an outbox that can be polled, with old rows in it.
func pollable(t testing.TB, old int) (*pgtest.Database, *pgx.Conn) {
	t.Helper()
	db := newOutbox(t)
	conn := db.Conn(t)
	for _, sql := range []string{
		fmt.Sprintf(`insert into outbox (aggregate_type, aggregate_id, event_type, payload)
			select 'contact', 'old', 'created', '{}' from generate_series(1, %d)`, old),
		"alter table outbox add column walpost_xid xid8 not null default pg_current_xact_id()",
		"create index on outbox (walpost_xid, id)",
		"vacuum analyze outbox",
	} {
		if _, err := conn.Exec(context.Background(), sql); err != nil {
			t.Fatal(err)
		}
	}
	return db, conn
}

// commitEach commits n rows, each in a transaction of its own, on the server.
func commitEach(t testing.TB, conn *pgx.Conn, n int) {
	t.Helper()
	_, err := conn.Exec(context.Background(), fmt.Sprintf(`do $$ begin
		for n in 1..%d loop
			insert into outbox (aggregate_type, aggregate_id, event_type, payload)
			values ('contact', n::text, 'created', jsonb_build_object('filler', repeat('x', 400)));
			commit;
		end loop;
	end $$`, n))
	if err != nil {
		t.Fatal(err)
	}
}

// runPoller runs one that begins with the checkpoint, until the benchmark ends.
func runPoller(b *testing.B, db *pgtest.Database, change func(*PollOptions)) *Poller {
	b.Helper()
	o := pollOptions(testOptions(db))
	o.Interval = time.Second
	change(&o)
	p, err := NewPoller(o)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	return p
}

// BenchmarkPollDrain drains rows that were committed one by one, in a table that has a million old ones.
func BenchmarkPollDrain(b *testing.B) {
	db, conn := pollable(b, 1_000_000)
	var since string
	if err := conn.QueryRow(context.Background(), "select pg_current_snapshot()::text").Scan(&since); err != nil {
		b.Fatal(err)
	}
	commitEach(b, conn, b.N)
	b.ResetTimer()
	p := runPoller(b, db, func(o *PollOptions) {
		o.Resume = func(context.Context) (*Resume, error) { return &Resume{Snapshot: since}, nil }
	})
	for taken := 0; taken < b.N; {
		batch := <-p.Batches()
		taken += len(batch)
		resolve(batch)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkPollLatency is the time from the return of COMMIT to the row, with the trigger that notifies.
func BenchmarkPollLatency(b *testing.B) {
	db, conn := pollable(b, 1_000_000)
	db.Exec(b, notifyDDL)
	p := runPoller(b, db, func(o *PollOptions) { o.Channel = "walpost_outbox" })
	arrived := make(chan time.Time)
	go func() {
		for batch := range p.Batches() {
			resolve(batch)
			arrived <- time.Now()
		}
		close(arrived)
	}()
	var latencies []time.Duration
	for p.Stats().Connects == 0 {
		commitEach(b, conn, 0) // a round trip
	}
	b.ResetTimer()
	for range b.N {
		commitEach(b, conn, 1)
		committed := time.Now()
		latencies = append(latencies, (<-arrived).Sub(committed))
		<-time.After(5 * time.Millisecond)
	}
	slices.Sort(latencies)
	b.ReportMetric(float64(latencies[len(latencies)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(latencies[len(latencies)*99/100].Microseconds()), "p99-µs")
}

// What a look costs is what is new, however many old rows there are and however old the oldest running transaction is.
func TestLooksReadOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	db, conn := pollable(t, 20_000)
	pool := db.Pool(t)
	long := begin(t, pool) // it keeps xmin down
	defer rollback(t, long)
	insert(t, long, "running")
	s := &polling{Poller: &Poller{feed: newFeed(1), opts: pollOptions(testOptions(db).withDefaults())}, rows: 100}
	if err := s.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer closeOrdinary(t.Context(), s.conn)
	if _, err := s.identify(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, err := s.mark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	commitEach(t, conn, 1000)
	s.since = before.seen
	explain := func(p piece, after [][]byte) (buffers int, plan string) {
		t.Helper()
		l := &look{polling: s}
		sql, args := l.statement(p, after)
		result := s.conn.ExecParams(t.Context(), "explain (analyze, buffers, format json) "+sql, args, nil, nil, nil).Read()
		if result.Err != nil {
			t.Fatal(result.Err)
		}
		type node struct {
			Type  string `json:"Node Type"`
			Hit   int    `json:"Shared Hit Blocks"`
			Read  int    `json:"Shared Read Blocks"`
			Plans []node `json:"Plans"`
		}
		var document []struct{ Plan node }
		if err := json.Unmarshal(result.Rows[0][0], &document); err != nil {
			t.Fatal(err)
		}
		for n := []node{document[0].Plan}; len(n) > 0; n = n[0].Plans {
			plan += n[0].Type + ";"
		}
		return document[0].Plan.Hit + document[0].Plan.Read, plan
	}
	idle := piece{from: before.seen.xmax + 1_000_000, to: before.seen.xmax + 1_000_001}
	if n, plan := explain(idle, nil); n > 10 || plan != "Limit;Index Scan;" {
		t.Errorf("nothing new: %d buffers, %s", n, plan)
	}
	fresh := piece{from: before.seen.xmax, to: before.seen.xmax + 1_000_000}
	first, plan := explain(fresh, nil)
	if plan != "Limit;Index Scan;" {
		t.Errorf("the first page: %s", plan)
	}
	last := scalar[string](t, pool, "select max(walpost_xid)::text from outbox")
	later, plan := explain(fresh, [][]byte{[]byte(fmt.Sprint(before.seen.xmax + 900)), []byte("00000000-0000-0000-0000-000000000000")})
	if plan != "Limit;Index Scan;" || later > 2*first+10 {
		t.Errorf("a later page: %d buffers, the first %d, %s; newest %s", later, first, plan, last)
	}
	t.Logf("buffers: %d idle, %d for 100 rows, %d for a later page", func() int { n, _ := explain(idle, nil); return n }(), first, later)
}
