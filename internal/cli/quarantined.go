package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/walpost/walpost/internal/admin"
	"github.com/walpost/walpost/internal/ledger"
)

// quarantineDocument is the document of walpost deliveries --quarantined -o json.
type quarantineDocument struct {
	Format      int                     `json:"format"`
	Quarantined []ledger.QuarantineView `json:"quarantined"` // newest first
	More        bool                    `json:"more"`        // the limit has cut the list off
}

func (a *app) listQuarantined(ctx context.Context, book *ledger.Ledger, f ledger.Filter, out output) error {
	if len(f.States) > 0 {
		return usage("walpost deliveries --quarantined", "--state is for deliveries: a quarantined event has none")
	}
	limit := f.Limit
	f.Limit++ // one more tells whether there are more
	views, err := book.Quarantine(ctx, f)
	if err != nil {
		return err
	}
	document := quarantineDocument{Format: admin.Format, More: len(views) > limit}
	document.Quarantined = append([]ledger.QuarantineView{}, views[:min(limit, len(views))]...)
	return out.write(a.Stdout, document, func() string {
		if len(document.Quarantined) == 0 {
			return "No such events in quarantine.\n"
		}
		return quarantineText(document)
	})
}

func quarantineText(document quarantineDocument) string {
	var b strings.Builder
	for i, v := range document.Quarantined {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s  %s", v.EventID, moment(v.At))
		for _, part := range []struct{ name, value string }{{"rule", v.Rule}, {"webhook", v.Webhook}, {"topic", v.Topic}} {
			if part.value != "" {
				fmt.Fprintf(&b, "  %s %s", part.name, part.value)
			}
		}
		if !v.ReplayRequestedAt.IsZero() {
			b.WriteString("  replay requested")
		}
		fmt.Fprintf(&b, "\n    %s\n", indent(printable(v.Diagnostic), 4))
	}
	if document.More {
		fmt.Fprintf(&b, "\nThere are more than these %d: --limit shows them.\n", len(document.Quarantined))
	}
	b.WriteString("\nWhen the cause is mended: walpost replay --quarantined\n")
	return b.String()
}
