//go:build unix

package doctor_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/doctor"
	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var update = flag.Bool("update", false, "rewrite the golden file")

// patient is a database that is set up as walpost init does it, unless a case has done harm to it.
type patient struct {
	t   *testing.T
	db  *pgtest.Database
	hcl string
	url string // of the role that examines
	// replication is another connection string for the stream; "": url.
	replication string
}

func newPatient(t *testing.T, db *pgtest.Database) *patient {
	p := &patient{t: t, db: db, url: db.URL}
	p.hcl = fmt.Sprintf("outbox {\n  slot = %q\n}\n", db.Name)
	return p
}

// sql runs statements in which SLOT is the slot's name.
func (p *patient) sql(statements string) {
	p.t.Helper()
	p.db.Exec(p.t, strings.ReplaceAll(statements, "SLOT", p.db.Name))
}

const publicationSQL = "create publication walpost for table public.outbox with (publish = 'insert')"

// prepare does what walpost init does.
func (p *patient) prepare() {
	p.t.Helper()
	p.db.Outbox(p.t)
	p.sql(publicationSQL)
	p.sql("select pg_create_logical_replication_slot('SLOT', 'pgoutput')")
	p.migrate()
}

func (p *patient) migrate() {
	p.t.Helper()
	book, err := ledger.Open(p.t.Context(), ledger.Options{ConnString: p.db.URL})
	if err != nil {
		p.t.Fatal(err)
	}
	defer book.Close()
	if err := book.Migrate(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

// started says that walpost has streamed before.
func (p *patient) started(snapshot string) {
	p.sql(`insert into walpost.checkpoint (slot, lsn, system_id, timeline, epoch, snapshot, updated_at)
		select 'SLOT', '0/1', system_identifier::text, 1, 1, ` + snapshot + `, now() from pg_control_system()`)
}

// use gives the examination a role of its own.
func (p *patient) use(attributes string, grants ...string) (role string) {
	p.t.Helper()
	role, p.url = p.db.Role(p.t, attributes)
	for _, grant := range grants {
		p.sql(strings.ReplaceAll(grant, "ROLE", role))
	}
	return role
}

func (p *patient) examine() doctor.Report {
	p.t.Helper()
	env := func(name string) (string, bool) {
		switch name {
		case "DATABASE_URL":
			return p.url, true
		case "REPLICATION_URL":
			return p.replication, true
		}
		return "", false
	}
	database := "database {\n  url = env(\"DATABASE_URL\")\n"
	if p.replication != "" {
		database += "  replication_url = env(\"REPLICATION_URL\")\n"
	}
	cfg, diagnostics := config.Parse(map[string][]byte{"walpost.hcl": []byte(database + "}\n" + p.hcl)}, config.WithEnv(env))
	if diagnostics.HasErrors() {
		p.t.Fatal(diagnostics)
	}
	report, err := doctor.Examine(p.t.Context(), doctor.Options{Config: cfg})
	if err != nil {
		p.t.Fatal(err)
	}
	return report
}

// of are the findings of one check.
func of(r doctor.Report, check string) (found []doctor.Finding) {
	for _, f := range r.Findings {
		if f.Check == check {
			found = append(found, f)
		}
	}
	return found
}

// untidy is what differs from run to run.
var untidy = []struct{ what, with string }{
	{`role\d+`, "ROLE"},
	{`\bt\d+_[a-z0-9_]+`, "DATABASE"},
	{`\b[0-9A-F]+/[0-9A-F]+\b`, "LSN"},
	{`pid \d+|backend\(\d+\)`, "PID"},
	{`system \d+`, "system ID"},
	{`[\d.]+ ([kMGT]?B)\b`, "SIZE"},
	{`\b\d+m?s\b( ago)?`, "AGE"},
	{`nobody for AGE`, "nobody"}, // from 17 on
	{`\d+( of (the )?\d that| of \d are open)`, "N$1"},
	{`connection limit \d+`, "connection limit N"},
	{`\d+ other sessions?`, "N other sessions"},
	{`[\d.]+ \(Debian [^)]*\)`, "VERSION"},
	{`PostgreSQL [\d.]+`, "PostgreSQL VERSION"},
	{`(schema version|versions up to) \d{1,3}\b`, "$1 N"},
	{`\d{4}-\d\d-\d\d`, "DAY"},
	{`127\.0\.0\.1(/32)?(:\d+)?`, "ADDRESS"},
}

func (p *patient) tidy(text string) string {
	text = strings.ReplaceAll(text, p.db.Name, "SLOT")
	for _, u := range untidy {
		text = regexp.MustCompile(u.what).ReplaceAllString(text, u.with)
	}
	return text
}

func (p *patient) text(findings []doctor.Finding) string {
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%s  %s: %s\n", f.Severity, f.Check, f.Found)
		for _, line := range []string{f.Why, f.Fix} {
			if line != "" {
				fmt.Fprintf(&b, "    %s\n", strings.ReplaceAll(line, "\n", "\n    "))
			}
		}
	}
	return p.tidy(b.String())
}

// harm is something that is wrong, and the checks that must find it.
type harm struct {
	name   string
	checks []string // "check" or, where what the finding says to do is SQL that puts it right, "check!"
	do     func(*patient)
}

// after are statements after prepare.
func after(statements ...string) func(*patient) {
	return func(p *patient) {
		p.prepare()
		for _, s := range statements {
			p.sql(s)
		}
	}
}

// harms that don't get into each other's way share a database, which costs more time than all else.
var harms = []harm{
	{"the tests' server", []string{"max_slot_wal_keep_size", "durability", "role", "slot_reader", "publication", "publication_age"}, after(
		"select txid_current()", "drop publication walpost", publicationSQL,
		"create table public.users ()", "alter publication walpost add table public.users",
	)},
	{"no table", []string{"outbox_table!", "checkpoint", "attempt_partitions!"}, func(p *patient) {
		p.migrate()
		p.started("null")
		p.sql(`do $$ declare t text; begin
			for t in select c.oid::regclass from pg_class c where relname ~ '^attempt_[0-9]{8}$' loop execute 'drop table ' || t; end loop; end $$`)
	}},
	{"a view", []string{"outbox_table", "server", "synchronous_commit"}, func(p *patient) {
		p.sql("create view public.outbox as select 1 as id")
		p.sql("alter database SLOT set synchronous_commit = off; alter database SLOT set default_transaction_read_only = on")
	}},
	{"unlogged", []string{"outbox_table!", "publication", "slot", "ledger"}, func(p *patient) {
		p.db.Outbox(p.t)
		p.sql("alter table public.outbox set unlogged")
	}},
	{"columns are missing", []string{"outbox_columns", "publication"}, after(
		"alter publication walpost set table public.outbox (id)",
		"alter table public.outbox rename payload to paylod",
	)},
	{"a column is generated", []string{"outbox_columns"}, after(
		"alter table public.outbox drop aggregate_id, add aggregate_id text generated always as ('x') stored",
	)},
	{"columns have other types", []string{"outbox_columns", "publication!"}, after(
		"alter publication walpost drop table public.outbox",
		"alter table public.outbox alter created_at drop default, alter created_at type text, alter payload type bytea using null",
	)},
	{"no index, no vacuum, a trigger that sleeps", []string{"outbox_ids!", "outbox_rows!", "outbox_triggers!", "publication!", "replica_identity!"}, after(
		"alter table public.outbox drop constraint outbox_pkey", "alter table public.outbox set (autovacuum_enabled = false)",
		"create trigger t before insert on public.outbox for each row execute function suppress_redundant_updates_trigger()",
		"alter table public.outbox disable trigger t",
		"alter publication walpost set (publish = 'insert, update')",
	)},
	{"an id that isn't unique, a rule, a filter", []string{"outbox_ids!", "outbox_triggers!", "publication!"}, after(
		"alter table public.outbox drop constraint outbox_pkey", "create index by_id on public.outbox (id)",
		"create rule r as on insert to public.outbox do instead nothing",
		"alter publication walpost set table public.outbox where (aggregate_type = 'x')",
	)},
	{"a trigger, a table that inherits, no inserts", []string{"outbox_triggers", "outbox_partitions", "publication!"}, after(
		"create trigger t before delete on public.outbox for each row execute function suppress_redundant_updates_trigger()",
		"create table public.more () inherits (public.outbox)",
		"alter publication walpost set (publish = 'delete')",
	)},
	{"an unlogged partition", []string{"outbox_partitions!", "publication!"}, func(p *patient) {
		p.partitioned()
		p.sql("create unlogged table public.outbox_u partition of public.outbox for values from ('2000-01-01') to ('2000-02-01')")
		p.sql(publicationSQL)
	}},
	{"a foreign partition", []string{"outbox_partitions!", "slot"}, func(p *patient) {
		p.partitioned()
		p.sql(`alter table public.outbox drop constraint outbox_pkey;
			create foreign data wrapper w; create server s foreign data wrapper w;
			create foreign table public.outbox_f partition of public.outbox for values from ('2000-01-01') to ('2000-02-01') server s`)
		p.sql("select pg_create_physical_replication_slot('SLOT')")
	}},
	{"no partition", []string{"outbox_partitions!", "slot"}, func(p *patient) {
		p.partitioned()
		p.sql("drop table public.outbox_default")
		pgtest.New(p.t).Exec(p.t, "select pg_create_logical_replication_slot('"+p.db.Name+"', 'pgoutput')")
	}},
	{"a slot without its publication", []string{"publication!", "slot"}, func(p *patient) {
		p.db.Outbox(p.t)
		p.sql("select pg_create_logical_replication_slot('SLOT', 'test_decoding')")
	}},
	{"the publication is lost", []string{"publication!", "slot"}, func(p *patient) {
		p.prepare()
		p.started("null")
		p.sql("drop publication walpost")
		p.sql("select pg_drop_replication_slot('SLOT')")
	}},
	{"the slot is lost, a backup is restored", []string{"slot", "publication", "ledger", "replication"}, func(p *patient) {
		p.prepare()
		p.started("pg_current_snapshot()")
		p.sql("update walpost.checkpoint set lsn = 'FFFF/0'")
		p.sql("select pg_drop_replication_slot('SLOT')")
		p.sql("drop publication walpost")
		p.sql("create publication walpost for all tables with (publish = 'insert')")
	}},
	{"another system, a newer ledger", []string{"ledger", "attention", "replication"}, func(p *patient) {
		p.prepare()
		p.started("null")
		p.sql("update walpost.checkpoint set system_id = '1'")
		p.sql(`insert into walpost.migration (version, name) values (1000, 'future');
			insert into walpost.incident (slot, kind, at, detail) values ('SLOT', 'slot_lost', now(), 'it was dropped');
			insert into walpost.quarantine (event_id, rule, webhook, topic, diagnostic, at) values ('1', '', '', '', 'bad', now());
			insert into walpost.webhook (name, disabled_at, updated_at) values ('crm', now(), now());
			insert into walpost.delivery (id, event_id, topic, webhook, state, due_at, created_at, updated_at)
				values (gen_random_uuid(), '1', 't', 'crm', 'pending', now() - interval '1 hour', now(), now())`)
	}},
	{"a role that may only log in", []string{"role!", "replication!", "outbox_rights!", "ledger_rights!", "attention", "connections!"}, func(p *patient) {
		p.sql("create schema app; create table app.events (id int)")
		p.hcl = strings.Replace(p.hcl, "outbox {", "outbox {\n  table = \"app.events\"", 1)
		p.migrate()
		p.use("connection limit 6")
	}},
	{"a role that may only replicate", []string{"publication!", "ledger_rights!", "connections!", "outbox_policies"}, func(p *patient) {
		p.db.Outbox(p.t)
		p.sql("alter database SLOT connection limit 6")
		p.use("replication")
	}},
	{"a role with few rights", []string{"outbox_retention!", "outbox_policies!", "ledger_rights!"}, func(p *patient) {
		p.prepare()
		p.hcl = strings.Replace(p.hcl, "outbox {", "outbox {\n  retention = \"24h\"", 1)
		p.sql("alter table public.outbox enable row level security")
		p.use("replication", "grant usage on schema walpost to ROLE", "grant all on all tables in schema walpost to ROLE")
	}},
	{"a role without tables", []string{"ledger_rights!", "ledger", "ledger_publication!"}, func(p *patient) {
		p.prepare()
		p.sql("alter publication walpost add table walpost.event")
		p.use("replication", "grant usage on schema walpost to ROLE", "grant select on walpost.migration to ROLE")
	}},
}

// partitioned makes an outbox table that is partitioned by day, with a default partition.
func (p *patient) partitioned() {
	p.sql(`create table public.outbox (id uuid not null default gen_random_uuid(), aggregate_type text not null, aggregate_id text not null,
		event_type text not null, payload jsonb not null, headers jsonb, created_at timestamptz not null default now(),
		primary key (id, created_at)) partition by range (created_at);
		create table public.outbox_default partition of public.outbox default`)
}

// TestHarm does each harm to a database of its own, compares the finding with the golden file, and, where the finding
// says which SQL puts it right, runs that and looks again.
func TestHarm(t *testing.T) {
	t.Parallel()
	texts := make([]string, len(harms))
	t.Run("all", func(t *testing.T) {
		for i, h := range harms {
			t.Run(h.name, func(t *testing.T) {
				t.Parallel()
				p := newPatient(t, pgtest.New(t))
				h.do(p)
				before := p.examine()
				texts[i] = "# " + h.name + "\n"
				for _, check := range h.checks {
					name, cured := strings.CutSuffix(check, "!")
					found := of(before, name)
					texts[i] += p.text(found)
					if cured {
						p.cure(found)
					}
				}
				texts[i] += "\n"
				p.cured(h.checks)
			})
		}
	})
	golden(t, "findings.txt", strings.Join(texts, ""))
}

// cure runs what the findings say, as a superuser.
func (p *patient) cure(found []doctor.Finding) {
	p.t.Helper()
	conn := p.db.Conn(p.t)
	for _, f := range found {
		if f.Severity == doctor.OK {
			p.t.Errorf("nothing is wrong: %s", p.text(found))
		}
		for statement := range strings.SplitSeq(strings.Split(f.Fix, "--")[0], ";") { // create index concurrently stands alone
			if strings.TrimSpace(statement) == "" {
				continue
			}
			if _, err := conn.Exec(p.t.Context(), statement); err != nil {
				p.t.Errorf("%s: %v", statement, err)
			}
		}
	}
}

// cured expects those checks to be content that said how.
func (p *patient) cured(checks []string) {
	p.t.Helper()
	if !slices.ContainsFunc(checks, func(c string) bool { return strings.HasSuffix(c, "!") }) {
		return
	}
	report := p.examine()
	for _, check := range checks {
		name, cured := strings.CutSuffix(check, "!")
		for _, f := range of(report, name) {
			if cured && f.Severity != doctor.OK && f.Severity != doctor.Info {
				p.t.Errorf("the fix does not put it right: %s", p.text([]doctor.Finding{f}))
			}
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	a, b := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Fatalf("%s differs in line %d (-update rewrites it):\n- %s\n+ %s", path, i+1, a[i], b[i])
		}
	}
	t.Fatalf("%s differs in length (-update rewrites it)", path)
}

// TestHealthy: nothing is found where nothing is wrong, but for what the tests' server is and has to be.
func TestHealthy(t *testing.T) {
	t.Parallel()
	p := newPatient(t, pgtest.New(t))
	p.prepare()
	expected := []string{"role", "durability", "max_slot_wal_keep_size", "slot_reader", "slot_failover", "publication_age", "prepared_transactions", "transactions"}
	seen := map[string]bool{}
	for _, f := range p.examine().Findings {
		seen[f.Check] = true
		if f.Found == "" {
			t.Errorf("%s has nothing to say", f.Check)
		}
		if f.Severity != doctor.OK && !slices.Contains(expected, f.Check) {
			t.Errorf("found: %s", p.text([]doctor.Finding{f}))
		}
		if f.Severity != doctor.OK && f.Why == "" {
			t.Errorf("%s does not say why it matters", f.Check)
		}
	}
	if len(seen) < 30 {
		t.Errorf("only %d checks were made", len(seen))
	}
}

// TestLocked: somebody who keeps the table to himself doesn't keep the examination from its end, nor the other way round.
func TestLocked(t *testing.T) {
	t.Parallel()
	p := newPatient(t, pgtest.New(t))
	p.prepare()
	tx, err := p.db.Conn(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), "lock table public.outbox"); err != nil {
		t.Fatal(err)
	}
	report := p.examine()
	for _, check := range []string{"outbox_table", "outbox_rows", "slot", "ledger"} {
		for _, f := range of(report, check) {
			if f.Severity != doctor.OK {
				t.Errorf("found: %s", p.text([]doctor.Finding{f}))
			}
		}
	}
}

