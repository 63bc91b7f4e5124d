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
