package ledger

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/walpost/walpost/internal/pgtest"
)

func TestMigrateTwice(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	if err := f.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := f.count("migration"); n != len(migrations) {
		t.Errorf("%d migrations recorded, want %d", n, len(migrations))
	}
}

func TestMigrateConcurrently(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var wg sync.WaitGroup
	for range 4 {
		f := openFixture(t, db, Options{})
		for range 2 {
			wg.Go(func() {
				if err := f.Migrate(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
}

func TestMigrateRefusesNewerSchema(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.db.Exec(t, "insert into walpost.migration (version, name) values (99, 'future')")
	err := f.Migrate(t.Context())
	if !errors.Is(err, ErrSchemaTooNew) {
		t.Fatalf("got %v, want ErrSchemaTooNew", err)
	}
	if !strings.Contains(err.Error(), "version 99") {
		t.Errorf("%q does not say which version the schema has", err)
	}
}

func TestMigrateFailureLeavesNothing(t *testing.T) {
	t.Parallel()
	f := openFixture(t, pgtest.New(t), Options{})
	steps := append(migrations[:len(migrations):len(migrations)],
		migration{version: len(migrations) + 1, name: "broken", sql: "create table walpost.half (); select 1/0"})
	if err := f.migrate(t.Context(), steps); err == nil {
		t.Fatal("a broken migration succeeded")
	}
	if n := f.count("migration"); n != len(migrations) {
		t.Errorf("%d migrations recorded, want those before the broken one", n)
	}
	if value[bool](f, "select to_regclass('walpost.half') is not null") {
		t.Error("half of the broken migration stayed")
	}
}

// shape is what a schema consists of.
const shape = `
	select string_agg(line, E'\n' order by line) from (
		select 'column ' || c.oid::regclass || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
			|| ' ' || a.attnotnull as line
		from pg_class c join pg_attribute a on a.attrelid = c.oid
		where c.relnamespace = 'walpost'::regnamespace and a.attnum > 0 and c.relkind in ('r', 'p', 'v')
		union all
		select 'index ' || indexdef from pg_indexes where schemaname = 'walpost'
		union all
		select 'function ' || p.oid::regprocedure from pg_proc p where p.pronamespace = 'walpost'::regnamespace
		union all
		select 'migration ' || version || name from walpost.migration
	) lines`

// A host runs the script itself; walpost's role owns nothing, and gets what the script's head says.
func TestSchemaSQLServesRoleWithoutDDL(t *testing.T) {
	t.Parallel()
	migrated := newFixture(t, Options{})
	db := pgtest.New(t)
	db.Exec(t, SchemaSQL())
	role, url := db.Role(t, "")
	for line := range strings.Lines(SchemaSQL()) {
		if grant, ok := strings.CutPrefix(strings.TrimSpace(line), "--   grant "); ok {
			db.Exec(t, "grant "+strings.Replace(grant, "ROLE", role, 1))
		}
	}
	owner := openFixture(t, db, Options{})
	if got, want := value[string](owner, shape), value[string](migrated, shape); got != want {
		t.Errorf("the script makes\n%s\nMigrate makes\n%s", got, want)
	}

	db.URL = url
	f := start(t, db, Options{Record: RecordAll}) // migrates, too
	e := event(1, 100)
	f.mustRecord(
		attempted(outcome(e, "crm", 1, 0, Retrying, "retry")),
		attempted(outcome(e, "hub", 1, 0, Delivered, "delivered")),
		quarantined(Quarantined{Event: e, Diagnostic: "bad"}),
	)
	f.db.URL = owner.options.ConnString
	if _, err := f.Prune(t.Context(), 0); err != nil {
		t.Error(err)
	}
	if _, err := f.RecordIncident(t.Context(), Incident{Kind: "gap"}); err != nil {
		t.Error(err)
	}
}

func TestSchemaIsCommented(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	bare := value[*string](f, `select string_agg(c.relname, ', ') from pg_class c
		where c.relnamespace = 'walpost'::regnamespace and c.relkind in ('r', 'p', 'v') and not c.relispartition
			and obj_description(c.oid, 'pg_class') is null`)
	if bare != nil {
		t.Errorf("no comment on %s", *bare)
	}
}
