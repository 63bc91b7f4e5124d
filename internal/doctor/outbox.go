package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/walpost/walpost/outbox"
)

// table is the document of table.sql.
type table struct {
	Kind        string `json:"kind"`        // pg_class.relkind
	Persistence string `json:"persistence"` // pg_class.relpersistence
	Partition   bool   `json:"partition"`   // of another table
	Owner       string `json:"owner"`
	Owned       bool   `json:"owned"` // we are a member of its owner
	Usage       bool   `json:"usage"`
	Select      bool   `json:"select"`
	Delete      bool   `json:"delete"`
	Policies    bool   `json:"policies"` // row-level security applies to us
	Vacuum      bool   `json:"vacuum"`   // autovacuum looks after it
	Columns     []struct {
		Name      string `json:"name"`
		Type      string `json:"type"`
		Generated bool   `json:"generated"`
		Required  bool   `json:"required"`
	} `json:"columns"`
	Indexes []struct {
		Name    string   `json:"name"`
		Unique  bool     `json:"unique"`
		Whole   bool     `json:"whole"` // not partial
		Valid   bool     `json:"valid"`
		Columns []string `json:"columns"`
	} `json:"indexes"`
	Triggers []struct {
		Name    string `json:"name"`
		Enabled string `json:"enabled"` // pg_trigger.tgenabled
		Inserts bool   `json:"inserts"`
		Deletes bool   `json:"deletes"`
	} `json:"triggers"`
	Rules  []string `json:"rules"`
	Leaves []struct {
		Name        string `json:"name"`
		Kind        string `json:"kind"`
		Persistence string `json:"persistence"`
		Partition   bool   `json:"partition"` // not a child by inheritance
	} `json:"leaves"`
	Rows  *int64 `json:"rows"`  // as estimated by the last ANALYZE
	Bytes *int64 `json:"bytes"` // of the heap
	Live  *int64 `json:"live"`
	Dead  *int64 `json:"dead"`
}

// outbox asks for the outbox table; nil: there is none.
func (x *exam) outbox() (*table, error) { return ask[table](x, byReplication, "table") }

func judgeTable(x *exam) ([]Finding, error) {
	t, err := x.outbox()
	if err != nil {
		return nil, err
	}
	name := x.tableName()
	switch {
	case t == nil:
		return one(Finding{
			Severity: Stops, Found: name + " does not exist", Why: "The application inserts its events there.",
			Fix: x.cfg.Outbox.Table.DDL(),
		})
	case t.Kind != "r" && t.Kind != "p":
		return one(Finding{
			Severity: Stops, Found: name + " is not a table", Why: "Views and foreign tables are not in the WAL.",
			Fix: "name an ordinary or a partitioned table as outbox.table",
		})
	case t.Persistence != "p":
		return one(Finding{
			Severity: Loses, Found: name + " is unlogged or temporary", Why: "Its rows are not in the WAL, and a crash empties it.",
			Fix: fmt.Sprintf("alter table %s set logged;", x.table()),
		})
	case t.Partition:
		return info("Rows that the application inserts into its other partitions are not sent.", "%s is a partition of another table", name)
	}
	return ok("%s, owned by %q", name, t.Owner)
}

// columns: those that are mapped are there, and of a type that can hold what walpost looks for.
func columns(x *exam) ([]Finding, error) {
	t, err := x.outbox()
	if err != nil {
		return nil, err
	}
	if t == nil {
		return skipped("there is no table")
	}
	c := x.cfg.Outbox.Table.Columns
	names := make([]string, len(t.Columns))
	types := map[string]string{}
	for i, column := range t.Columns {
		names[i], types[column.Name] = column.Name, column.Type
	}
	if _, err := outbox.NewParser(c, names); err != nil {
		return one(Finding{
			Severity: Stops, Found: err.Error(), Why: "walpost can't read the rows.",
			Fix: "map them in outbox { columns { … } }, or add them to the table",
		})
	}
	mapped := c.Names()
	for _, column := range t.Columns {
		if column.Generated && slices.Contains(mapped, column.Name) {
			return one(Finding{
				Severity: Stops, Found: fmt.Sprintf("column %q is generated", column.Name),
				Why: "Logical replication leaves generated columns out.", Fix: "use an ordinary column, filled by a trigger or by the application",
			})
		}
	}
	var odd []string
	for _, is := range []struct {
		column string
		types  []string
	}{
		{c.Payload, []string{"jsonb", "json", "text", "character varying"}},
		{c.Headers, []string{"jsonb", "json", "text", "character varying"}},
		{c.CreatedAt, []string{"timestamp with time zone", "timestamp without time zone"}},
	} {
		if got := types[is.column]; is.column != outbox.None && !slices.Contains(is.types, got) {
			odd = append(odd, fmt.Sprintf("%q is %s, not %s", is.column, got, is.types[0]))
		}
	}
	if odd != nil {
		return one(Finding{
			Severity: Warning, Found: strings.Join(odd, "; "), Why: "Rows whose text isn't of that form are quarantined.",
			Fix: "map another column in outbox { columns { … } }, or change the column's type",
		})
	}
	return ok("%s", strings.Join(mapped, ", "))
}

