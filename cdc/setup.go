package cdc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"
)

// oldestVersion is the first Postgres on which an ordinary role may set wal_sender_timeout for itself.
const oldestVersion = 120000

// SetupReport says what Setup found and made.
type SetupReport struct {
	ServerVersion      int // as in server_version_num
	PublicationCreated bool
	SlotCreated        bool
	SlotPosition       LSN      // from which the slot has everything
	Warnings           []string // what is there already and works, but isn't as walpost would have made it
}

// Setup makes sure that everything needed for streaming is there: server settings, table and columns, the
// publication, then the slot. It creates publication and slot where they are missing and may be created. It is
// what Run does first, alone, and may be repeated. What it can't put right is a SetupError; anything else is
// Retryable, such as a slot that waits for an open transaction.
func Setup(ctx context.Context, o Options) (SetupReport, error) {
	s, err := New(o)
	if err != nil {
		return SetupReport{}, err
	}
	resume, err := s.resume(ctx)
	if err != nil {
		return SetupReport{}, err
	}
	// Whether the role may replicate is found out before anything is created.
	conn, identity, err := openReplication(ctx, s.opts)
	if err != nil {
		return SetupReport{}, classifyConnect(err, s.opts, false)
	}
	defer conn.close()
	if err := s.checkSystem(resume, identity); err != nil {
		return SetupReport{}, err
	}
	if err := s.checkHistory(ctx, conn, resume, identity); err != nil {
		return SetupReport{}, err
	}
	found, err := setUp(ctx, s.opts, resume != nil, true)
	if err == nil {
		err = found.lost
	}
	return found.SetupReport, err
}

// foundations are what streaming stands on, as found at one connect.
type foundations struct {
	SetupReport
	slotReader int // process that reads the slot; 0 = nobody

	table     table
	published []string // columns; nil = all
	coverage  string   // publication.Coverage
	lost      error    // the slot is lost, and everything else as it should be
}

func (f foundations) log(log zerolog.Logger) {
	for _, warning := range f.Warnings {
		log.Warn().Str("warning", warning).Msg("replication setup")
	}
	if f.PublicationCreated || f.SlotCreated {
		log.Info().Bool("publication_created", f.PublicationCreated).Bool("slot_created", f.SlotCreated).
			Stringer("slot_position", f.SlotPosition).Msg("replication set up")
	}
}

// setUp checks and creates. With readBefore the stream was read before, so a missing slot or publication is a
// loss to report and never one to paper over by creating it. Without makeSlot a missing slot is left to the caller.
func setUp(ctx context.Context, o Options, readBefore, makeSlot bool) (foundations, error) {
	var found foundations
	conn, err := openOrdinary(ctx, o)
	if err != nil {
		return found, classify(err, o)
	}
	defer closeOrdinary(ctx, conn)

	if found.ServerVersion, err = checkServer(ctx, conn); err != nil {
		return found, classify(err, o)
	}
	if err := checkMessages(o, found.ServerVersion); err != nil {
		return found, err
	}
	if found.table, err = checkTable(ctx, conn, o); err != nil {
		return found, classify(err, o)
	}

	// The slot is looked at first: whoever creates both creates the publication first, so a slot without a
	// publication is never just a process that is halfway there.
	slot, err := findSlot(ctx, conn, o)
	if err != nil {
		return found, classify(err, o)
	}
	if err := found.cover(ctx, conn, o, slot != nil, readBefore); err != nil {
		return found, err
	}
	switch {
	case slot == nil && readBefore:
		found.lost = slotLost(o, "the replication slot is gone", nil)
		return found, nil
	case slot == nil && !makeSlot:
		return found, nil
	case slot == nil:
		if slot, err = createSlot(ctx, o, found.ServerVersion); err != nil {
			return found, err
		}
		found.SlotCreated = slot.created
	case slot.lost != nil:
		found.lost = slotLost(o, slotInvalidated, slot.lost)
	}
	found.SlotPosition, found.slotReader = slot.confirmed, slot.ActivePID
	return found, nil
}

// errPublicationGone is retryable: the next connect sees what became of it.
var errPublicationGone = errors.New("the publication that was just created is gone")

// cover makes sure that the publication has the table.
func (f *foundations) cover(ctx context.Context, conn *pgconn.PgConn, o Options, slotExists, readBefore bool) error {
	publication, err := findPublication(ctx, conn, o)
	switch {
	case err != nil:
		return classify(err, o)
	case publication == nil && readBefore:
		return publicationLost(o, fmt.Sprintf("publication %q is gone", o.Publication), nil)
	case publication == nil && slotExists:
		return slotBeforePublication(o)
	case publication == nil:
		if err := createPublication(ctx, conn, o, f.table); err != nil {
			return err
		}
		f.PublicationCreated = true
		if publication, err = findPublication(ctx, conn, o); err != nil || publication == nil {
			return errors.Join(err, errPublicationGone)
		}
	}
	if err := publication.check(o, f.table, readBefore); err != nil {
		return err
	}
	f.Warnings, f.published, f.coverage = publication.warnings(o), publication.Table.Columns, publication.Coverage
	return nil
}

