package cdc

import (
	"testing"
	"time"
)

// However the publication stops having the table, and for however short a time, what was committed meanwhile is recovered.
func TestPublicationThatLeftRowsOutIsRecovered(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string][2]string{
		"dropped":          {"drop publication walpost", "create publication walpost for table outbox with (publish = 'insert')"},
		"table taken":      {"alter publication walpost drop table outbox", "alter publication walpost add table outbox"},
		"inserts taken":    {"alter publication walpost set (publish = 'update')", "alter publication walpost set (publish = 'insert')"},
		"rows hidden":      {"alter publication walpost set table outbox where (aggregate_id = '0')", "alter publication walpost set table outbox"},
		"renamed and back": {"alter publication walpost rename to w", "alter publication w rename to walpost"},
	} {
		for _, when := range []string{"down", "streaming"} {
			t.Run(name+" while it is "+when, func(t *testing.T) {
				t.Parallel()
				db, pool := outboxDatabase(t)
				o := testOptions(db)
				b := checkpointed(t, o, pool)
				often := func(s *Source) { s.checkInterval = 100 * time.Millisecond }
				var r *running
				if when == "streaming" {
					r = start(t, o, nil, b.keep, often)
					r.connected()
				}
				db.Exec(t, sql[0])
				insert(t, pool, "1")
				db.Exec(t, sql[1])
				insert(t, pool, "2")
				if r == nil {
					r = start(t, o, nil, b.keep, often)
				}
				r.recoveredAfter(0)
				insert(t, pool, "3")
				for seen := map[string]bool{}; !seen["1"] || !seen["2"] || !seen["3"]; {
					seen[ids(r.next(1))[0]] = true
				}
				if losses, _ := b.seen(); losses != 1 {
					t.Errorf("%d losses: %+v", losses, b.losses)
				}
			})
		}
	}
}
