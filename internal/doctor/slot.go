package doctor

import (
	"fmt"
	"strings"
)

// slot is the document of slot.sql.
type slot struct {
	Type         string   `json:"slot_type"`
	Plugin       string   `json:"plugin"`
	Database     string   `json:"database"`
	Here         bool     `json:"here"`
	Active       bool     `json:"active"`
	PID          int      `json:"active_pid"`
	WALStatus    string   `json:"wal_status"`          // from 13
	Safe         *int64   `json:"safe_wal_size"`       // from 13; nil: no limit
	Invalidation string   `json:"invalidation_reason"` // from 17
	TwoPhase     bool     `json:"two_phase"`           // from 14
	Failover     *bool    `json:"failover"`            // from 17
	Synced       bool     `json:"synced"`              // from 17
	Retained     int64    `json:"retained"`
	Lag          int64    `json:"lag"`
	HorizonAge   *int64   `json:"horizon_age"` // of the catalog, in transactions
	Idle         *float64 `json:"idle"`        // seconds; from 17
	Reader       *struct {
		Application string `json:"application"`
		Role        string `json:"role"`
		Address     string `json:"address"`
	} `json:"reader"`
}

// slot asks for it; nil: there is none.
func (x *exam) slot() (*slot, error) { return ask[slot](x, byReplication, "slot") }

// lost reports whether the server has given it up.
func (s *slot) lost() bool { return s.WALStatus == "lost" || s.Invalidation != "" }

func judgeSlot(x *exam) ([]Finding, error) {
	s, err := x.slot()
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%q", x.cfg.Outbox.Slot)
	drop := "select pg_drop_replication_slot(" + literal(x.cfg.Outbox.Slot) + ");"
	foreign := func(is string) ([]Finding, error) {
		return one(Finding{
			Severity: Stops, Found: name + " is not walpost's: " + is, Why: "walpost reads rows of this database as pgoutput writes them.",
			Fix: "set outbox.slot to another name, or, if nobody needs it: " + drop,
		})
	}
	switch {
	case s == nil:
		return x.missingSlot(name + " does not exist")
	case s.Type != "logical":
		return foreign("it is a physical slot")
	case s.Plugin != "pgoutput":
		return foreign("its output plugin is " + s.Plugin)
	case !s.Here:
		return foreign(fmt.Sprintf("it belongs to database %q", s.Database))
	case s.lost():
		reason := s.Invalidation
		if reason == "" {
			reason = "its WAL was removed"
		}
		return x.missingSlot(fmt.Sprintf("%s is invalidated (%s)", name, reason))
	case s.TwoPhase:
		return info("walpost neither needs nor asks for it.", "%s was made with two_phase", name)
	}
	return ok("%s, pgoutput", name)
}

// missingSlot says what it means that there is no slot that could be read.
func (x *exam) missingSlot(found string) ([]Finding, error) {
	c, err := x.checkpoint()
	switch {
	case err != nil || c == nil || !c.Started:
		return info("walpost init and walpost run create it. What is inserted before that is not sent, unless run begins with the backlog.", "%s", found)
	case c.Snapshot:
		return one(Finding{
			Severity: Warning, Found: found + ", and there is a checkpoint",
			Why: "walpost reads the rows since from the table, and loses those that were deleted before it does.",
			Fix: "walpost run -- and keep rows of the outbox table until it says that the recovery is complete",
		})
	}
	return one(Finding{
		Severity: Loses, Found: found + ", and the checkpoint has no snapshot to recover from",
		Why: "Rows since the checkpoint are not in the stream, and can't be told from those that were sent.",
		Fix: "decide: walpost adopt --start backlog delivers all rows of the table, with the same ids as ever, --start now none of them; then walpost run makes a new slot",
	})
}

const (
	// muchWAL is what a slot retains when something is wrong, unless the host writes a lot.
	muchWAL = 4 << 30
	// littleLeft is of WAL, before the server gives a slot up.
	littleLeft = 256 << 20
)

// slotWAL: how much the server keeps for it.
func slotWAL(x *exam) ([]Finding, error) {
	s, err := x.slot()
	if err != nil {
		return nil, err
	}
	if s == nil || s.lost() {
		return skipped("there is no slot")
	}
	found := fmt.Sprintf("%s retained, %s not confirmed", size(s.Retained), size(s.Lag))
	if s.WALStatus != "" {
		found += ", wal_status " + s.WALStatus
	}
	if s.Safe != nil {
		found += fmt.Sprintf(", %s until it is given up", size(*s.Safe))
	}
	const fix = "run walpost, and see which transaction or prepared transaction is open for long (above)"
	switch {
	case s.WALStatus == "unreserved" || s.Safe != nil && *s.Safe < littleLeft:
		return one(Finding{
			Severity: Warning, Found: found, Why: "The server is about to give the slot up; then all rows since are read from the table.",
			Fix: "run walpost now, or: alter system set max_slot_wal_keep_size = -1; select pg_reload_conf();",
		})
	case s.Retained > muchWAL:
		return one(Finding{Severity: Warning, Found: found, Fix: fix, Why: "It fills the disk of the database: walpost is down, far behind, or a transaction is open for long."})
	}
	return ok("%s", found)
}

// slotReader: who reads it.
func slotReader(x *exam) ([]Finding, error) {
	s, err := x.slot()
	if err != nil {
		return nil, err
	}
	switch {
	case s == nil:
		return skipped("there is no slot")
	case s.Active && s.Reader == nil:
		return ok("pid %d", s.PID)
	case s.Active:
		from := ""
		if s.Reader.Address != "" {
			from = " from " + s.Reader.Address
		}
		if !strings.Contains(s.Reader.Application, "walpost") && s.Reader.Application != "" {
			return one(Finding{
				Severity: Warning, Found: fmt.Sprintf("pid %d, application %q, role %q%s", s.PID, s.Reader.Application, s.Reader.Role, from),
				Why: "If that isn't walpost, it takes walpost's events away.", Fix: "give each reader a slot of its own: outbox.slot",
			})
		}
		return ok("pid %d, application %q, role %q%s", s.PID, s.Reader.Application, s.Reader.Role, from)
	}
	idle := ""
	if s.Idle != nil {
		idle = " for " + span(*s.Idle)
	}
	return info("The server keeps WAL for it. That is as it should be while walpost is stopped for a moment.", "nobody%s", idle)
}

// slotFailover: from 17 on, standbys can take the slot over.
func slotFailover(x *exam) ([]Finding, error) {
	s, err := x.slot()
	if err != nil {
		return nil, err
	}
	switch {
	case s == nil || s.Failover == nil:
		return skipped("there is none that a standby could take over")
	case *s.Failover:
		return ok("standbys can take the slot over")
	}
	slots, err := ask[struct{ Active []string }](x, byReplication, "standbys")
	if err != nil {
		return nil, err
	}
	f := Finding{
		Severity: Info, Found: "the slot was made without failover",
		Why: "After the promotion of a standby the slot is missing, and the rows since are read from the table.",
		Fix: fmt.Sprintf("ALTER_REPLICATION_SLOT %s (FAILOVER true); -- while walpost is stopped, over psql \"dbname=%s replication=database\"",
			ident(x.cfg.Outbox.Slot), x.database()),
	}
	if len(slots.Active) > 0 {
		f.Severity = Warning
	}
	return one(f)
}
