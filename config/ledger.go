package config

import "time"

// Ledger says what the ledger keeps, and for how long.
type Ledger struct {
	Record    Record
	Retention time.Duration // of finished deliveries; default 7 days
	Hold      time.Duration // of parked deliveries, which are cancelled then; default 7 days
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

func (l *loader) decodeLedger() {
	l.config.Ledger = Ledger{Record: RecordFailures, Retention: 7 * 24 * time.Hour, Hold: 7 * 24 * time.Hour}
	b := l.one("ledger")
	if b == nil {
		return
	}
	if record, ok := b.choice("record", string(RecordFailures), string(RecordAll)); ok {
		l.config.Ledger.Record = Record(record)
	}
	if d, ok := b.duration("retention", time.Hour, maxRetention); ok {
		l.config.Ledger.Retention = d
	}
	if d, ok := b.duration("hold", time.Hour, maxRetention); ok {
		l.config.Ledger.Hold = d
	}
}
