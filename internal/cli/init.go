package cli

import (
	stdbytes "bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/daemon"
	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/outbox"
)

// databaseEnv is where the starter configuration looks for the database.
const databaseEnv = "DATABASE_URL"

func (a *app) initCommand() *cobra.Command {
	var url string
	var onlySQL bool
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make outbox table, ledger, publication, slot and a starter walpost.hcl",
		Long: `Make what walpost needs, where it is missing: the outbox table, the ledger (schema
walpost), the publication, the replication slot, and a walpost.hcl to start from.
What is there already stays as it is, so init may be repeated.

Where migrations are run by someone else, --sql prints all of it and touches
nothing.`,
		Example: `  walpost init                                  # as walpost.hcl says, else $DATABASE_URL
  walpost init --url postgres://app@localhost/app
  walpost init --sql > walpost.sql`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			setup, err := a.prepareInit(url, onlySQL)
			if err != nil {
				return err
			}
			if onlySQL {
				return setup.printSQL()
			}
			return setup.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&url, "url", "", "connection string of the database, while there is no configuration (default $"+databaseEnv+")")
	cmd.Flags().BoolVar(&onlySQL, "sql", false, "print everything as SQL and touch nothing")
	return cmd
}

// initialization is one run of walpost init.
type initialization struct {
	*app
	config  *config.Config
	starter string // path to write the starter configuration to; "" = there is a configuration
	byFlag  bool   // the database was named by --url
	adopted bool   // the outbox table was there before
}

// prepareInit reads the configuration, or the starter where there is none.
func (a *app) prepareInit(url string, onlySQL bool) (*initialization, error) {
	path, err := a.locate()
	_, statErr := os.Stat(path)
	if err == nil && !errors.Is(statErr, fs.ErrNotExist) {
		if url != "" {
			return nil, usage("walpost init", "--url is for when there is no configuration, and there is %s, which names the database", path)
		}
		cfg, err := a.load()
		return &initialization{app: a, config: cfg}, err
	}
	if err != nil {
		path = configFile
	} else if filepath.Ext(path) != ".hcl" {
		return nil, usage("walpost init -c "+filepath.Join(path, configFile), "%s does not exist, and is not the name of an .hcl file", path)
	}
	env := func(name string) (string, bool) {
		switch {
		case name == databaseEnv && url != "":
			return url, true
		case name == databaseEnv && onlySQL: // never connected to
			return "postgres://localhost", true
		}
		return a.LookupEnv(name)
	}
	if value, _ := env(databaseEnv); value == "" {
		return nil, usage("walpost init --url postgres://user@localhost/database",
			"there is no configuration and no $%s to say which database to set up", databaseEnv)
	}
	cfg, diagnostics := config.Parse(map[string][]byte{path: config.Starter()}, config.WithEnv(env))
	if diagnostics.HasErrors() {
		return nil, a.refuse(cfg.Files, diagnostics)
	}
	return &initialization{app: a, config: cfg, starter: path, byFlag: url != ""}, nil
}

// printSQL prints all that run would do to the database.
func (i *initialization) printSQL() error {
	o := i.config.Outbox
	if o.Polled() {
		return i.printPollingSQL()
	}
	_, err := fmt.Fprintf(i.Stdout, `-- What walpost needs, in this order. Run it with psql -f, not in one transaction (-1).

-- 1. The table that the application inserts its events into.
%s

-- 2. The ledger.
%s
-- 3. The publication, before the slot.
%s

-- 4. The slot, by a role with the REPLICATION attribute; walpost run makes it if it is left out. From here on the server keeps
-- WAL for walpost. From Postgres 17 on a standby may take it over.
do $$ begin
    if current_setting('server_version_num')::int < 170000 then
        perform pg_create_logical_replication_slot('%[4]s', 'pgoutput');
    else
        perform pg_create_logical_replication_slot('%[4]s', 'pgoutput', failover => true);
    end if;
end $$;
`, o.Table.DDL(), ledger.SchemaSQL(), o.Table.PublicationDDL(o.Publication), o.Slot)
	return err
}

// run makes what is missing and says what it made.
func (i *initialization) run(ctx context.Context) error {
	o := i.config.Outbox
	madeTable, err := i.makeTable(ctx, o.Table)
	if err != nil {
		return err
	}
	i.adopted = !madeTable
	i.say("outbox table", madeTable, tableName(o.Table))

	book, err := ledger.Open(ctx, ledger.Options{ConnString: i.config.Database.URL.Reveal()})
	if err != nil {
		return err
	}
	defer book.Close()
	madeLedger, err := i.makeLedger(ctx, book)
	if err != nil {
		return err
	}
	i.say("ledger", madeLedger, "schema walpost")

	if o.Polled() {
		err = i.makePollable(ctx, book)
	} else {
		err = i.makeStream(ctx, book)
	}
	if err != nil {
		return err
	}
	if err := i.writeStarter(); err != nil {
		return err
	}
	return i.sayNext()
}

// makeStream makes publication and slot, and says so.
func (i *initialization) makeStream(ctx context.Context, book *ledger.Ledger) error {
	o := i.config.Outbox
	setup, err := i.makeSlot(ctx, book)
	if setup.PublicationCreated || err == nil {
		i.say("publication", setup.PublicationCreated, o.Publication+", inserts of "+tableName(o.Table))
	}
	if err != nil {
		return err
	}
	i.say("slot", setup.SlotCreated, o.Slot+" at "+setup.SlotPosition.String())
	if setup.SlotCreated && i.adopted {
		if err := i.sayOlder(ctx); err != nil {
			return err
		}
	}
	for _, warning := range setup.Warnings {
		i.stderr.print("Warning: " + warning + "\n")
	}
	return nil
}

