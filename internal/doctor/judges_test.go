package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/outbox"
)

// What the tests' server can't be made to say: of other versions, of standbys, and of what takes hours.
func TestJudges(t *testing.T) {
	t.Parallel()
	const server = `{"version": 180001, "number": "18.1", "role": "walpost", "database": "app"}`
	for name, c := range map[string]struct {
		judge     func(*exam) ([]Finding, error)
		documents map[string]string
		want      Severity
		found     string
		fix       string
	}{
		"too old":            {judgeServer, map[string]string{"server": `{"version": 110000, "number": "11.9"}`, "settings": `{}`}, Stops, "PostgreSQL 11.9 is too old", "12 or later"},
		"a standby":          {judgeServer, map[string]string{"server": `{"version": 170000, "number": "17.0", "recovery": true}`, "settings": `{}`}, Stops, "a standby", "target_session_attrs=read-write"},
		"no TID range scans": {judgeServer, map[string]string{"server": `{"version": 130000, "number": "13.3"}`, "settings": `{}`}, Info, "PostgreSQL 13.3", ""},

		"logical by itself":   {walLevel, map[string]string{"server": `{"version": 190000}`, "settings": `{"wal_level": {"value": "replica"}}`}, OK, "replica", ""},
		"waits for a restart": {walLevel, map[string]string{"server": server, "settings": `{"wal_level": {"value": "replica", "pending": true}}`}, Stops, "replica (another value waits for the server's restart)", "wal_level = 'logical'"},

		"idle for an hour": {idleTimeout, map[string]string{"settings": `{"idle_replication_slot_timeout": {"value": "3600", "unit": "s"}}`}, Warning, "1h0m0s", "idle_replication_slot_timeout = '2d'"},
		"idle for a week":  {idleTimeout, map[string]string{"settings": `{"idle_replication_slot_timeout": {"value": "10080", "unit": "min"}}`}, Info, "7 days", ""},
		"idle for ever":    {idleTimeout, map[string]string{"settings": `{"idle_replication_slot_timeout": {"value": "0", "unit": "s"}}`}, OK, "off", ""},

		"lasts for long": {slotKeepSize, map[string]string{"settings": `{"max_slot_wal_keep_size": {"value": "65536", "unit": "MB"}}`, "wal_rate": `1048576`}, OK, "64 GB, which lasts for 18h12m16s at the average of 1 MB/s", ""},
		"lasts an hour":  {slotKeepSize, map[string]string{"settings": `{"max_slot_wal_keep_size": {"value": "4096", "unit": "MB"}}`, "wal_rate": `1048576`}, Warning, "lasts for 1h8m16s", "max_slot_wal_keep_size = '84GB'"},

		"waits for no standby":       {standbySlots, map[string]string{"settings": `{"synchronized_standby_slots": {"value": ""}}`}, OK, "waits for no standby", ""},
		"waits for standbys":         {standbySlots, map[string]string{"settings": `{"synchronized_standby_slots": {"value": "a, \"b\""}}`, "standbys": `{"active": ["a", "b"], "inactive": []}`}, OK, "all are read", ""},
		"waits for one that is down": {standbySlots, map[string]string{"settings": `{"synchronized_standby_slots": {"value": "a, b"}}`, "standbys": `{"active": ["a"], "inactive": ["b"]}`}, Stops, "that no standby reads: b", "take it out"},
		"waits for nobody":           {standbySlots, map[string]string{"settings": `{"synchronized_standby_slots": {"value": "a, b"}}`, "standbys": `{"active": ["a"], "inactive": []}`}, Stops, "that do not exist: b", "take it out"},

		"no failover, no standby":   {slotFailover, map[string]string{"slot": `{"failover": false}`, "standbys": `{"active": []}`, "url server": server}, Info, "without failover", `ALTER_REPLICATION_SLOT "walpost" (FAILOVER true); -- while walpost is stopped, over psql "dbname=app replication=database"`},
		"no failover, and standbys": {slotFailover, map[string]string{"slot": `{"failover": false}`, "standbys": `{"active": ["a"]}`, "url server": server}, Warning, "without failover", "FAILOVER true"},
		"failover":                  {slotFailover, map[string]string{"slot": `{"failover": true}`}, OK, "can take the slot over", ""},

		"about to be lost": {slotWAL, map[string]string{"slot": `{"wal_status": "unreserved", "retained": 5368709120, "safe_wal_size": -1}`}, Warning, "5 GB retained", "max_slot_wal_keep_size = -1"},
		"little is left":   {slotWAL, map[string]string{"slot": `{"wal_status": "reserved", "retained": 1024, "safe_wal_size": 1048576}`}, Warning, "1 MB until it is given up", "run walpost now"},
		"much is retained": {slotWAL, map[string]string{"slot": `{"wal_status": "extended", "retained": 53687091200}`}, Warning, "50 GB retained", "run walpost"},
		"invalidated": {judgeSlot, map[string]string{
			"slot":           `{"slot_type": "logical", "plugin": "pgoutput", "here": true, "wal_status": "lost", "invalidation_reason": "idle_timeout"}`,
			"url checkpoint": `{"started": true, "snapshot": true}`,
		}, Warning, `"walpost" is invalidated (idle_timeout), and there is a checkpoint`, "walpost run"},
		"two-phase":          {judgeSlot, map[string]string{"slot": `{"slot_type": "logical", "plugin": "pgoutput", "here": true, "two_phase": true}`}, Info, "two_phase", ""},
		"read by another":    {slotReader, map[string]string{"slot": `{"active": true, "active_pid": 7, "reader": {"application": "Debezium Streaming", "role": "cdc", "address": "10.0.0.7"}}`}, Warning, `application "Debezium Streaming", role "cdc" from 10.0.0.7`, "outbox.slot"},
		"read by walpost":    {slotReader, map[string]string{"slot": `{"active": true, "active_pid": 7, "reader": {"application": "walpost", "role": "walpost"}}`}, OK, "pid 7", ""},
		"idle since a day":   {slotReader, map[string]string{"slot": `{"active": false, "idle": 90000}`}, Info, "nobody for 25h0m0s", ""},
		"a long transaction": {transactions, map[string]string{"transactions": `{"hidden": 0, "oldest": {"pid": 4711, "application": "psql", "role": "ada", "database": "app", "state": "idle in transaction", "age": 7200}}`}, Warning, "pid 4711 has a transaction open for 2h0m0s, idle in transaction (role ada, database app, application psql)", "pg_terminate_backend(4711)"},
		"a short one":        {transactions, map[string]string{"transactions": `{"hidden": 0, "oldest": {"pid": 4711, "age": 2}}`}, OK, "for 2s", ""},
		"one left over":      {preparedTransactions, map[string]string{"prepared": `[{"gid": "it's", "role": "ada", "database": "app", "age": 864000}]`}, Warning, `"it's", for 10 days`, "rollback prepared 'it''s';"},
		"clocks apart":       {clock, map[string]string{"url clock": `1000000000`}, Warning, "ahead of the database", "NTP"},
		"bloat":              {tableRows, map[string]string{"table": `{"vacuum": true, "live": 10, "dead": 500000, "bytes": 1073741824}`, "settings": `{"autovacuum": {"value": "on"}}`}, Warning, "500000 of them dead; 1 GB", `vacuum "public"."outbox";`},
		"autovacuum is off":  {tableRows, map[string]string{"table": `{"vacuum": true}`, "settings": `{"autovacuum": {"value": "off"}}`}, Warning, "autovacuum is off", "alter system set autovacuum = on"},
		"senders":            {sendersLeft, map[string]string{"settings": `{"max_wal_senders": {"value": "10"}}`, "usage": `{"senders": 9}`}, Warning, "9 of 10 in use", "max_wal_senders = 20"},
		"slots":              {slotsLeft, map[string]string{"settings": `{"max_replication_slots": {"value": "10"}}`, "usage": `{"slots": 10}`, "slot": `{}`}, Warning, "10 of 10 in use", "max_replication_slots = 20"},
		"local commits":      {synchronousCommit, map[string]string{"settings": `{"synchronous_commit": {"reset": "local"}, "synchronous_standby_names": {"value": "*"}}`}, Info, "local", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := &exam{ctx: context.Background(), documents: map[string]document{}, cfg: &config.Config{Outbox: config.Outbox{
				Table: outbox.Table{Schema: "public", Name: "outbox", Columns: outbox.DefaultColumns}, Slot: "walpost", Publication: "walpost",
			}}}
			for key, text := range c.documents {
				if !strings.HasPrefix(key, "url ") {
					key = string(byReplication) + " " + key
				}
				x.documents[key] = document{json: []byte(text)}
			}
			findings, err := c.judge(x)
			if err != nil || len(findings) != 1 {
				t.Fatalf("got %v, %v", findings, err)
			}
			f := findings[0]
			if f.Severity != c.want || !strings.Contains(f.Found, c.found) || !strings.Contains(f.Fix, c.fix) {
				t.Errorf("got %s: %s\n%s\nwant %s: %s\n%s", f.Severity, f.Found, f.Fix, c.want, c.found, c.fix)
			}
		})
	}
}

// A check that can't be made says why, and is no reason to fail.
func TestUnable(t *testing.T) {
	t.Parallel()
	x := &exam{}
	for want, err := range map[string]error{
		"not looked at: there is no connection":                        &unconnected{errors.New("refused")},
		"not looked at: permission denied for schema walpost":          fmt.Errorf("ask: %w", &pgconn.PgError{Code: "42501", Message: "permission denied for schema walpost"}),
		"not looked at: the server has not answered within 5 s":        &pgconn.PgError{Code: "57014"},
		"not looked at: somebody holds a lock that no reader can pass": &pgconn.PgError{Code: "55P03"},
		"not looked at: relation \"x\" does not exist":                 &pgconn.PgError{Code: "42P01", Message: `relation "x" does not exist`},
		"not looked at: decode the answer to slot: unexpected end":     errors.New("decode the answer to slot: unexpected end"),
	} {
		if f := x.unable(err); f.Severity != Unknown || f.Found != want {
			t.Errorf("got %s: %s", f.Severity, f.Found)
		}
	}
}
