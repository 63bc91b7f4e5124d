//go:build unix

package integrations

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"testing"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/internal/vendormock"
)

func spec(t testing.TB, vendor string) *vendormock.Spec {
	t.Helper()
	s, err := vendormock.Load(vendor + "/testdata")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func inboundSpec(t testing.TB) *vendormock.Spec {
	t.Helper()
	s, err := vendormock.Load("testdata/inbound")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// specOf is the specification that an example's requests must meet.
func specOf(t testing.TB, example string) *vendormock.Spec {
	t.Helper()
	switch example {
	case "salesforce", "salesforce/jwt":
		s := spec(t, "salesforce")
		if err := s.Bind("lead.upsert", "lead.schema.json"); err != nil {
			t.Fatal(err)
		}
		return s
	case "ga4", "ga4/batch":
		return spec(t, "ga4")
	case "hubspot", "zendesk", "mailchimp":
		return spec(t, example)
	default:
		return inboundSpec(t)
	}
}

// ticketNumber answers captured(): each conversation has a ticket.
func ticketNumber(_ context.Context, webhook, _ string) ([]byte, bool, error) {
	return []byte("1001"), webhook == "zendesk_open", nil
}

// Every request that an example makes of the samples of its topics is what its vendor's schema and operations say.
func TestRequestsFitTheVendor(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, example string) {
		cfg := load(t, example, nil)
		table := compile(t, cfg, route.WithCaptures(ticketNumber))
		deliveries := routed(t, table)
		vendor, valid := specOf(t, example), 0
		for _, webhook := range cfg.Webhooks {
			ds := deliveries[webhook.Name]
			if len(ds) == 0 {
				t.Errorf("no sample reaches webhook %s", webhook.Name)
			}
			for n := range ds {
				together := 1
				if webhook.Batch != nil {
					together = webhook.Batch.Max
				}
				request, problem := render(t, table, webhook, ds[n:min(n+together, len(ds))]...)
				if problem != nil {
					t.Errorf("%s %s %s: %v", webhook.Name, ds[n].Topic, ds[n].Row.Payload, problem)
					continue
				}
				if why := refusal(vendor, example, request); why != "" {
					t.Errorf("%s: %s", webhook.Name, why)
					continue
				}
				valid++
			}
		}
		t.Logf("%d requests are valid", valid)
	})
}

// routed routes every sample, and gives the deliveries by webhook.
func routed(t *testing.T, table *route.Table) map[string][]*route.Delivery {
	t.Helper()
	all, err := samples()
	if err != nil {
		t.Fatal(err)
	}
	deliveries, n := map[string][]*route.Delivery{}, 0
	for _, topic := range slices.Sorted(maps.Keys(all)) {
		for _, payload := range all[topic] {
			n++
			ds, problems := table.Route(row(topic, payload, n))
			for _, p := range problems {
				t.Errorf("%s %s: %v", topic, payload, &p)
			}
			for i := range ds {
				deliveries[ds[i].Webhook] = append(deliveries[ds[i].Webhook], &ds[i])
			}
		}
	}
	return deliveries
}

// render makes the request of deliveries, several of a batch.
func render(t *testing.T, table *route.Table, webhook *config.Webhook, ds ...*route.Delivery) (route.Request, *route.Problem) {
	t.Helper()
	if webhook.Batch != nil {
		return table.RenderBatch(t.Context(), ds)
	}
	return table.Render(t.Context(), ds[0])
}

// refusal says why the vendor would not take a request; "" if it would.
func refusal(vendor *vendormock.Spec, example string, request route.Request) string {
	u, err := url.Parse(request.URL)
	if err != nil {
		return err.Error()
	}
	r := &vendormock.Request{Method: request.Method, URL: u, Header: request.Header, Body: request.Body}
	if refusal := vendor.Check(r); refusal != nil {
		return refusal.Error()
	}
	target, inbound := inboundTargets[example]
	if !inbound {
		return ""
	}
	if r.Operation.ID != target.target {
		return "the request is for " + r.Operation.ID
	}
	if problem := vendormock.InboundProblem(target.target, r); problem != "" {
		return problem + " {" + string(request.Body)
	}
	return ""
}
