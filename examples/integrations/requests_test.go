//go:build unix

package integrations

import (
	"context"
	"net/url"
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

// Every request that an example makes of the samples of its topics is what its vendor's schema and operations say.
func TestRequestsFitTheVendor(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, example string) {
		cfg := load(t, example, nil)
		table := compile(t, cfg, route.WithCaptures(func(_ context.Context, webhook, _ string) ([]byte, bool, error) {
			return []byte("1001"), webhook == "zendesk_open", nil
		}))
		deliveries := routed(t, table)
		vendor, checked := specOf(t, example), 0
		for _, webhook := range cfg.Webhooks {
			if len(deliveries[webhook.Name]) == 0 {
				t.Errorf("no sample reaches webhook %s", webhook.Name)
			}
			for _, request := range requests(t, table, webhook, deliveries[webhook.Name]) {
				if check(t, vendor, example, webhook, request) {
					checked++
				}
			}
		}
		t.Logf("%d requests are valid", checked)
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
	for topic, payloads := range all {
		for _, payload := range payloads {
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

// requests renders a webhook's deliveries, each alone and, for a batch, in batches.
func requests(t *testing.T, table *route.Table, webhook *config.Webhook, ds []*route.Delivery) (all []route.Request) {
	t.Helper()
	for n, d := range ds {
		var request route.Request
		var problem *route.Problem
		if webhook.Batch == nil {
			request, problem = table.Render(t.Context(), d)
		} else {
			request, problem = table.RenderBatch(t.Context(), ds[n:min(n+webhook.Batch.Max, len(ds))])
		}
		if problem != nil {
			t.Errorf("%s %s %s: %v", webhook.Name, d.Topic, d.Row.Payload, problem)
			continue
		}
		all = append(all, request)
	}
	return all
}

// check validates a request.
func check(t *testing.T, vendor *vendormock.Spec, example string, webhook *config.Webhook, request route.Request) (valid bool) {
	t.Helper()
	u, err := url.Parse(request.URL)
	if err != nil {
		t.Fatal(err)
	}
	r := &vendormock.Request{Method: request.Method, URL: u, Header: request.Header, Body: request.Body}
	if refusal := vendor.Check(r); refusal != nil {
		t.Errorf("%s: %v", webhook.Name, refusal)
		return false
	}
	target, inbound := inboundTargets[example]
	if !inbound {
		return true
	}
	problem := vendormock.InboundProblem(target.target, r)
	if r.Operation.ID != target.target || problem != "" {
		t.Errorf("%s, for %s: %s: %s", webhook.Name, r.Operation.ID, problem, request.Body)
		return false
	}
	return true
}
