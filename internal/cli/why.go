package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/admin"
	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/outbox"
)

func (a *app) whyCommand() *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use:   "why EVENT_ID",
		Short: "Explain what becomes of an event, and what has happened",
		Long: `Explain one event: which rules match, with the values that their conditions read;
which topics it has; which webhooks take them, and why not; and what the ledger knows
of its deliveries, attempts and quarantine. Rules and webhooks are those of the
configuration as it is now; the row is that of the ledger or of the outbox table.`,
		Example: `  walpost why 0b7e6d5c-8d0c-4f4e-9f6a-3f1c2b4a5d6e
  walpost why 4711 -o json | jq '.rules[] | select(.result == "matched")'`,
		Args: oneArg("EVENT_ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withLedger(cmd.Context(), func(ctx context.Context, cfg *config.Config, book *ledger.Ledger) error {
				return a.why(ctx, cfg, book, args[0], out)
			})
		},
	}
	out.addTo(cmd)
	return cmd
}

func (a *app) why(ctx context.Context, cfg *config.Config, book *ledger.Ledger, id string, out output) error {
	table, diagnostics := route.Compile(cfg)
	if diagnostics.HasErrors() {
		return a.refuse(cfg.Files, diagnostics)
	}
	open := func(context.Context) (*ledger.Ledger, error) { return book, nil }
	row, source, err := findEvent(ctx, cfg, open, id)
	if err != nil {
		return err
	}
	document := newWhyDocument(cfg, row, source, table.Explain(row))
	if err := document.remember(ctx, book); err != nil && !hasNoLedger(err) {
		return err
	}
	return out.write(a.Stdout, document, func() string { return document.text(time.Now()) })
}

// whyDocument is the document of walpost why -o json.
type whyDocument struct {
	Format int      `json:"format"`
	Event  whyEvent `json:"event"`
	route.Explanation
	Recorded    []ledger.DeliveryDetail `json:"deliveries"` // in the ledger
	Quarantined []ledger.QuarantineView `json:"quarantined"`

	recordsAll bool
}

// whyEvent is the event without its payload.
type whyEvent struct {
	ID            string      `json:"id"`
	AggregateType string      `json:"aggregate_type"`
	AggregateID   string      `json:"aggregate_id"`
	Type          string      `json:"type"`
	CreatedAt     time.Time   `json:"created_at,omitzero"`
	Source        eventSource `json:"source"`
}

func newWhyDocument(cfg *config.Config, row *outbox.Row, source eventSource, x route.Explanation) *whyDocument {
	return &whyDocument{
		Format: admin.Format,
		Event: whyEvent{
			ID: row.ID, AggregateType: row.AggregateType, AggregateID: row.AggregateID, Type: row.Type,
			CreatedAt: row.CreatedAt, Source: source,
		},
		Explanation: x, Recorded: []ledger.DeliveryDetail{}, Quarantined: []ledger.QuarantineView{},
		recordsAll: cfg.Ledger.Record == config.RecordAll,
	}
}

// remember adds what the ledger knows of the event.
func (d *whyDocument) remember(ctx context.Context, book *ledger.Ledger) error {
	f := ledger.Filter{EventID: d.Event.ID, Limit: page}
	views, err := book.Deliveries(ctx, f)
	if err != nil {
		return err
	}
	for _, v := range views {
		detail, err := book.Delivery(ctx, v.ID)
		if err != nil {
			return err
		}
		if detail != nil { // else it was pruned just now
			d.Recorded = append(d.Recorded, *detail)
		}
	}
	quarantined, err := book.Quarantine(ctx, f)
	d.Quarantined = append(d.Quarantined, quarantined...)
	return err
}