// ids: an event's id is unique for ever, and found by an index.
func ids(x *exam) ([]Finding, error) {
	t, err := x.outbox()
	if err != nil {
		return nil, err
	}
	if t == nil {
		return skipped("there is no table")
	}
	id := x.cfg.Outbox.Table.Columns.Names()[0]
	fix := fmt.Sprintf("create unique index concurrently on %s (%s);", x.table(), ident(id))
	if t.Kind == "p" {
		fix = fmt.Sprintf("create index on %s (%s); -- on each partition first, concurrently, if they are large", x.table(), ident(id))
	}
	indexed := false
	for _, i := range t.Indexes {
		if !i.Valid || !i.Whole || len(i.Columns) == 0 || i.Columns[0] != id {
			continue
		}
		indexed = true
		if i.Unique && len(i.Columns) == 1 || t.Kind == "p" { // a unique one of a partitioned table needs the partition key too
			return ok("%q is unique by index %s", id, i.Name)
		}
	}
	if indexed {
		return one(Finding{
			Severity: Warning, Found: fmt.Sprintf("%q is indexed, but not unique", id),
			Why: "Two events with one id have the same deliveries: of the second, what the ledger has of the first is not sent again.",
			Fix: fix,
		})
	}
	return one(Finding{
		Severity: Warning, Found: fmt.Sprintf("%q has no index", id),
		Why: "Nothing keeps two events from having one id, and walpost why and reconcile read the whole table.",
		Fix: fix,
	})
}

// policies: row-level security doesn't concern the stream, but the recovery.
func policies(x *exam) ([]Finding, error) {
	t, err := x.outbox()
	if err != nil {
		return nil, err
	}
	if t == nil {
		return skipped("there is no table")
	}
	if !t.Policies {
		return ok("no row-level security applies to walpost's role")
	}
	r, err := x.role(byReplication)
	if err != nil {
		return nil, err
	}
	return one(Finding{
		Severity: Warning, Found: fmt.Sprintf("row-level security of %s applies to %q", x.tableName(), r.Name),
		Why: "It would hide rows from the recovery after the loss of the slot, which therefore refuses to begin.",
		Fix: fmt.Sprintf("alter role %s bypassrls;", ident(r.Name)),
	})
}

// triggers and rules that keep rows out of the table.
func triggers(x *exam) ([]Finding, error) {
	t, err := x.outbox()
	if err != nil {
		return nil, err
	}
	if t == nil {
		return skipped("there is no table")
	}
	if len(t.Rules) > 0 {
		return one(Finding{
			Severity: Warning, Found: "rewrite rules: " + some(t.Rules), Why: "A rule can turn an insert into something else, of which walpost sees nothing.",
			Fix: fmt.Sprintf("drop rule %s on %s; -- if it keeps rows out", ident(t.Rules[0]), x.table()),
		})
	}
	var on, disabled []string
	for _, trigger := range t.Triggers {
		if trigger.Enabled == "D" {
			disabled = append(disabled, trigger.Name)
		} else if trigger.Inserts || trigger.Deletes {
			on = append(on, trigger.Name)
		}
	}
	switch {
	case disabled != nil:
		return one(Finding{
			Severity: Warning, Found: "disabled triggers: " + some(disabled), Why: "What they fill in or check of an event is missing meanwhile.",
			Fix: fmt.Sprintf("alter table %s enable trigger %s;", x.table(), ident(disabled[0])),
		})
	case on != nil:
		return info("walpost sends rows as they are after them; one that is kept out by a trigger is never sent.", "triggers: %s", some(on))
	}
	return ok("none")
}

