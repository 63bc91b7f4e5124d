package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/ledger"
)

func (a *app) replayCommand() *cobra.Command {
	r := &replay{app: a}
	cmd := &cobra.Command{
		Use:   "replay [ID]...",
		Short: "Send failed or parked deliveries again, or route quarantined events again",
		Long: `Send deliveries again, with a new schedule and their old ids: those that are named,
or all failed, parked and cancelled ones that the flags select. Delivered ones are
sent again only by id. With --row, send all deliveries of an outbox row, also those of
which the ledger knows nothing. With --quarantined, route quarantined events again, under the
rules that are in force now. A running daemon starts within a second.`,
		Example: `  walpost replay 0b7e6d5c-8d0c-5f4e-9f6a-3f1c2b4a5d6e
  walpost replay --webhook crm --state failed --since 1d --dry-run
  walpost replay --row 0b7e6d5c-8d0c-4f4e-9f6a-3f1c2b4a5d6e
  walpost replay --quarantined`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := r.prepare(args); err != nil {
				return err
			}
			return a.withLedger(cmd.Context(), func(ctx context.Context, cfg *config.Config, book *ledger.Ledger) error {
				if len(r.rows) > 0 {
					return r.replayRows(ctx, cfg, book)
				}
				return r.run(ctx, cfg, book)
			})
		},
	}
	r.flags.addTo(cmd, a)
	cmd.Flags().BoolVar(&r.quarantined, "quarantined", false, "route quarantined events again instead")
	cmd.Flags().StringSliceVar(&r.rows, "row", nil, "the outbox row with this `ID` instead, read from the table")
	cmd.Flags().BoolVar(&r.all, "all", false, "all that can be replayed, where no other flag selects")
	cmd.Flags().BoolVar(&r.dryRun, "dry-run", false, "only say how many there are")
	return cmd
}

// replay is one run of walpost replay.
type replay struct {
	*app
	flags                    filterFlags
	quarantined, all, dryRun bool
	rows                     []string // ids of outbox rows
	filter                   ledger.Filter
}

// prepare checks what is to be replayed.
func (r *replay) prepare(ids []string) error {
	for _, id := range ids {
		if err := validID(id); err != nil {
			return err
		}
	}
	r.filter = r.flags.filter()
	r.filter.IDs = ids
	f := &r.filter
	selected := len(ids) > 0 || f.EventID != "" || f.Webhook != "" || f.Topic != "" || len(f.States) > 0 || !f.Since.IsZero()
	switch {
	case len(r.rows) > 0 && (selected || r.quarantined || r.all):
		return usage("walpost replay --row ID", "--row sends all deliveries of a row: it goes with no other flag but --dry-run")
	case len(r.rows) > 0:
		return nil
	case r.quarantined && (len(ids) > 0 || len(f.States) > 0):
		return usage("walpost replay --quarantined --event ID", "quarantined events have neither delivery ids nor states: select them by --event, --webhook, --topic or --since")
	case !r.quarantined && !selected && !r.all:
		return usage("walpost replay --state failed --dry-run, or --all", "walpost replay needs the ids of deliveries, or flags that select some")
	}
	for _, s := range f.States {
		if _, ok := s.Next(ledger.Replay); !ok {
			return usage("walpost replay --state failed", "%s deliveries are sent anyway and can't be replayed", s)
		}
		if s == ledger.Delivered && len(ids) == 0 {
			return usage("walpost replay ID", "delivered ones are replayed by id only")
		}
	}
	return nil
}

func (r *replay) run(ctx context.Context, cfg *config.Config, book *ledger.Ledger) error {
	if r.filter.Webhook != "" && !r.quarantined {
		if err := mustKnow(cfg, r.filter.Webhook); err != nil {
			return err
		}
	}
	noun, what, perform, measure := "delivery", "sent again", book.Replay, r.countDeliveries
	if r.quarantined {
		noun, what, perform, measure = "quarantined event", "routed again", book.ReplayQuarantined, r.countQuarantined
	}
	if r.dryRun {
		n, err := measure(ctx, book)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(r.Stdout, "%s would be %s\n", count(n, noun), what)
		return err
	}
	n, err := perform(ctx, r.filter)
	if errors.Is(err, ledger.ErrNoMatch) {
		return failed("walpost deliveries lists what there is", "nothing in the ledger matches")
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(r.Stdout, "%s to be %s\n", count(n, noun), what)
	return err
}

// page is how many entries are counted at a time.
const page = 1000

// countDeliveries counts what Replay would move.
func (r *replay) countDeliveries(ctx context.Context, book *ledger.Ledger) (n int64, err error) {
	f := r.filter
	f.Limit = page
	for {
		views, err := book.Deliveries(ctx, f)
		if err != nil {
			return n, err
		}
		for _, v := range views {
			if _, ok := v.State.Next(ledger.Replay); ok && (v.State != ledger.Delivered || len(f.IDs) > 0) {
				n++
			}
		}
		if len(views) < page {
			return n, nil
		}
		f.Before = views[len(views)-1].ID
	}
}

// countQuarantined counts what ReplayQuarantined would have routed again.
func (r *replay) countQuarantined(ctx context.Context, book *ledger.Ledger) (n int64, err error) {
	f := r.filter
	f.Limit = page
	for {
		views, err := book.Quarantine(ctx, f)
		if err != nil {
			return n, err
		}
		n += int64(len(views))
		if len(views) < page {
			return n, nil
		}
		f.Before = fmt.Sprint(views[len(views)-1].ID)
	}
}
