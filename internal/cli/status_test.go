package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/walpost/walpost/internal/admin"
	"github.com/walpost/walpost/internal/ledger"
)

// TestStatusShowsOpenBreakers: an endpoint that seems dead stands out among the webhooks, with since when and why.
func TestStatusShowsOpenBreakers(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := admin.NewReport(admin.Source{Slot: "s"}, []admin.Webhook{{Name: "crm", Enabled: true}, {Name: "erp", Enabled: true}, {Name: "hub", Enabled: true}}, ledger.Status{
		Now:  now,
		Slot: &ledger.SlotStatus{Active: true, WALStatus: "reserved"},
		Webhooks: []ledger.WebhookCount{
			{Webhook: "erp", States: map[ledger.State]int64{ledger.Pending: 40}, OldestDue: now.Add(-time.Minute)},
		},
		Breakers: []ledger.OpenBreaker{
			{Webhook: "erp", Daemon: "a:1", Since: now.Add(-time.Minute), Why: "refused"},
			{Webhook: "hub", Daemon: "a:1", Since: now.Add(-time.Hour), Why: "status 502"},
			{Webhook: "hub", Daemon: "b:1", Since: now, Why: "timeout"},
		},
	})
	text := statusText(r)
	_, webhooks, _ := strings.Cut(text, "WEBHOOK")
	want := `  STATE    OWED  DUE  FAILED  PARKED
crm      enabled     -  -         -       -
erp      probing    40  now       -       -  endpoint seems dead since 2026-03-01 11:59:00Z: refused
hub      probing     -  -         -       -  endpoint seems dead since 2026-03-01 11:00:00Z: status 502, to 2 daemons

Needs attention:
  - the endpoint of webhook "erp" seems dead since 2026-03-01 11:59:00 (refused): it is probed, and nothing else is sent until it answers
  - the endpoint of webhook "hub" seems dead since 2026-03-01 11:00:00 (status 502): it is probed, and nothing else is sent until it answers
`
	if webhooks != want {
		t.Errorf("got\n%s\nnot\n%s", webhooks, want)
	}
}
