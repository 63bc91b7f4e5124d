package doctor

import (
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/walpost/walpost/internal/ledger"
)

// checkpoint is the document of checkpoint.sql.
type checkpoint struct {
	LSN      string  `json:"lsn"`
	Position uint64  `json:"position"` // LSN as a number
	System   string  `json:"system"`
	Timeline int32   `json:"timeline"`
	Started  bool    `json:"started"` // something was confirmed
	Snapshot bool    `json:"snapshot"`
	Age      float64 `json:"age"`
}

// checkpoint asks for the slot's; nil: there is none, or no ledger yet.
func (x *exam) checkpoint() (*checkpoint, error) {
	c, err := ask[checkpoint](x, byURL, "checkpoint")
	if absent(err) {
		return nil, nil
	}
	return c, err
}

// absent reports whether an error is that of a ledger that isn't there.
func absent(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && server.Code == stateUndefinedTable
}

// judgeLedger: its schema is there, and of this walpost's version.
func judgeLedger(x *exam) ([]Finding, error) {
	s, err := x.schema()
	if err != nil {
		return nil, err
	}
	if s == nil || s.Tables == 0 {
		return info("walpost init and walpost run create it.", "there is no schema walpost yet")
	}
	version, err := ask[int](x, byURL, "migration")
	if err != nil {
		return nil, err
	}
	found := fmt.Sprintf("schema version %d, %s", *version, size(s.Bytes))
	switch newest := ledger.SchemaVersion(); {
	case *version > newest:
		return one(Finding{
			Severity: Stops, Found: found, Why: fmt.Sprintf("This walpost knows versions up to %d, and could not keep the rules of a newer one.", newest),
			Fix: "use the walpost that has migrated it, or a newer one",
		})
	case *version < newest:
		return info(fmt.Sprintf("walpost run migrates it to version %d; where the role may not, its owner runs what walpost init --sql prints.", newest), "%s", found)
	}
	return ok("%s", found)
}

// ledgerPublication: the ledger is walpost's own, and nobody's stream.
func ledgerPublication(x *exam) ([]Finding, error) {
	tables, err := ask[[]string](x, byReplication, "published")
	if err != nil {
		return nil, err
	}
	if tables == nil || len(*tables) == 0 {
		return ok("the publication has no table of the ledger")
	}
	return one(Finding{
		Severity: Warning, Found: fmt.Sprintf("%q has tables of the ledger: %s", x.cfg.Outbox.Publication, some(*tables)),
		Why: "Each write to the ledger comes back as WAL to decode and to ignore.",
		Fix: fmt.Sprintf("alter publication %s drop table %s;", ident(x.cfg.Outbox.Publication), ident("walpost", (*tables)[0])),
	})
}

func judgeCheckpoint(x *exam) ([]Finding, error) {
	c, err := x.checkpoint()
	if err != nil {
		return nil, err
	}
	switch {
	case c == nil:
		return ok("none: walpost has not run yet")
	case c.Started && !c.Snapshot:
		return one(Finding{
			Severity: Warning, Found: fmt.Sprintf("%s, %s ago, without a snapshot", c.LSN, span(c.Age)),
			Why: "If the slot were lost now, walpost could not tell which rows were sent. The next event brings one.",
		})
	}
	return ok("%s, %s ago", c.LSN, span(c.Age))
}

// leftCheckpoints: no reader of an outbox has gone without a word. What it had not read is kept for it.
func leftCheckpoints(x *exam) ([]Finding, error) {
	type left struct {
		Slot string  `json:"slot"`
		Age  float64 `json:"age"`
		Held bool    `json:"held"` // the slot is there
	}
	list, err := ask[[]left](x, byURL, "left_checkpoints")
	if absent(err) {
		return skipped("there is no ledger yet")
	}
	if err != nil {
		return nil, err
	}
	if list == nil {
		return ok("none of others that nobody goes on with")
	}
	var findings []Finding
	for _, l := range *list {
		fix := fmt.Sprintf("delete from walpost.checkpoint where slot = %s;", literal(l.Slot))
		if l.Held {
			fix += fmt.Sprintf(" select pg_drop_replication_slot(%s);", literal(l.Slot))
		}
		findings = append(findings, Finding{
			Severity: Warning, Found: fmt.Sprintf("the checkpoint of %q was written %s ago", l.Slot, span(l.Age)),
			Why: "Retention deletes no outbox row that it has not passed, as a walpost with that slot may come back.",
			Fix: fix + " -- if none does",
		})
	}
	return findings, nil
}

// attemptPartitions: the attempt log has days ahead.
func attemptPartitions(x *exam) ([]Finding, error) {
	s, err := x.schema()
	if err != nil {
		return nil, err
	}
	if s == nil || s.Tables == 0 {
		return skipped("there is no ledger yet")
	}
	today, err := time.Parse("20060102", s.Today)
	if err != nil {
		return nil, fmt.Errorf("read the date: %w", err)
	}
	last := time.Time{}
	for _, day := range s.Days {
		if at, err := time.Parse("20060102", day); err == nil && at.After(last) {
			last = at
		}
	}
	if last.After(today) {
		return ok("until %s", last.Format(time.DateOnly))
	}
	return one(Finding{
		Severity: Warning, Found: "none for tomorrow",
		Why: "Attempts of days without one are deleted row by row. A daemon that runs makes them each hour.",
		Fix: "select walpost.roll_attempts('7 days', 3);",
	})
}

// overdue is how late a delivery may be, in seconds, before nobody seems to work them off.
const overdue = 900

// attention: what waits for a person.
func attention(x *exam) ([]Finding, error) {
	type document struct {
		Quarantined int64 `json:"quarantined"`
		Incidents   []struct {
			Kind   string `json:"kind"`
			Detail string `json:"detail"`
		} `json:"incidents"`
		Disabled []string `json:"disabled"`
		Overdue  *float64 `json:"overdue"`
	}
	d, err := ask[document](x, byURL, "attention")
	if absent(err) {
		return skipped("there is no ledger yet")
	}
	if err != nil {
		return nil, err
	}
	var findings []Finding
	for _, i := range d.Incidents {
		findings = append(findings, Finding{
			Severity: Warning, Found: fmt.Sprintf("open incident %s: %s", i.Kind, i.Detail), Why: "Something has happened to the stream, and is not put right.",
			Fix: "walpost status",
		})
	}
	if d.Quarantined > 0 {
		findings = append(findings, Finding{
			Severity: Warning, Found: fmt.Sprintf("%d in quarantine", d.Quarantined), Why: "They are not sent until somebody has them routed again.",
			Fix: "walpost deliveries --quarantined, then walpost replay --quarantined",
		})
	}
	if d.Overdue != nil && *d.Overdue > overdue {
		findings = append(findings, Finding{
			Severity: Warning, Found: fmt.Sprintf("a delivery is due for %s", span(*d.Overdue)), Why: "No daemon works off what the ledger owes.",
			Fix: "walpost run",
		})
	}
	if len(d.Disabled) > 0 {
		findings = append(findings, Finding{
			Severity: Info, Found: "disabled webhooks: " + some(d.Disabled), Why: "What comes for them is parked.", Fix: "walpost enable --replay " + d.Disabled[0],
		})
	}
	if findings == nil {
		return ok("nothing waits for a person")
	}
	return findings, nil
}
