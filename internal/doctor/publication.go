package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// publication is the document of publication.sql.
type publication struct {
	AllTables bool   `json:"all_tables"`
	Insert    bool   `json:"insert"`
	Changes   bool   `json:"changes"`
	ViaRoot   bool   `json:"via_root"`
	Age       int64  `json:"age"` // in transactions, since it was made or altered
	Others    int64  `json:"others"`
	TableAge  *int64 `json:"table_age"` // since the table was added to it; nil: it isn't by name
	Table     *struct {
		Columns []string `json:"columns"` // nil: all
		Filter  string   `json:"filter"`
	} `json:"table"` // nil: it isn't in it
}

func (x *exam) publication() (*publication, error) {
	return ask[publication](x, byReplication, "publication")
}

// judgePublication: it has the table, all its rows, and all its columns that are mapped.
func judgePublication(x *exam) ([]Finding, error) {
	p, err := x.publication()
	if err != nil {
		return nil, err
	}
	t, err := x.outbox()
	if err != nil {
		return nil, err
	}
	if p == nil {
		return x.missingPublication(t)
	}
	o := x.cfg.Outbox
	name, set := fmt.Sprintf("%q", o.Publication), "alter publication "+ident(o.Publication)+" "
	lost := func(found, why, fix string) ([]Finding, error) {
		return one(Finding{Severity: Loses, Found: name + " " + found, Why: why, Fix: set + fix})
	}
	switch {
	case p.Table == nil && t != nil && t.Kind == "p" && !p.ViaRoot:
		return lost("does not publish the partitioned table "+x.tableName()+" under its own name",
			"Rows arrive under the names of partitions, which walpost doesn't follow.", "set (publish_via_partition_root = true);")
	case p.Table == nil:
		return lost("does not have the table "+x.tableName(), "Rows that are inserted meanwhile are not in the stream.", "add table "+x.table()+";")
	case !p.Insert:
		return lost("does not publish inserts", "Rows that are inserted meanwhile are not in the stream.", "set (publish = 'insert');")
	case p.Table.Filter != "":
		return lost("hides rows by a filter: "+p.Table.Filter, "Rows that the filter hides are never sent.",
			"set table "+x.table()+"; -- and filter by a rule's when instead")
	}
	if hidden := p.hides(o.Table.Columns.Names()); hidden != "" {
		return lost("hides columns: "+hidden, "Events without them are quarantined.", "set table "+x.table()+";")
	}
	return p.excess(name, set)
}

// hides names the columns of those that a column list leaves out.
func (p *publication) hides(mapped []string) string {
	if p.Table.Columns == nil {
		return ""
	}
	hidden := slices.DeleteFunc(mapped, func(c string) bool { return slices.Contains(p.Table.Columns, c) })
	return strings.Join(hidden, ", ")
}

// excess says what it does beyond what is needed.
func (p *publication) excess(name, set string) ([]Finding, error) {
	switch {
	case p.AllTables:
		return one(Finding{
			Severity: Warning, Found: name + " is for all tables",
			Why: "Every row of the database is decoded and sent to be ignored, and tables without a primary key can't be updated if it publishes updates.",
			Fix: "drop it and the slot while walpost is stopped and nothing is inserted, then: walpost init",
		})
	case p.Changes:
		return one(Finding{
			Severity: Warning, Found: name + " publishes more than inserts",
			Why: "What else it publishes is sent to be ignored, such as every delete of an old row.", Fix: set + "set (publish = 'insert');",
		})
	case p.Others > 0:
		return info("Their rows are sent to be ignored.", "%s has the table, and %s", name, count(p.Others, "other table"))
	}
	return ok("%s has the table, inserts only", name)
}

// missingPublication says what it means that there is none.
func (x *exam) missingPublication(t *table) ([]Finding, error) {
	o := x.cfg.Outbox
	create := o.Table.PublicationDDL(o.Publication)
	if t != nil && t.Kind == "p" {
		create = fmt.Sprintf("create publication %s for table %s with (publish = 'insert', publish_via_partition_root = true);", ident(o.Publication), x.table())
	}
	found := fmt.Sprintf("%q does not exist", o.Publication)
	c, err := x.checkpoint()
	if err == nil && c != nil && c.Started {
		return one(Finding{
			Severity: Loses, Found: found + ", and walpost has streamed before",
			Why: "Rows that are inserted meanwhile are not in the stream, and the slot doesn't see a publication that is made after it.",
			Fix: create + " -- walpost run then makes a new slot, and reads from the table what was left out",
		})
	}
	slot, err := x.slot()
	if err != nil {
		return nil, err
	}
	if slot != nil {
		return one(Finding{
			Severity: Stops, Found: found + fmt.Sprintf(", the slot %q does", o.Slot), Why: "A slot sees only publications that are older than itself.",
			Fix: "select pg_drop_replication_slot(" + literal(o.Slot) + "); -- then walpost init makes both in order",
		})
	}
	r, err := x.role(byReplication)
	if err != nil {
		return nil, err
	}
	if t == nil || t.Owned && r.Create || r.Super {
		return info("walpost init and walpost run create it.", "%s", found)
	}
	return one(Finding{
		Severity: Stops, Found: fmt.Sprintf("%s, and %q may not create it", found, r.Name),
		Why: "That takes the owner of the table, with the right to create in the database.",
		Fix: fmt.Sprintf("%s -- as %s", create, ident(t.Owner)),
	})
}

// publicationAge: a slot decodes with the catalog as it was then, in which a younger publication isn't.
func publicationAge(x *exam) ([]Finding, error) {
	p, err := x.publication()
	if err != nil {
		return nil, err
	}
	s, err := x.slot()
	if err != nil {
		return nil, err
	}
	if p == nil || s == nil || s.HorizonAge == nil {
		return skipped("there are no two to compare")
	}
	age, what := p.Age, "was made or changed"
	if p.TableAge != nil && *p.TableAge < age {
		age, what = *p.TableAge, "got the table"
	}
	if age < 0 || age >= *s.HorizonAge { // below 0: frozen, older than two billion transactions
		return ok("older than what the slot has still to decode")
	}
	return one(Finding{
		Severity: Info, Found: fmt.Sprintf("it may be that it %s after the slot's position", what),
		Why: "Rows that were inserted before that would not be in the stream: up to Postgres 17 walpost stops there, from 18 on they are skipped. " +
			"It passes when the slot has moved on.",
		Fix: "if walpost stops with an error about the publication: select pg_drop_replication_slot(" + literal(x.cfg.Outbox.Slot) + "); -- then it reads the table",
	})
}

// replicaIdentity: a publication of updates keeps the host from updating rows that have none.
func replicaIdentity(x *exam) ([]Finding, error) {
	tables, err := ask[[]string](x, byReplication, "identity")
	if err != nil {
		return nil, err
	}
	if tables == nil || len(*tables) == 0 {
		return ok("the publication is in no table's way")
	}
	return one(Finding{
		Severity: Warning, Found: fmt.Sprintf("%s of the publication without one: %s", count(len(*tables), "table"), some(*tables)),
		Why: "The application can't update or delete their rows as long as the publication publishes that.",
		Fix: fmt.Sprintf("alter publication %s set (publish = 'insert');", ident(x.cfg.Outbox.Publication)),
	})
}
