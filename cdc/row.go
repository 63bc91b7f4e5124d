package cdc

import "time"

// Relation describes the columns of a table at one point of the stream. A change of the table makes a new
// Relation, so rows with the same pointer have the same columns.
type Relation struct {
	Schema, Name string
	ID           uint32 // OID
	Columns      []Column
}

// Column is one column of a Relation.
type Column struct {
	Name    string
	TypeOID uint32
	Key     bool // part of the replica identity
}

// Batch is a run of rows, handed over together.
type Batch []Row

// Row is one inserted row of a committed transaction. Its receiver owns it and calls Resolve exactly once.
type Row struct {
	Relation   *Relation
	Values     [][]byte  // text format in the order of Relation.Columns, nil = NULL
	CommitLSN  LSN       // start of the transaction's commit record
	CommitTime time.Time // when it was committed, by the server's clock
	XID        uint32
	Ordinal    int // 0-based place among the rows of its transaction
	// Recovered says that the row may have been dealt with before: it was read from the table in place of a lost slot, or it
	// is what a Poller finds first. With a lost slot CommitLSN is the new slot's position and XID is 0.
	//
	// A row that was read from the table, by a recovery or a Poller, has a CommitLSN and a CommitTime of soon after its
	// commit: of when it was seen.
	Recovered bool

	// Message says that this is a logical message: its content is the only value.
	Message bool

	txn *txn
}

// Obsolete reports that the row is of no account any more: the stream has begun anew since it was received, and who reads
// the slot now has got it again, or will. Resolving it changes nothing.
func (r *Row) Obsolete() bool { return r.txn.tracker.replaced.Load() }

// Resolve says that nothing more is to be done for the row: it is delivered, or durably recorded elsewhere.
// It is called exactly once for each row, from any goroutine; a position to confirm never passes a row that
// isn't resolved.
func (r *Row) Resolve() {
	r.txn.release()
}

// Transaction is what rows are confirmed with, all or none: their transaction, or those that were polled together. Rows
// that belong together have equal ones. The zero value has no rows.
type Transaction struct{ txn *txn }

// Transaction is the row's.
func (r *Row) Transaction() Transaction { return Transaction{r.txn} }

// Resolved reports whether all its rows have arrived and are resolved.
func (t Transaction) Resolved() bool {
	if t.txn == nil {
		return true
	}
	t.txn.tracker.mu.Lock()
	defer t.txn.tracker.mu.Unlock()
	return t.txn.done
}
