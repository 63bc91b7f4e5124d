package ledger

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/walpost/walpost/internal/pgtest"
)

// benchFixture has a server of its own, as durable as a host's, so that its WAL is the ledger's alone.
func benchFixture(b *testing.B, o Options) *fixture {
	b.Helper()
	server := pgtest.Start(b, map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "max_wal_size": "4GB", "checkpoint_timeout": "1h",
	})
	return start(b, &pgtest.Database{URL: server.URL("postgres"), Name: "postgres"}, o)
}

// writes measures entries that are submitted as fast as the ledger takes them.
func (f *fixture) writes(b *testing.B, entry func(n int, done func(error)) Entry) {
	b.Helper()
	f.db.Exec(b, "checkpoint")
	before := value[string](f, "select pg_current_wal_insert_lsn()::text")
	var waiting sync.WaitGroup
	done := func(err error) {
		if err != nil {
			b.Error(err)
		}
		waiting.Done()
	}
	b.ResetTimer()
	for n := range b.N {
		waiting.Add(1)
		if err := f.Submit(b.Context(), entry(n, done)); err != nil {
			b.Fatal(err)
		}
	}
	waiting.Wait()
	b.StopTimer()
	wal := value[float64](f, "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1::text::pg_lsn)::float8", before)
	b.ReportMetric(wal/float64(b.N), "WAL-B/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
}

// One event of 500 bytes and one delivery each.
func BenchmarkPark(b *testing.B) {
	f := benchFixture(b, Options{})
	f.writes(b, func(n int, done func(error)) Entry {
		e := event(n, 500)
		return Owed{Event: e, Deliveries: []Delivery{delivery(e, "crm", Pending)}, Done: done}
	})
}

// First attempts that failed.
func BenchmarkFirstOutcome(b *testing.B) {
	f := benchFixture(b, Options{})
	f.writes(b, func(n int, done func(error)) Entry {
		a := outcome(event(n, 500), "crm", 1, 0, Retrying, "retry")
		a.DueIn, a.Done = 5*time.Minute, done
		return a
	})
}

func BenchmarkRecordAll(b *testing.B) {
	f := benchFixture(b, Options{Record: RecordAll})
	f.writes(b, func(n int, done func(error)) Entry {
		a := outcome(event(n, 500), "crm", 1, 0, Delivered, "delivered")
		a.Done = done
		return a
	})
}

// Claims and delivers what is owed, 32 at a time, beside many that are parked.
func BenchmarkDrain(b *testing.B) {
	for _, parked := range []int{0, 1_000_000} {
		b.Run(fmt.Sprintf("parked=%d", parked), func(b *testing.B) {
			f := benchFixture(b, Options{})
			f.db.Exec(b, `insert into walpost.delivery (id, event_id, topic, webhook, state, due_at, created_at, updated_at)
				select gen_random_uuid(), 'parked-' || i, 'contact.tagged', 'crm', 'parked', now(), now(), now()
				from generate_series(1, $1::int) i`, parked)
			f.fill(2 * b.N)
			f.db.Exec(b, "vacuum analyze")
			var claims []Claimed
			var claiming time.Duration
			f.writes(b, func(_ int, done func(error)) Entry {
				if len(claims) == 0 {
					before := time.Now()
					claims = f.claim("crm", 32)
					claiming += time.Since(before)
				}
				c := claims[0]
				claims = claims[1:]
				a := outcome(c.Event, c.Webhook, c.Attempt, c.Fence, Delivered, "delivered")
				a.ID, a.Done = c.ID, done
				return a
			})
			b.ReportMetric(float64(claiming.Microseconds())/float64((b.N+31)/32), "µs/claim")
		})
	}
}
