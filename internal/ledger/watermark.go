package ledger

import (
	"context"
	_ "embed" // statements
	"fmt"
)

//go:embed sql/watermark.sql
var watermarkSQL string

// Watermark is a snapshot of the database and a position in the WAL: all transactions that the snapshot sees were
// committed at or below the position.
type Watermark struct {
	Snapshot string // pg_snapshot in text form
	LSN      uint64
	// Coverage is another text after every change of what the publication does with the table. Empty: there is none.
	Coverage string
}

// Outbox is the table that a stream reads, and the publication by which it does.
type Outbox struct{ Publication, Schema, Table string }

// Watermark takes one. It writes nothing.
func (l *Ledger) Watermark(ctx context.Context, o Outbox) (Watermark, error) {
	var w Watermark
	var position lsn
	if err := l.pool.QueryRow(ctx, watermarkSQL, o.Publication, o.Schema, o.Table).Scan(&w.Snapshot, &position, &w.Coverage); err != nil {
		return w, fmt.Errorf("take a watermark: %w", err)
	}
	w.LSN = uint64(position)
	return w, nil
}
