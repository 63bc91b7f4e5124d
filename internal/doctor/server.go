package doctor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"

	"github.com/walpost/walpost/cdc"
)

// server is the document of server.sql.
type server struct {
	Version  int    `json:"version"`
	Number   string `json:"number"`
	Recovery bool   `json:"recovery"`
	Role     string `json:"role"`
	Database string `json:"database"`
	PID      uint32 `json:"pid"`
}

func (x *exam) server() (*server, error) { return ask[server](x, byReplication, "server") }

// connection: the database can be reached.
func connection(x *exam) ([]Finding, error) {
	var findings []Finding
	for _, by := range []session{byURL, byReplication} {
		err := x.refusals[by]
		if err == nil {
			continue
		}
		problem, fix := x.explain(err)
		var refused *pgconn.PgError
		if errors.As(err, &refused) && strings.Contains(refused.Message, "startup parameter") {
			problem, fix = "a connection pooler refuses the connection: "+refused.Message, poolerFix
		}
		findings = append(findings, Finding{
			Severity: Stops, Found: fmt.Sprintf("database.%s: %s", by, problem), Fix: fix,
			Why: "Without the database there is neither a stream nor a ledger.",
		})
		if x.cfg.Database.ReplicationURL == x.cfg.Database.URL {
			break
		}
	}
	if findings != nil {
		return findings, nil
	}
	s, err := x.server()
	if err != nil {
		return nil, err
	}
	return ok("database %q as role %q", s.Database, s.Role)
}

const oldestVersion, standbyVersion, failoverVersion = 120000, 160000, 170000

// judgeServer: a primary of a version that walpost knows, which can be written to.
func judgeServer(x *exam) ([]Finding, error) {
	s, err := x.server()
	if err != nil {
		return nil, err
	}
	set, err := x.settings()
	if err != nil {
		return nil, err
	}
	found := "PostgreSQL " + s.Number
	switch {
	case s.Version < oldestVersion:
		return one(Finding{
			Severity: Stops, Found: found + " is too old", Fix: "use Postgres 12 or later",
			Why: "walpost needs wal_sender_timeout to be settable by its own session.",
		})
	case s.Recovery:
		return one(Finding{
			Severity: Stops, Found: found + ", a standby",
			Why: "The slot and the ledger are on the primary: a standby can't be written to.",
			Fix: "name the primary in database.url, or all servers, with target_session_attrs=read-write",
		})
	case set["default_transaction_read_only"].Reset == "on":
		return one(Finding{
			Severity: Stops, Found: found + ", primary; default_transaction_read_only is on",
			Why: "The ledger can't be written, so nothing is ever confirmed.",
			Fix: fmt.Sprintf("alter role %s in database %s set default_transaction_read_only = off;", ident(s.Role), ident(s.Database)),
		})
	case s.Version < 140000:
		return info("Before version 14 a recovery after a lost slot reads the table from its beginning for each piece of it.", "%s, primary", found)
	}
	return ok("%s, primary", found)
}

const poolerFix = "set database.url, or at least database.replication_url, to an address that leads to the server itself"

// pooler: a pooler hands out its own process ids, so one that differs from the server's gives it away.
func pooler(x *exam) ([]Finding, error) {
	var findings []Finding
	for _, by := range []session{byURL, byReplication} {
		s, err := ask[server](x, by, "server")
		if err != nil {
			return nil, err
		}
		if x.sessions[by].PgConn().PID() == s.PID {
			continue
		}
		f := Finding{
			Severity: Warning, Found: fmt.Sprintf("database.%s leads through a connection pooler", by), Fix: poolerFix,
			Why: "In transaction mode it loses what belongs to a session: LISTEN, timeouts and advisory locks; " +
				"commands take a second longer to be noticed, and settings of one session may reach another.",
		}
		if by == byReplication {
			f.Severity, f.Why = Stops, "The replication connection, and the session that guards a recovery by a lock, must lead to the server itself."
		}
		findings = append(findings, f)
	}
	if findings != nil {
		return findings, nil
	}
	return ok("none: sessions lead to the server itself")
}

// replication: a replication connection can be opened, to a server that the checkpoint was made on.
func replication(x *exam) ([]Finding, error) {
	if err := x.refusals[byReplication]; err != nil {
		return nil, &unconnected{err}
	}
	o := x.cfg.Outbox
	ctx, cancel := context.WithTimeout(x.ctx, connectTimeout)
	defer cancel()
	identity, err := cdc.Compare(ctx, cdc.Options{
		ConnString: x.cfg.Database.ReplicationURL.Reveal(), Schema: o.Table.Schema, Table: o.Table.Name,
		Columns: o.Table.Columns.Names(), Slot: o.Slot, Publication: o.Publication, Logger: zerolog.Nop(), Application: application,
		Resume: func(context.Context) (*cdc.Resume, error) { return x.resume(), nil },
	})
	if err != nil {
		return one(x.unreplicated(err))
	}
	return ok("allowed; database system %s, timeline %d", identity.SystemID, identity.Timeline)
}

