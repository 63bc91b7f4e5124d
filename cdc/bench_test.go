package cdc

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkStream reads rows of 500 bytes, each in its own transaction or a hundred in one, that a real server has
// in its WAL already, and resolves and confirms them.
func BenchmarkStream(b *testing.B) {
	for _, perTransaction := range []int{1, 100} {
		b.Run(fmt.Sprintf("%d rows a transaction", perTransaction), func(b *testing.B) {
			db := newOutbox(b)
			o := testOptions(db)
			if _, err := Setup(b.Context(), o); err != nil {
				b.Fatal(err)
			}
			db.Exec(b, fmt.Sprintf(`do $$ begin for i in 1..%d loop
				insert into outbox (aggregate_type, aggregate_id, event_type, payload)
				select 'contact', i::text, 'created', jsonb_build_object('filler', repeat('x', 450)) from generate_series(1, %d);
				commit; end loop; end $$`, (b.N+perTransaction-1)/perTransaction, perTransaction))
			s, err := New(o)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			began := time.Now()
			done := make(chan error, 1)
			go func() { done <- s.Run(b.Context()) }()
			for n := 0; n < b.N; {
				select {
				case batch := <-s.Batches():
					for i := range batch {
						batch[i].Resolve()
					}
					n += len(batch)
				case err := <-done:
					b.Fatal(err)
				}
				if p, ok := s.Progress(); ok {
					s.Confirm(p)
				}
			}
			b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "rows/s")
		})
	}
}