// server is the document of server.sql.
type server struct {
	Version  int    `json:"version"`
	WALLevel string `json:"wal_level"`
}

func checkServer(ctx context.Context, conn *pgconn.PgConn) (version int, err error) {
	s, _, err := query[server](ctx, conn, "server")
	if err != nil {
		return 0, err
	}
	if s.Version < oldestVersion {
		return s.Version, &SetupError{
			Problem: fmt.Sprintf("the server is Postgres %d, too old", s.Version/10000),
			Fix:     "use Postgres 12 or later",
		}
	}
	// From 19 on, "replica" becomes logical by itself when the first logical slot is created.
	if s.WALLevel != "logical" && (s.Version < 190000 || s.WALLevel != "replica") {
		return s.Version, walLevel(s.WALLevel, nil)
	}
	return s.Version, nil
}

// table is the document of table.sql.
type table struct {
	OID         uint32        `json:"oid"`
	Kind        string        `json:"kind"`        // pg_class.relkind
	Persistence string        `json:"persistence"` // pg_class.relpersistence
	Columns     []tableColumn `json:"columns"`
}

type tableColumn struct {
	Name      string `json:"name"`
	Type      uint32 `json:"type"` // OID
	Key       bool   `json:"key"`
	Generated bool   `json:"generated"`
}

// partitioned reports whether rows are published under the name of this table only when the publication is told so.
func (t table) partitioned() bool { return t.Kind == "p" }

func checkTable(ctx context.Context, conn *pgconn.PgConn, o Options) (table, error) {
	t, ok, err := query[table](ctx, conn, "table", o.Schema, o.Table)
	if err != nil {
		return t, err
	}
	if !ok {
		return t, missingTable(ctx, conn, o)
	}
	name := o.Schema + "." + o.Table
	switch {
	case t.Kind != "r" && t.Kind != "p":
		return t, &SetupError{
			Problem: fmt.Sprintf("%s is not a table", name),
			Fix:     "name an ordinary or a partitioned table: views and foreign tables are not in the WAL",
		}
	case t.Persistence != "p":
		return t, &SetupError{
			Problem: fmt.Sprintf("table %s is not in the WAL: it is unlogged or temporary", name),
			Fix:     fmt.Sprintf("alter table %s.%s set logged;", quoteIdentifier(o.Schema), quoteIdentifier(o.Table)),
		}
	}
	return t, t.checkColumns(o)
}

// checkColumns names every missing column at once.
func (t table) checkColumns(o Options) error {
	names := make([]string, len(t.Columns))
	for i, column := range t.Columns {
		names[i] = column.Name
	}
	var missing, hints []string
	for _, column := range o.Columns {
		i := slices.Index(names, column)
		switch {
		case i < 0:
			missing = append(missing, fmt.Sprintf("%q", column))
			if near, ok := nearest(column, names); ok {
				hints = append(hints, fmt.Sprintf("did you mean %q?", near))
			}
		case t.Columns[i].Generated:
			return &SetupError{
				Problem: fmt.Sprintf("column %q of table %s.%s is generated, and logical replication leaves generated columns out", column, o.Schema, o.Table),
				Fix:     "use an ordinary column, filled by a trigger or by the application",
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	hints = append(hints, fmt.Sprintf("the table has %s; map its columns in the configuration or add the missing ones", strings.Join(names, ", ")))
	return &SetupError{
		Problem: fmt.Sprintf("table %s.%s has no column %s", o.Schema, o.Table, strings.Join(missing, ", ")),
		Fix:     strings.Join(hints, " "),
	}
}

// missingTable suggests the table that may have been meant.
func missingTable(ctx context.Context, conn *pgconn.PgConn, o Options) error {
	type name struct{ Schema, Name string }
	tables, _, err := query[[]name](ctx, conn, "tables")
	if err != nil {
		return err
	}
	fix := "create it (walpost init does), or correct its name in the configuration"
	var names []string
	for _, t := range tables {
		if t.Name == o.Table { // in another schema: the likeliest mistake
			names = []string{t.Schema + "." + t.Name}
			break
		}
		names = append(names, t.Schema+"."+t.Name)
	}
	wanted := o.Schema + "." + o.Table
	if len(names) == 1 && strings.HasSuffix(names[0], "."+o.Table) {
		fix = fmt.Sprintf("did you mean %q? Else %s", names[0], fix)
	} else if near, ok := nearest(wanted, names); ok {
		fix = fmt.Sprintf("did you mean %q? Else %s", near, fix)
	}
	return &SetupError{Problem: fmt.Sprintf("table %s does not exist in the database", wanted), Fix: fix}
}
