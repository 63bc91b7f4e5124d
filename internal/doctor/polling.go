package doctor

import (
	"fmt"
	"slices"

	"github.com/walpost/walpost/outbox"
)

// streamed are the checks of what only a stream stands on.
var streamed = []string{
	"replication", "wal_level", "replication_slots", "wal_senders", "max_slot_wal_keep_size", "idle_replication_slot_timeout",
	"wal_sender_timeout", "wal_keep", "standby_slots", "publication", "publication_age", "replica_identity",
	"ledger_publication", "slot", "slot_wal", "slot_reader", "slot_failover", "role",
}

// applies reports whether a check is about what the configured source stands on.
func (x *exam) applies(c check) bool {
	if x.cfg.Outbox.Polled() {
		return !slices.Contains(streamed, c.name)
	}
	return c.name != "polling"
}

// judgePolling looks at the column and the index by which new rows are found.
func judgePolling(x *exam) ([]Finding, error) {
	t, err := x.outbox()
	if err != nil {
		return nil, err
	}
	if t == nil {
		return skipped("there is no table")
	}
	o := x.cfg.Outbox.Table
	kind := ""
	for _, c := range t.Columns {
		if c.Name == outbox.XIDColumn {
			kind = c.Type
		}
	}
	switch {
	case kind == "":
		return one(Finding{
			Severity: Stops, Found: fmt.Sprintf("%s has no column %s", x.tableName(), outbox.XIDColumn),
			Why: "New rows are found by the transaction that inserted them.", Fix: o.XIDColumnDDL() + " " + o.XIDIndexDDL(),
		})
	case kind != "xid8":
		return one(Finding{
			Severity: Stops, Found: fmt.Sprintf("%s is %s", outbox.XIDColumn, kind),
			Why: "It must be xid8 not null default pg_current_xact_id().", Fix: "drop it, then: " + o.XIDColumnDDL(),
		})
	}
	for _, index := range t.Indexes {
		if index.Valid && index.Whole && len(index.Columns) >= 2 && index.Columns[0] == outbox.XIDColumn && index.Columns[1] == o.Columns.Names()[0] {
			return ok("%s finds new rows by %s", index.Name, outbox.XIDColumn)
		}
	}
	return one(Finding{
		Severity: Stops, Found: fmt.Sprintf("no index of %s begins with %s and the ids", x.tableName(), outbox.XIDColumn),
		Why: "Without it each look would read the whole table.", Fix: o.XIDIndexDDL(),
	})
}
