package ledger

import (
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// BenchmarkHeldKey is a claim of 64 deliveries of one key and the record of their end, while HELD others (1,000,000) wait behind
// them: "beside" is that while a transaction of somebody else keeps every dead row.
func BenchmarkHeldKey(b *testing.B) {
	held := 1_000_000
	if text := os.Getenv("HELD"); text != "" {
		var err error
		if held, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	f := benchFixture(b, Options{})
	f.fillKey(held)
	f.db.Exec(b, "vacuum analyze walpost.delivery, walpost.event") // as autovacuum does within a minute
	for _, name := range []string{"alone", "beside"} {
		b.Run(name, func(b *testing.B) {
			if name == "beside" {
				tx, err := f.pool.Begin(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				defer tx.Rollback(b.Context()) //nolint:errcheck // it has read only
				if _, err := tx.Exec(b.Context(), "set transaction isolation level repeatable read; select pg_current_xact_id()"); err != nil {
					b.Fatal(err)
				}
			}
			var claims, ends []time.Duration
			for range b.N {
				began := time.Now()
				_, claimed := f.take(64)
				claims = append(claims, time.Since(began))
				if len(claimed) != 64 {
					b.Fatalf("claimed %d", len(claimed))
				}
				began = time.Now()
				var entries []func(func(error)) Entry
				for i := range claimed {
					entries = append(entries, attempted(ending(&claimed[i], Delivered)))
				}
				f.mustRecord(entries...)
				ends = append(ends, time.Since(began))
			}
			tell := func(name string, times []time.Duration) {
				n := max(len(times)/10, 1)
				first, last := slices.Clone(times[:n]), slices.Clone(times[len(times)-n:])
				slices.Sort(first)
				slices.Sort(last)
				b.ReportMetric(float64(first[len(first)/2].Microseconds()), name+"-first-µs")
				b.ReportMetric(float64(last[len(last)/2].Microseconds()), name+"-last-µs")
			}
			tell("claim", claims)
			tell("end", ends)
		})
	}
}
