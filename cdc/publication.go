package cdc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// publication is the document of publication.sql.
type publication struct {
	AllTables bool `json:"all_tables"`
	Inserts   bool `json:"inserts"`
	Changes   bool `json:"changes"` // updates, deletes or truncates too
	Others    int  `json:"others"`  // tables besides ours
	// Coverage is another text after every change.
	Coverage string `json:"coverage"`
	Table    *struct {
		Columns []string `json:"columns"` // those published; nil before Postgres 15
		Filter  string   `json:"filter"`
	} `json:"table"` // nil: ours is not published
}

// findPublication returns nil when there is none.
func findPublication(ctx context.Context, conn *pgconn.PgConn, o Options) (*publication, error) {
	p, ok, err := query[publication](ctx, conn, "publication", o.Publication, o.Schema, o.Table)
	if err != nil || !ok {
		return nil, err
	}
	return &p, nil
}

// check refuses a publication that would keep rows or columns from us.
func (p *publication) check(o Options, t table, readBefore bool) error {
	name, tableName := quoteIdentifier(o.Publication), quoteIdentifier(o.Schema)+"."+quoteIdentifier(o.Table)
	refuse := func(problem, fix string) error {
		e := &SetupError{Problem: fmt.Sprintf("publication %q %s", o.Publication, problem), Fix: fix}
		if readBefore {
			e.Err = ErrPublicationLost
			e.Fix += " walpost run then makes a new slot, and reads from the table what was left out of the stream"
		}
		return e
	}
	switch {
	case p.Table == nil && t.partitioned():
		return refuse(
			fmt.Sprintf("does not publish the partitioned table %s.%s under its own name", o.Schema, o.Table),
			fmt.Sprintf("alter publication %s set (publish_via_partition_root = true); and, unless it has the table: alter publication %s add table %s;", name, name, tableName))
	case p.Table == nil:
		return refuse(
			fmt.Sprintf("does not have the table %s.%s", o.Schema, o.Table),
			fmt.Sprintf("alter publication %s add table %s;", name, tableName))
	case !p.Inserts:
		return refuse("does not publish inserts", fmt.Sprintf("alter publication %s set (publish = 'insert');", name))
	case p.Table.Filter != "":
		return refuse(
			fmt.Sprintf("hides rows of %s.%s by a row filter", o.Schema, o.Table),
			fmt.Sprintf("alter publication %s set table %s; and filter with a rule instead", name, tableName))
	}
	if p.Table.Columns == nil {
		return nil
	}
	var hidden []string
	for _, column := range o.Columns {
		if !slices.Contains(p.Table.Columns, column) {
			hidden = append(hidden, fmt.Sprintf("%q", column))
		}
	}
	if len(hidden) > 0 {
		return refuse(
			fmt.Sprintf("hides column %s of %s.%s", strings.Join(hidden, ", "), o.Schema, o.Table),
			fmt.Sprintf("alter publication %s set table %s;", name, tableName))
	}
	return nil
}

// publicationChanged is the loss of the rows that were committed while the publication didn't have inserts, or the table, if
// it was so. As long as it is the same publication with the same table in it, the slot can send all others: of one that was made
// anew it can't read what was before, and columns may have been left out.
func publicationChanged(o Options, before, now string) error {
	return &SetupError{
		Problem:   fmt.Sprintf("publication %q was changed or made anew, and may have left rows out of the stream", o.Publication),
		Fix:       "walpost run reads from the table what may have been left out",
		Err:       ErrPublicationLost,
		keepsSlot: sameTable(before, now),
	}
}

// sameTable reports whether two coverages are of one publication and one table in it, which nothing has happened to.
func sameTable(before, now string) bool {
	// The publication's OID and xmin, and for a table that it names the table's OID and OID and xmin of its place.
	b, n := strings.Fields(before), strings.Fields(now)
	return len(b) >= 2 && len(n) >= 2 && b[0] == n[0] && slices.Equal(b[2:], n[2:])
}

// warnings say what the publication does beyond what is needed.
func (p *publication) warnings(o Options) []string {
	var warnings []string
	warn := func(format string, args ...any) {
		warnings = append(warnings, fmt.Sprintf("publication %q ", o.Publication)+fmt.Sprintf(format, args...))
	}
	switch {
	case p.AllTables:
		warn("is for all tables: the host cannot update or delete rows of tables without a primary key, and everything is sent to be ignored here")
	case p.Others > 0:
		warn("has %d other tables, whose rows are sent to be ignored here", p.Others)
	}
	if p.Changes {
		warn("publishes more than inserts, which is sent to be ignored here (alter publication %s set (publish = 'insert');)", quoteIdentifier(o.Publication))
	}
	return warnings
}

// publicationSQL creates the publication. It takes a lock on the table that lets reads and writes pass.
func publicationSQL(o Options, t table) string {
	with := "publish = 'insert'"
	if t.partitioned() {
		with += ", publish_via_partition_root = true"
	}
	return fmt.Sprintf("create publication %s for table %s.%s with (%s)",
		quoteIdentifier(o.Publication), quoteIdentifier(o.Schema), quoteIdentifier(o.Table), with)
}

// createPublication creates and commits it, since a slot sees only publications older than itself.
func createPublication(ctx context.Context, conn *pgconn.PgConn, o Options, t table) error {
	sql := publicationSQL(o, t)
	_, err := conn.Exec(ctx, sql).ReadAll()
	if err == nil {
		return nil
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case stateDuplicateObject: // another walpost was quicker; it is checked at the next connect
			return fmt.Errorf("create publication %q beside another process: %w", o.Publication, err)
		case stateInsufficientRights:
			return &SetupError{
				Problem: fmt.Sprintf("the role may not create publication %q", o.Publication),
				Fix:     "run this as the owner of the table, with the right to create in the database: " + sql + ";",
				Err:     err,
			}
		case stateLockNotAvailable:
			return fmt.Errorf("create publication %q: no lock on the table within %s: %w", o.Publication, o.LockTimeout, err)
		}
	}
	return classify(fmt.Errorf("create publication %q: %w", o.Publication, err), o)
}

// slotBeforePublication explains a slot that can't see the publication that would be created for it.
func slotBeforePublication(o Options) error {
	return &SetupError{
		Problem: fmt.Sprintf("replication slot %q exists, publication %q does not", o.Slot, o.Publication),
		Fix: fmt.Sprintf("a slot sees only publications that are older than itself: drop the slot (select pg_drop_replication_slot(%s);), "+
			"then walpost creates both in order", quoteLiteral(o.Slot)),
		Err: ErrPublicationLost,
	}
}
