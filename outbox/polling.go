package outbox

import (
	"cmp"
	"fmt"
)

// What a table has beside its columns where walpost polls it.
const (
	// XIDColumn has the id of the transaction that inserted the row. Its default fills it; nobody else writes it.
	XIDColumn = "walpost_xid"
	// Channel is notified, by the trigger of NotifyDDL or by whoever likes, to have walpost look at the table at once.
	Channel = "walpost_outbox"
)

// XIDColumnDDL gives the statement that adds XIDColumn. It rewrites nothing: the rows that are there get the id of the
// transaction that adds it. It waits for everybody who uses the table, and lets nobody else in meanwhile, so it wants a
// lock_timeout.
func (t Table) XIDColumnDDL() string {
	return fmt.Sprintf("alter table %s add column if not exists %s xid8 not null default pg_current_xact_id();", t.Identifier(), quote(XIDColumn))
}

// XIDIndexDDL gives the statement that makes the index by which new rows are found. Writers go on meanwhile. It can't be
// part of a transaction; for a partitioned table leave "concurrently" out.
func (t Table) XIDIndexDDL() string {
	name := cmp.Or(t.Name, "outbox")
	const suffix = "_walpost_xid"
	name = name[:min(len(name), maxIdentifier-len(suffix))]
	return fmt.Sprintf("create index concurrently if not exists %s on %s (%s, %s);",
		quote(name+suffix), t.Identifier(), quote(XIDColumn), quote(cmp.Or(t.Columns.ID, DefaultColumns.ID)))
}

// NotifyDDL gives the statements that have each commit with new rows notify Channel: what is rolled back notifies nobody.
// Commits that notify wait for each other (a lock of Postgres), and a transaction that has can't be prepared (two-phase
// commit); without the trigger walpost looks from time to time.
func (t Table) NotifyDDL() string {
	schema := quote(cmp.Or(t.Schema, "public"))
	return fmt.Sprintf(`create or replace function %[1]s.walpost_notify() returns trigger language plpgsql as $$
begin
  perform pg_notify('%[2]s', '');
  return null;
end $$;
drop trigger if exists walpost_notify on %[3]s;
create trigger walpost_notify after insert on %[3]s for each statement execute function %[1]s.walpost_notify();`,
		schema, Channel, t.Identifier())
}