// say tells of one thing that is there now.
func (i *initialization) say(what string, made bool, name string) {
	state := "was there"
	if made {
		state = "created"
	}
	_, _ = fmt.Fprintf(i.Stdout, "%-14s %-10s %s\n", what, state, name) // the work goes on without a reader
}

// makeTable makes the outbox table if there is none, after it has shown how.
func (i *initialization) makeTable(ctx context.Context, t outbox.Table) (made bool, err error) {
	conn, err := pgx.Connect(ctx, i.config.Database.URL.Reveal())
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // all is done by then
	var exists bool
	if err := conn.QueryRow(ctx, "select to_regclass($1) is not null", t.Identifier()).Scan(&exists); err != nil {
		return false, fmt.Errorf("look for the outbox table: %w", err)
	}
	if exists {
		return false, nil
	}
	if _, err := fmt.Fprintf(i.Stdout, "%s\n\n", t.DDL()); err != nil {
		return false, err
	}
	if _, err := conn.Exec(ctx, t.DDL()); err != nil {
		return false, fmt.Errorf("create the outbox table: %w", err)
	}
	return true, nil
}

// makeLedger brings the ledger's schema up to date and reports whether it had to.
func (i *initialization) makeLedger(ctx context.Context, book *ledger.Ledger) (made bool, err error) {
	before, err := i.schemaVersion(ctx, book)
	if err != nil {
		return false, err
	}
	if err := book.Migrate(ctx); err != nil {
		return false, err
	}
	after, err := i.schemaVersion(ctx, book)
	return before != after, err
}

// schemaVersion is that of the ledger, 0 where there is none.
func (i *initialization) schemaVersion(ctx context.Context, book *ledger.Ledger) (int, error) {
	s, err := book.Status(ctx, i.config.Outbox.Slot)
	var server *pgconn.PgError
	if errors.As(err, &server) && noLedger(server) {
		return 0, nil
	}
	return s.SchemaVersion, err
}

// makeSlot makes publication and slot. A slot that has a checkpoint was there once: if it is gone, that is a loss to
// report, not a gap to fill.
func (i *initialization) makeSlot(ctx context.Context, book *ledger.Ledger) (cdc.SetupReport, error) {
	options := daemon.SourceOptions(i.config, zerolog.Nop())
	options.Resume = func(ctx context.Context) (*cdc.Resume, error) {
		saved, err := book.Checkpoint(ctx, i.config.Outbox.Slot)
		if err != nil || saved == nil {
			return nil, err
		}
		return &cdc.Resume{LSN: cdc.LSN(saved.LSN), SystemID: saved.SystemID, Timeline: saved.Timeline}, nil
	}
	return cdc.Setup(ctx, options)
}

// writeStarter writes the starter configuration if there is none, and never over one that has come meanwhile.
func (i *initialization) writeStarter() error {
	if i.starter == "" {
		return nil
	}
	f, err := os.OpenFile(i.starter, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("write the starter configuration: %w", err)
	}
	if _, err := f.Write(i.starterText()); err != nil {
		_ = f.Close()
		return fmt.Errorf("write the starter configuration: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write the starter configuration: %w", err)
	}
	i.say("configuration", true, i.starter)
	return nil
}

// sayOlder says what becomes of the rows that are older than the slot.
func (i *initialization) sayOlder(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, i.config.Database.URL.Reveal())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // all is done by then
	name := i.config.Outbox.Table.Identifier()
	var older bool
	if err := conn.QueryRow(ctx, "select exists (select from "+name+")").Scan(&older); err != nil {
		return fmt.Errorf("look for rows in the outbox table: %w", err)
	}
	switch {
	case !older:
	case i.config.Outbox.Start == config.StartBacklog:
		i.stderr.print("The rows that are in " + tableName(i.config.Outbox.Table) + " now will be delivered first (start = \"backlog\").\n")
	default:
		i.stderr.print("Warning: the rows that were in " + tableName(i.config.Outbox.Table) + " before the slot will not be delivered; " +
			"outbox { start = \"backlog\" } begins with them, as long as walpost has not run\n")
	}
	return nil
}

// starterText is the starter configuration. Rows of a table that was there before are not ours to delete: who has it so
// must say so.
func (i *initialization) starterText() []byte {
	const retention = `  retention = "24h"`
	if !i.adopted {
		return config.Starter()
	}
	return stdbytes.Replace(config.Starter(), []byte(retention), []byte(strings.Replace(retention, "retention", "# retention", 1)), 1)
}

// sayNext says what to do now.
func (i *initialization) sayNext() error {
	var steps []string
	if i.byFlag {
		steps = append(steps, "export "+databaseEnv+"=…    # the database that you gave with --url")
	}
	if i.starter != "" {
		steps = append(steps, "edit "+i.starter+"      # say where webhooks go")
	}
	steps = append(steps, "walpost check", "walpost run")
	_, err := fmt.Fprintf(i.Stdout, "\nNext:\n  %s\n\nThen, in a transaction of your application:\n%s",
		strings.Join(steps, "\n  "), sampleInsert(i.config.Outbox.Table))
	return err
}

// sampleInsert is a statement that reaches a webhook for contact.tagged.
func sampleInsert(t outbox.Table) string {
	c := t.Columns.Names()
	return fmt.Sprintf(`  insert into %s (%s, %s, %s, %s)
  values ('contact', '7', 'tagged', '{"contact": {"id": 7}, "tag": {"name": "vip"}}');
`, tableName(t), c[1], c[2], c[3], c[4])
}

// tableName is a table's name for people.
func tableName(t outbox.Table) string {
	return strings.ReplaceAll(t.Identifier(), `"`, "")
}
