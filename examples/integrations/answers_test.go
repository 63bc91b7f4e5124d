//go:build unix

package integrations

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/ruletest"
	"github.com/walpost/walpost/outbox"
)

// operations are what the webhooks call.
var operations = []struct{ example, webhook, topic, operation string }{
	{"salesforce", "salesforce_leads", "lead.created", "lead.upsert"},
	{"salesforce/jwt", "salesforce_leads", "lead.created", "lead.upsert"},
	{"hubspot", "hubspot_contacts", "user.created", "contact.batch_upsert"},
	{"zendesk", "zendesk_open", "conversation.initiated", "ticket.create"},
	{"zendesk", "zendesk_comment", "conversation.message_received", "ticket.update"},
	{"zendesk", "zendesk_close", "conversation.closed", "ticket.update"},
	{"mailchimp", "mailchimp_members", "contact.campaign_subscribed", "member.upsert"},
	{"ga4", "ga4_page_views", "contact.page_visited", "collect"},
	{"ga4/batch", "ga4_page_views", "contact.page_visited", "collect"},
}

// What a webhook makes of each status is what operations.json says that it means, for an answer without a body.
func TestAnswersMeanWhatTheVendorSays(t *testing.T) {
	t.Parallel()
	for _, o := range operations {
		t.Run(o.example+"/"+o.webhook, func(t *testing.T) {
			t.Parallel()
			cfg, operation := load(t, o.example, nil), specOf(t, o.example).Operation(o.operation)
			cfg.Tests = nil
			for verdict, statuses := range map[config.Verdict][]int{
				config.VerdictDelivered: append(operation.Success, operation.Partial...),
				config.VerdictRejected:  operation.Permanent,
				// 401 where a new token helps: if it doesn't, the request is tried again later.
				config.VerdictRetry: append(operation.Retryable, append(operation.Refresh, http.StatusTooManyRequests, http.StatusBadGateway)...),
			} {
				for _, status := range statuses {
					cfg.Tests = append(cfg.Tests, &config.Test{
						Name:     fmt.Sprintf("%d is %s", status, verdict),
						Events:   []*outbox.Row{row(o.topic, sample(t, o.topic, 0), 1)},
						Captured: map[string]map[string]json.RawMessage{"zendesk_open": {"42": json.RawMessage("1001")}},
						Response: &config.TestResponse{Status: status, Header: http.Header{}},
						Expects:  []*config.Expect{{Webhook: o.webhook, Verdict: verdict}},
					})
				}
			}
			results, diags := ruletest.Run(t.Context(), cfg, nil)
			if diags.HasErrors() || len(results) != len(cfg.Tests) || len(results) < 3 {
				t.Fatalf("%d of %d results, %v", len(results), len(cfg.Tests), diags)
			}
			for _, r := range results {
				for _, f := range r.Failures {
					t.Errorf("%s: %s\n%s", r.Name, f.Summary, f.Diff)
				}
			}
		})
	}
}
