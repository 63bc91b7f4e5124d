package outbox

import "time"

// Row is an outbox row as walpost reads it back: an event.
type Row struct {
	ID            string
	AggregateType string
	AggregateID   string
	Type          string
	Payload       []byte    // JSON text as Postgres sent it, an object; never modified
	Headers       []byte    // JSON text; nil: NULL, or no such column
	CreatedAt     time.Time // UTC; zero: no such column
	CommittedAt   time.Time // of the transaction; set by who reads the WAL
	LSN           uint64    // of the commit record; set by who reads the WAL
}

// RowError says why a row that was read is not an event.
type RowError struct {
	Column  string // "" if it is not about one column
	Problem string // no values of the row
}

// Error tells column and problem.
func (e *RowError) Error() string {
	if e.Column == "" {
		return "outbox row " + e.Problem
	}
	return "outbox column " + quote(e.Column) + " " + e.Problem
}
