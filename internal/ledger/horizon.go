package ledger

import (
	"context"
	_ "embed" // statements
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

var (
	//go:embed sql/horizon_note.sql
	horizonNoteSQL string
	//go:embed sql/horizon_forget.sql
	horizonForgetSQL string
	//go:embed sql/horizon.sql
	horizonSQL string
)

// NoteHorizon keeps how far the slot's checkpoint has come until now, unless it stands still: later, Horizon tells by it
// what has been resolved for how long. It is to be called several times within a retention.
func (l *Ledger) NoteHorizon(ctx context.Context, slot string, retention time.Duration) error {
	for _, sql := range []struct {
		text string
		args []any
	}{{horizonNoteSQL, []any{slot}}, {horizonForgetSQL, []any{slot, retention}}} {
		if _, err := l.pool.Exec(ctx, sql.text, sql.args...); err != nil {
			return fmt.Errorf("note the horizon of slot %q: %w", slot, err)
		}
	}
	return nil
}

// Horizon gives the 64-bit id of a transaction: the outbox rows of all transactions below it have been resolved for as long
// as retention. 0: there is no such one yet, or nothing must be deleted now, because the stream has an open incident or the
// server isn't the one that it was.
//
// A recovery reads what the checkpoint's snapshot doesn't surely see. That snapshot is at least as far as the one which
// the horizon was taken from, so no recovery asks for a row below it, whenever the slot is lost.
func (l *Ledger) Horizon(ctx context.Context, slot string, retention time.Duration) (xid int64, err error) {
	err = l.pool.QueryRow(ctx, horizonSQL, slot, retention).Scan(&xid)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the horizon of slot %q: %w", slot, err)
	}
	return xid, nil
}