// TestServer: settings and limits of a server that isn't as it should be, seen by a role that may not see everything.
func TestServer(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, map[string]string{
		"wal_level": "replica", "max_replication_slots": "1", "max_wal_senders": "1", "max_slot_wal_keep_size": "64MB",
		"fsync": "on", "full_page_writes": "off", "wal_keep_size": "128MB", "max_connections": "12",
		"max_prepared_transactions": "2", "synchronous_standby_names": "*", "synchronous_commit": "local",
	})
	p := newPatient(t, pgtest.NewOn(t, server))
	p.db.Outbox(t)
	p.sql("select pg_create_physical_replication_slot('other')")
	conn := p.db.Conn(t)
	for _, statement := range []string{"begin", "select txid_current()", `prepare transaction 'it''s'`} {
		if _, err := conn.Exec(t.Context(), statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
	}
	p.use("replication")
	report := p.examine()
	var b strings.Builder
	for _, check := range []string{
		"server", "wal_level", "replication_slots", "wal_senders", "connections", "durability", "synchronous_commit",
		"max_slot_wal_keep_size", "wal_sender_timeout", "wal_keep", "transactions", "prepared_transactions",
	} {
		b.WriteString(p.text(of(report, check)))
	}
	if _, err := conn.Exec(t.Context(), `rollback prepared 'it''s'`); err != nil {
		t.Error(err)
	}
	golden(t, "server.txt", b.String())
}
