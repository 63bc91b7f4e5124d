package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/reconcile"
	"github.com/walpost/walpost/internal/route"
)

// replayRows has all deliveries of outbox rows sent again, whether or not the ledger knows of them, under the rules as they
// are now.
func (r *replay) replayRows(ctx context.Context, cfg *config.Config, book *ledger.Ledger) (err error) {
	table, diagnostics := route.Compile(cfg)
	if diagnostics.HasErrors() {
		return r.refuse(cfg.Files, diagnostics)
	}
	sender := reconcile.NewSender(book)
	defer func() { err = errors.Join(err, sender.Close()) }()
	n := 0
	for _, id := range r.rows {
		row, err := rowByID(ctx, cfg, id)
		if err != nil {
			return err
		}
		if row == nil {
			return failed("walpost replay --event "+id+" sends what the ledger has of it", "%s has no row %q", tableName(cfg.Outbox.Table), id)
		}
		deliveries, problems := table.Route(row)
		if len(problems) > 0 {
			return failed("walpost why "+id, "row %s can't be routed: %s", id, problems[0].Error())
		}
		n += len(deliveries)
		if r.dryRun {
			continue
		}
		if err := sender.Resend(ctx, reconcile.Debt{Row: row, Deliveries: deliveries}); err != nil {
			return err
		}
	}
	verb := "to be"
	if r.dryRun {
		verb = "would be"
	}
	_, err = fmt.Fprintf(r.Stdout, "%s %s sent again\n", count(n, "delivery"), verb)
	return err
}
