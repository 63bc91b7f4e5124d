package config

import "time"

// Ledger says what the ledger keeps, and for how long.
type Ledger struct {
	Record    Record
	Retention time.Duration // of finished deliveries; default 7 days
}

// Record says which deliveries the ledger keeps.
type Record string

const (
	// RecordFailures keeps only what was not delivered at the first attempt. It is
	// the default, and costs the database nothing for a delivered event.
	RecordFailures Record = "failures"
	// RecordAll also keeps every success at the first attempt.
	RecordAll Record = "all"
)
