package doctor

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// check is one thing to look at. A judge gives one finding at least, or an error when it can't be looked at.
type check struct {
	name  string
	judge func(*exam) ([]Finding, error)
}

// checks are in the order in which they are shown: what others stand on comes first.
var checks = []check{
	{"connection", connection},
	{"server", judgeServer},
	{"pooler", pooler},
	{"replication", replication},
	{"wal_level", walLevel},
	{"replication_slots", slotsLeft},
	{"wal_senders", sendersLeft},
	{"connections", connectionsLeft},
	{"durability", durability},
	{"synchronous_commit", synchronousCommit},
	{"max_slot_wal_keep_size", slotKeepSize},
	{"idle_replication_slot_timeout", idleTimeout},
	{"wal_sender_timeout", senderTimeout},
	{"wal_keep", walKeep},
	{"standby_slots", standbySlots},
	{"clock", clock},
	{"transactions", transactions},
	{"prepared_transactions", preparedTransactions},

	{"role", judgeRole},
	{"outbox_rights", outboxRights},
	{"ledger_rights", ledgerRights},

	{"outbox_table", judgeTable},
	{"outbox_columns", columns},
	{"outbox_ids", ids},
	{"polling", judgePolling},
	{"outbox_policies", policies},
	{"outbox_triggers", triggers},
	{"outbox_partitions", partitions},
	{"outbox_rows", tableRows},
	{"outbox_retention", retention},

	{"publication", judgePublication},
	{"publication_age", publicationAge},
	{"replica_identity", replicaIdentity},

	{"slot", judgeSlot},
	{"slot_wal", slotWAL},
	{"slot_reader", slotReader},
	{"slot_failover", slotFailover},

	{"ledger", judgeLedger},
	{"ledger_publication", ledgerPublication},
	{"checkpoint", judgeCheckpoint},
	{"left_checkpoints", leftCheckpoints},
	{"attempt_partitions", attemptPartitions},
	{"attention", attention},
}

// one is the usual answer of a judge.
func one(f Finding) ([]Finding, error) { return []Finding{f}, nil }

// ok is what is as it should be.
func ok(found string, args ...any) ([]Finding, error) {
	return one(Finding{Severity: OK, Found: fmt.Sprintf(found, args...)})
}

// info is what is worth knowing.
func info(why, found string, args ...any) ([]Finding, error) {
	return one(Finding{Severity: Info, Found: fmt.Sprintf(found, args...), Why: why})
}

// skipped is for what doesn't apply, because of what another check says.
func skipped(reason string) ([]Finding, error) { return one(Finding{Severity: OK, Found: reason}) }

// ident quotes a name for SQL.
func ident(names ...string) string { return pgx.Identifier(names).Sanitize() }

// literal quotes a text for SQL.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// table is the outbox table's name for SQL.
func (x *exam) table() string { return x.cfg.Outbox.Table.Identifier() }

// tableName is its name for people.
func (x *exam) tableName() string { return x.cfg.Outbox.Table.Schema + "." + x.cfg.Outbox.Table.Name }
