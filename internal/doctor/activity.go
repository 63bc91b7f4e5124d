package doctor

import (
	"fmt"
	"strings"
)

// longTransaction is how long one may be open, in seconds, before it is a finding.
const longTransaction = 300

// transactions: a transaction that is open for long keeps WAL and holds up the creation of a slot.
func transactions(x *exam) ([]Finding, error) {
	type document struct {
		Hidden int64 `json:"hidden"`
		Oldest *struct {
			PID         int     `json:"pid"`
			Application string  `json:"application"`
			Role        string  `json:"role"`
			Database    string  `json:"database"`
			State       string  `json:"state"`
			Age         float64 `json:"age"`
		} `json:"oldest"`
	}
	d, err := ask[document](x, byReplication, "transactions")
	if err != nil {
		return nil, err
	}
	var findings []Finding
	switch o := d.Oldest; {
	case o == nil:
		findings, _ = ok("none is open")
	case o.Age < longTransaction:
		findings, _ = ok("the longest has been open for %s", span(o.Age))
	default:
		who := []string{"role " + o.Role, "database " + o.Database}
		if o.Application != "" {
			who = append(who, "application "+o.Application)
		}
		findings = []Finding{{
			Severity: Warning,
			Found:    fmt.Sprintf("pid %d has a transaction open for %s, %s (%s)", o.PID, span(o.Age), o.State, strings.Join(who, ", ")),
			Why:      "The server keeps all WAL since its beginning, a new slot waits for its end, and vacuum cleans nothing that it may see.",
			Fix:      fmt.Sprintf("select pg_terminate_backend(%d); -- and give the role an idle_in_transaction_session_timeout", o.PID),
		}}
	}
	if d.Hidden == 0 {
		return findings, nil
	}
	s, err := x.server()
	if err != nil {
		return nil, err
	}
	return append(findings, Finding{
		Severity: Unknown, Found: fmt.Sprintf("role %q may not see the transactions of %s", s.Role, count(d.Hidden, "other session")),
		Fix: fmt.Sprintf("grant pg_read_all_stats to %s;", ident(s.Role)),
	}), nil
}

func preparedTransactions(x *exam) ([]Finding, error) {
	type prepared struct {
		GID      string  `json:"gid"`
		Role     string  `json:"role"`
		Database string  `json:"database"`
		Age      float64 `json:"age"`
	}
	list, err := ask[[]prepared](x, byReplication, "prepared")
	if err != nil {
		return nil, err
	}
	if len(*list) == 0 {
		return ok("none")
	}
	oldest := (*list)[0]
	found := fmt.Sprintf("%d, the oldest, %q, for %s (role %s, database %s)", len(*list), oldest.GID, span(oldest.Age), oldest.Role, oldest.Database)
	if oldest.Age < longTransaction {
		return ok("%s", found)
	}
	return one(Finding{
		Severity: Warning, Found: found,
		Why: "One that was left over keeps WAL and its locks for ever, across restarts; its events are sent when it is committed.",
		Fix: fmt.Sprintf("rollback prepared %s; -- or commit prepared, in that database", literal(oldest.GID)),
	})
}