// resume is where the checkpoint says to go on; nil: there is none, or it can't be read, which other checks say.
func (x *exam) resume() *cdc.Resume {
	c, err := x.checkpoint()
	if err != nil || c == nil {
		return nil
	}
	return &cdc.Resume{LSN: cdc.LSN(c.Position), SystemID: c.System, Timeline: c.Timeline}
}

// unreplicated says why there is no replication connection.
func (x *exam) unreplicated(err error) Finding {
	f := Finding{Severity: Stops, Why: "walpost reads the WAL over a replication connection."}
	var setup *cdc.SetupError
	if errors.As(err, &setup) {
		f.Found, f.Fix = setup.Problem, setup.Fix
	} else {
		f.Found, f.Fix = x.explain(err)
	}
	if errors.Is(err, cdc.ErrOtherSystem) {
		f.Why = "Positions of one system or history mean nothing in another: on a copy of the database, events would be sent twice."
		return f
	}
	if s, failed := x.server(); failed == nil && s.Recovery {
		f.Found, f.Fix = "a standby can't serve the slot", ""
	}
	if r, failed := x.role(byReplication); failed == nil && !r.Super && !r.Replication {
		f.Fix = r.replicate()
	}
	return f
}

func walLevel(x *exam) ([]Finding, error) {
	set, err := x.settings()
	if err != nil {
		return nil, err
	}
	s, err := x.server()
	if err != nil {
		return nil, err
	}
	level, _ := set.text("wal_level")
	if level == "logical" || s.Version >= 190000 && level == "replica" {
		return ok("%s", level)
	}
	return one(Finding{
		Severity: Stops, Found: level + set.pending("wal_level"), Why: "Only logical WAL has what rows were inserted.",
		Fix: "alter system set wal_level = 'logical'; -- then restart the server (on Amazon RDS: rds.logical_replication = 1)",
	})
}

// durability: what the server has confirmed is on disk.
func durability(x *exam) ([]Finding, error) {
	set, err := x.settings()
	if err != nil {
		return nil, err
	}
	if v, _ := set.text("fsync"); v == "off" {
		return one(Finding{
			Severity: Loses, Found: "fsync is off",
			Why: "A crash of the machine undoes commits: what the ledger owes is lost, and events were sent whose commit never was.",
			Fix: "alter system set fsync = on; select pg_reload_conf();",
		})
	}
	if v, _ := set.text("full_page_writes"); v == "off" {
		return one(Finding{
			Severity: Warning, Found: "full_page_writes is off", Fix: "alter system set full_page_writes = on; select pg_reload_conf();",
			Why: "A crash of the machine can damage the ledger's pages, unless the file system writes pages wholly.",
		})
	}
	return ok("fsync and full_page_writes are on")
}

func synchronousCommit(x *exam) ([]Finding, error) {
	set, err := x.settings()
	if err != nil {
		return nil, err
	}
	v := set["synchronous_commit"].Reset
	standbys, _ := set.text("synchronous_standby_names")
	switch {
	case v == "off":
		return info("A commit that the application was told of can be undone by a crash; no event of it was sent then, as only "+
			"flushed WAL is. walpost's own commits are synchronous all the same.", "off")
	case standbys != "" && v == "local":
		return info("After a failover, events may have been sent of commits that the new primary doesn't have.", "local, with synchronous standbys")
	}
	return ok("%s", v)
}

// clockTolerance is how far clocks may be apart, and signatureTolerance how old a signature may be for its receiver
// (Standard Webhooks 1.0.0, five minutes).
const clockTolerance, signatureTolerance = 2 * time.Second, 5 * time.Minute

// clock compares this machine's clock with the database's, by which due times are.
func clock(x *exam) ([]Finding, error) {
	before := time.Now()
	at, err := ask[float64](x, byURL, "clock")
	if err != nil {
		return nil, err
	}
	after := time.Now()
	middle := before.Add(after.Sub(before) / 2)
	skew := time.Duration((*at - float64(middle.UnixMicro())/1e6) * float64(time.Second))
	apart := time.Duration(math.Abs(float64(skew))) - after.Sub(before)/2
	if apart < clockTolerance {
		return ok("this machine and the database agree to %s", clockTolerance)
	}
	direction := "behind"
	if skew < 0 {
		direction = "ahead of"
	}
	f := Finding{
		Severity: Warning, Found: fmt.Sprintf("this machine is %s %s the database", span(math.Abs(skew.Seconds())), direction),
		Why: "Due times are the database's, signatures carry this machine's.", Fix: "synchronize the clock of both machines by NTP",
	}
	if apart > signatureTolerance*8/10 {
		f.Why = "Receivers refuse signatures whose time is more than five minutes off."
	}
	return one(f)
}