// partitions: all that hold rows are in the WAL, and in the publication.
func partitions(x *exam) ([]Finding, error) {
	t, err := x.outbox()
	if err != nil {
		return nil, err
	}
	if t == nil || t.Kind != "p" && len(t.Leaves) == 0 {
		return skipped("the table has none")
	}
	var unlogged, foreign, children []string
	for _, l := range t.Leaves {
		switch {
		case l.Kind == "f":
			foreign = append(foreign, l.Name)
		case l.Persistence != "p":
			unlogged = append(unlogged, l.Name)
		case !l.Partition:
			children = append(children, l.Name)
		}
	}
	switch {
	case foreign != nil:
		return one(Finding{
			Severity: Loses, Found: "foreign tables: " + some(foreign), Why: "What is inserted there is in another server's WAL.",
			Fix: fmt.Sprintf("alter table %s detach partition %s;", x.table(), foreign[0]),
		})
	case unlogged != nil:
		return one(Finding{
			Severity: Loses, Found: "unlogged: " + some(unlogged), Why: "Their rows are not in the WAL, and a crash empties them.",
			Fix: fmt.Sprintf("alter table %s set logged;", unlogged[0]),
		})
	case children != nil:
		return one(Finding{
			Severity: Loses, Found: "tables that inherit from it: " + some(children), Why: "What is inserted there is not sent: walpost follows the table itself.",
			Fix: fmt.Sprintf("insert into %s itself, or partition it instead", x.tableName()),
		})
	case len(t.Leaves) == 0:
		return one(Finding{
			Severity: Warning, Found: "there is no partition yet", Why: "The application can't insert.",
			Fix: fmt.Sprintf("create table %s partition of %s default;", ident(x.cfg.Outbox.Table.Schema, x.cfg.Outbox.Table.Name+"_default"), x.table()),
		})
	}
	return ok("%s, all logged", count(len(t.Leaves), "partition"))
}

// Bounds of what is bloat: dead rows, and their number by the living ones.
const (
	manyDead   = 100_000
	deadByLive = 4
)

// tableRows: how many, and whether vacuum keeps up.
func tableRows(x *exam) ([]Finding, error) {
	t, err := x.outbox()
	if err != nil {
		return nil, err
	}
	if t == nil {
		return skipped("there is no table")
	}
	n, live, dead, bytes := value(t.Rows), value(t.Live), value(t.Dead), value(t.Bytes)
	found := fmt.Sprintf("about %s, %d of them dead; %s", count(max(n, live)+dead, "row"), dead, size(bytes))
	set, err := x.settings()
	if err != nil {
		return nil, err
	}
	global, _ := set.text("autovacuum")
	switch {
	case !t.Vacuum || global == "off":
		fix := fmt.Sprintf("alter table %s reset (autovacuum_enabled);", x.table())
		if global == "off" {
			fix = "alter system set autovacuum = on; select pg_reload_conf();"
		}
		return one(Finding{
			Severity: Warning, Found: found + "; autovacuum is off", Fix: fix,
			Why: "Deleted rows stay in the table, which grows, and is slow to read in a recovery.",
		})
	case dead > manyDead && dead > deadByLive*live:
		return one(Finding{
			Severity: Warning, Found: found, Fix: fmt.Sprintf("vacuum %s;", x.table()),
			Why: "Vacuum doesn't keep up: a long transaction may hold it back, or it is too slow. The table grows, and is slow to read in a recovery.",
		})
	}
	return ok("%s", found)
}

// value is 0 for what isn't known.
func value(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

// retentionVersion is the first Postgres on which rows are deleted by range of blocks.
const retentionVersion = 140000

// retention: what the configuration asks to be deleted may be deleted.
func retention(x *exam) ([]Finding, error) {
	keep := x.cfg.Outbox.Retention
	t, err := x.outbox()
	if err != nil {
		return nil, err
	}
	switch {
	case keep == 0:
		return ok("never: walpost deletes no rows")
	case t == nil:
		return skipped("there is no table")
	}
	s, err := x.server()
	if err != nil {
		return nil, err
	}
	r, err := x.role(byURL)
	if err != nil {
		return nil, err
	}
	found := fmt.Sprintf("%s, by role %q", keep, r.Name)
	const why = "Rows stay in the table, which grows."
	if s.Version < retentionVersion {
		return one(Finding{Severity: Warning, Found: found + ", on a server that is too old", Why: why, Fix: "use Postgres 14 or later, or: outbox { retention = \"never\" }"})
	}
	own, err := ask[table](x, byURL, "table")
	if err != nil {
		return nil, err
	}
	if !own.Usage || !own.Select || !own.Delete {
		return one(Finding{
			Severity: Warning, Found: found + ", which may not delete them", Why: why,
			Fix: fmt.Sprintf("grant usage on schema %s to %s; grant select, delete on table %s to %[2]s;", ident(x.cfg.Outbox.Table.Schema), ident(r.Name), x.table()),
		})
	}
	return ok("%s", found)
}
