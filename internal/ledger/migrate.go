package ledger

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ErrSchemaTooNew is given when a newer walpost has migrated the schema. An older one could not keep its rules.
var ErrSchemaTooNew = errors.New("schema walpost is newer than this walpost")

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one step of the schema, "0001_ledger.sql".
type migration struct {
	version int
	name    string
	sql     string
}

// migrations are all steps in order. Their names are fixed at compile time, so a bad one is a programming error.
var migrations = readMigrations(migrationFiles)

func readMigrations(files fs.FS) []migration {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		panic(err)
	}
	var steps []migration
	for i, path := range names {
		text, err := fs.ReadFile(files, path)
		if err != nil {
			panic(err)
		}
		number, name, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(path, "migrations/"), ".sql"), "_")
		if version, err := strconv.Atoi(number); err != nil || version != i+1 {
			panic("migration " + path + " is out of order")
		}
		steps = append(steps, migration{version: i + 1, name: name, sql: string(text)})
	}
	return steps
}

// migrationLock is the key of the advisory lock under which the schema changes: "walpost" in ASCII.
const migrationLock = 0x77616c706f7374

// Migrate brings the schema up to date, each step in a transaction of its own. Several processes may do so at once. A schema
// that is up to date is only looked at, so walpost needs no right to change it where the host runs SchemaSQL itself.
func (l *Ledger) Migrate(ctx context.Context) error {
	return l.migrate(ctx, migrations)
}

func (l *Ledger) migrate(ctx context.Context, steps []migration) error {
	for {
		version, err := schemaVersion(ctx, l.pool)
		if err != nil {
			return fmt.Errorf("migrate schema walpost: %w", err)
		}
		if version > len(steps) {
			return fmt.Errorf("%w: the schema has version %d, this walpost knows %d", ErrSchemaTooNew, version, len(steps))
		}
		if version == len(steps) {
			return nil
		}
		err = pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error { return step(ctx, tx, steps) })
		if err != nil {
			return fmt.Errorf("migrate schema walpost: %w", err)
		}
	}
}

// step runs the next migration, if no other process did while we waited for the lock.
func step(ctx context.Context, tx pgx.Tx, steps []migration) error {
	if _, err := tx.Exec(ctx, "set local lock_timeout = '30s'; set local statement_timeout = 0"); err != nil {
		return fmt.Errorf("set timeouts: %w", err)
	}
	if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
		return fmt.Errorf("wait for another migration: %w", err)
	}
	version, err := schemaVersion(ctx, tx)
	if err != nil || version >= len(steps) {
		return err
	}
	next := steps[version]
	if _, err := tx.Exec(ctx, next.sql); err != nil {
		return fmt.Errorf("run migration %d %s: %w", next.version, next.name, err)
	}
	_, err = tx.Exec(ctx, "insert into walpost.migration (version, name) values ($1, $2)", next.version, next.name)
	if err != nil {
		return fmt.Errorf("record migration %d: %w", next.version, err)
	}
	return nil
}

// rowQuerier is a pool or a transaction.
type rowQuerier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// schemaVersion is 0 where there is no schema yet. It asks the catalog by a query: to_regclass answers from the session's
// cache, which may not have heard of what was committed while we waited for the lock.
func schemaVersion(ctx context.Context, db rowQuerier) (version int, err error) {
	var exists bool
	err = db.QueryRow(ctx,
		"select exists (select from pg_tables where schemaname = 'walpost' and tablename = 'migration')").Scan(&exists)
	if err != nil || !exists {
		return 0, err
	}
	err = db.QueryRow(ctx, "select coalesce(max(version), 0) from walpost.migration").Scan(&version)
	return version, err
}

// SchemaSQL is the whole schema as one script, for hosts that run their own migrations. It leaves the version behind,
// so Migrate finds nothing to do.
func SchemaSQL() string {
	var s strings.Builder
	s.WriteString("-- Schema walpost " + strconv.Itoa(len(migrations)) + ", written by walpost init --sql.\n")
	s.WriteString("-- A role that does not own the schema needs besides:\n")
	s.WriteString("--   grant usage on schema walpost to ROLE;\n")
	s.WriteString("--   grant select, insert, update, delete on all tables in schema walpost to ROLE;\n")
	s.WriteString("--   grant execute on all functions in schema walpost to ROLE;\n\nbegin;\n\n")
	for _, m := range migrations {
		s.WriteString(m.sql)
		fmt.Fprintf(&s, "\ninsert into walpost.migration (version, name) values (%d, '%s');\n\n", m.version, m.name)
	}
	s.WriteString("commit;\n")
	return s.String()
}
