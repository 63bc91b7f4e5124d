package doctor

import (
	"fmt"
	"strings"
)

// role is the document of role.sql.
type role struct {
	Name        string `json:"name"`
	Super       bool   `json:"super"`
	Replication bool   `json:"replication"`
	Bypass      bool   `json:"bypass"`
	Create      bool   `json:"create"` // in the database
}

func (x *exam) role(by session) (*role, error) { return ask[role](x, by, "role") }

// replicate lets the role replicate.
func (r *role) replicate() string {
	return fmt.Sprintf("alter role %s with replication; -- as a superuser (on Amazon RDS: grant rds_replication to %[1]s;)", ident(r.Name))
}

func judgeRole(x *exam) ([]Finding, error) {
	r, err := x.role(byReplication)
	if err != nil {
		return nil, err
	}
	switch {
	case r.Super:
		return info("walpost needs REPLICATION, and rights on its own schema and the outbox table; no more.", "%q is a superuser", r.Name)
	case !r.Replication:
		return one(Finding{
			Severity: Stops, Found: fmt.Sprintf("%q lacks REPLICATION", r.Name), Why: "walpost reads the WAL over a replication connection.",
			Fix: r.replicate(),
		})
	}
	return ok("%q has REPLICATION", r.Name)
}

// outboxRights: the stream itself asks for no right on the table; the recovery after a lost slot does.
func outboxRights(x *exam) ([]Finding, error) {
	t, err := x.outbox()
	if err != nil {
		return nil, err
	}
	if t == nil {
		return skipped("there is no table")
	}
	r, err := x.role(byReplication)
	if err != nil {
		return nil, err
	}
	const why = "After the loss of the slot, walpost reads from the table what the slot has lost."
	switch {
	case !t.Usage:
		return one(Finding{
			Severity: Warning, Found: fmt.Sprintf("%q has no USAGE on schema %s", r.Name, x.cfg.Outbox.Table.Schema), Why: why,
			Fix: fmt.Sprintf("grant usage on schema %s to %s; grant select on table %s to %[2]s;", ident(x.cfg.Outbox.Table.Schema), ident(r.Name), x.table()),
		})
	case !t.Select:
		return one(Finding{
			Severity: Warning, Found: fmt.Sprintf("%q has no SELECT on %s", r.Name, x.tableName()), Why: why,
			Fix: fmt.Sprintf("grant select on table %s to %s;", x.table(), ident(r.Name)),
		})
	}
	return ok("%q may read %s", r.Name, x.tableName())
}

// schema is the document of ledger.sql.
type schema struct {
	Usage     bool     `json:"usage"`
	Tables    int64    `json:"tables"`
	Closed    []string `json:"closed"`    // tables that we may not both read and write
	Functions []string `json:"functions"` // that we may not execute
	Bytes     int64    `json:"bytes"`
	Days      []string `json:"days"` // of the attempt log's partitions, YYYYMMDD
	Today     string   `json:"today"`
}

func (x *exam) schema() (*schema, error) { return ask[schema](x, byURL, "ledger") }

func ledgerRights(x *exam) ([]Finding, error) {
	s, err := x.schema()
	if err != nil {
		return nil, err
	}
	r, err := x.role(byURL)
	if err != nil {
		return nil, err
	}
	f := Finding{Severity: Stops, Why: "What is owed, and how far the WAL is resolved, is written there."}
	name := ident(r.Name)
	switch {
	case s == nil && r.Create:
		return ok("%q may create schema walpost", r.Name)
	case s == nil:
		f.Found = fmt.Sprintf("there is no schema walpost, and %q may not create it", r.Name)
		f.Fix = fmt.Sprintf("grant create on database %s to %s; -- or let its owner run what this prints: walpost init --sql", ident(x.database()), name)
	case !s.Usage:
		f.Found = fmt.Sprintf("%q has no USAGE on schema walpost", r.Name)
		f.Fix = ledgerGrants(name)
	case len(s.Closed) > 0:
		f.Found = fmt.Sprintf("%q may not read and write walpost.%s", r.Name, some(s.Closed))
		f.Fix = ledgerGrants(name)
	case len(s.Functions) > 0:
		f.Severity, f.Why = Warning, "The attempt log is not divided by days then, and pruned row by row."
		f.Found = fmt.Sprintf("%q may not execute walpost.%s", r.Name, some(s.Functions))
		f.Fix = fmt.Sprintf("grant execute on all functions in schema walpost to %s;", name)
	default:
		return ok("%q may read and write schema walpost", r.Name)
	}
	return one(f)
}

func ledgerGrants(role string) string {
	return strings.ReplaceAll("grant usage on schema walpost to ROLE; grant select, insert, update, delete on all tables in schema walpost to ROLE; "+
		"grant execute on all functions in schema walpost to ROLE;", "ROLE", role)
}

// database is the name of the ledger's database.
func (x *exam) database() string {
	if s, err := ask[server](x, byURL, "server"); err == nil && s != nil {
		return s.Database
	}
	return ""
}
