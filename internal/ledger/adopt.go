package ledger

import (
	"context"
	_ "embed" // statements
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

var (
	//go:embed sql/adopt.sql
	adoptSQL string
	//go:embed sql/lineage.sql
	lineageSQL string
)

// From says which rows an adopted database begins with.
type From string

const (
	// FromCheckpoint begins with the rows that the checkpoint's snapshot doesn't see, where Shared.
	FromCheckpoint From = "kept"
	// FromNow begins with what is committed from now on.
	FromNow From = "now"
	// FromBacklog begins with all rows of the table.
	FromBacklog From = "backlog"
)

// Shared reports whether the database has the history of the slot's checkpoint: it was copied with its files, as pg_upgrade
// and file-level copies do, so the checkpoint's snapshot tells which rows were dealt with. A dump, or rows that were
// replicated, have none of it.
func (l *Ledger) Shared(ctx context.Context, slot string) (shared bool, err error) {
	err = l.pool.QueryRow(ctx, lineageSQL, slot).Scan(&shared)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the lineage of slot %q: %w", slot, err)
	}
	return shared, nil
}

// Adopt makes the slot's checkpoint one of this database, and fences whoever owned it. The next daemon makes the slot anew
// and reads from the table what is to begin with.
func (l *Ledger) Adopt(ctx context.Context, slot, systemID string, timeline int32, from From, detail string) error {
	tag, err := l.pool.Exec(ctx, adoptSQL, slot, systemID, timeline, from, detail)
	if err != nil {
		return fmt.Errorf("adopt the database for slot %q: %w", slot, err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("adopt the database for slot %q: it has no checkpoint to begin with: %w", slot, ErrNoMatch)
	}
	return nil
}
