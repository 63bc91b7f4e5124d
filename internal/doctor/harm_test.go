//go:build unix

package doctor_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/walpost/walpost/internal/doctor"
	"github.com/walpost/walpost/internal/pgtest"
)

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
	{"walposts that have left", []string{"left_checkpoints!"}, func(p *patient) {
		p.prepare()
		p.started("pg_current_snapshot()")
		p.sql("select pg_create_logical_replication_slot('SLOT_old', 'pgoutput')")
		p.sql(`insert into walpost.checkpoint (slot, lsn, system_id, timeline, epoch, coverage, updated_at)
			select slot, '0/1', 'x', 1, 1, coverage, now() - age from (values
				('SLOT_old', '', interval '49 hours'), ('SLOT_polled', 'polled', '25 hours'),
				('SLOT_dropped', '', '25 hours'), ('SLOT_busy', 'polled', '1 hour')) v (slot, coverage, age)`)
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
