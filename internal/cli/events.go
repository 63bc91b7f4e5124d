package cli

import (
	"context"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/outbox"
)

// eventSource is where an event was found.
type eventSource string

const (
	fromOutbox eventSource = "outbox"
	fromLedger eventSource = "ledger"
)

// findEvent reads an event from the ledger, which has it as it came out of the WAL, else from the outbox table. open gives
// the ledger.
func findEvent(ctx context.Context, cfg *config.Config, open func(context.Context) (*ledger.Ledger, error), id string) (
	*outbox.Row, eventSource, error,
) {
	book, err := open(ctx)
	if err != nil {
		return nil, "", err
	}
	row, err := book.Event(ctx, id)
	if err == nil && row != nil {
		return row, fromLedger, nil
	}
	if err != nil && !hasNoLedger(err) {
		return nil, "", err
	}
	if row, err = rowByID(ctx, cfg, id); err != nil {
		return nil, "", err
	}
	if row == nil {
		return nil, "", failed("select the ids with: select "+cfg.Outbox.Table.Columns.Names()[0]+" from "+tableName(cfg.Outbox.Table),
			"neither %s nor the ledger has an event %s: it was pruned, or never there", tableName(cfg.Outbox.Table), id)
	}
	return row, fromOutbox, nil
}
