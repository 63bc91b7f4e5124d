package cli

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/route"
)

// packed is a configuration whose webhook takes every topic of the pack.
func packed(t *testing.T) (*config.Config, *route.Table) {
	t.Helper()
	cfg, diagnostics := config.Parse(map[string][]byte{"walpost.hcl": []byte(`
database {
  url = "postgres://localhost"
}
webhook "all" {
  topics = ["*"]
  url    = "https://example.com"
}`)})
	if diagnostics.HasErrors() {
		t.Fatal(diagnostics)
	}
	table, diagnostics := route.Compile(cfg)
	if diagnostics.HasErrors() {
		t.Fatal(diagnostics)
	}
	return cfg, table
}

// Each of the 27 topics has a sample; its row gives the topic, and what is sent of it is a notification by the objects'
// schema.
func TestSamples(t *testing.T) {
	t.Parallel()
	cfg, table := packed(t)
	schema, err := jsonschema.NewCompiler().Compile("../demo/testdata/objects.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Topics) != 27 {
		t.Fatalf("the pack has %d topics", len(cfg.Topics))
	}
	for _, topic := range cfg.Topics {
		payload := samplePayload(topic.Name)
		if payload == nil {
			t.Errorf("%s has no sample", topic.Name)
			continue
		}
		row := sampleRow(topic, payload)
		if row.ID == "" || row.AggregateType != topic.Aggregate || row.AggregateID == "1" {
			t.Errorf("%s: row %+v", topic.Name, row)
		}
		deliveries, problems := table.Route(row)
		at := slices.IndexFunc(deliveries, func(d route.Delivery) bool { return d.Topic == topic.Name })
		if len(problems) > 0 || at < 0 {
			t.Errorf("%s: a row of type %s %s gives %v, %v", topic.Name, row.AggregateType, row.Type, deliveries, problems)
			continue
		}
		request, problem := table.Render(t.Context(), &deliveries[at])
		if problem != nil {
			t.Errorf("%s: %v", topic.Name, problem)
			continue
		}
		var notification any
		if err := json.Unmarshal(request.Body, &notification); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(notification); err != nil {
			t.Errorf("%s: %v", topic.Name, err)
		}
	}
}

func TestSampleOfAnOwnTopic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		topic         config.Topic
		payload       string
		aggregate, id string
		eventType     string
	}{
		{config.Topic{Name: "invoice.paid", EventTypes: []string{"invoice.paid"}}, `{"invoice": {"id": "R-7"}}`, "invoice", "R-7", "paid"},
		{config.Topic{Name: "invoice.large"}, `{}`, "invoice", "1", "large"},
		{config.Topic{Name: "ping", EventTypes: []string{"ping"}}, `{"sample": {"id": 8}}`, "sample", "8", "ping"},
		{config.Topic{Name: "a.b", Aggregate: "c", EventTypes: []string{"a.b"}}, `{"c": {"id": 12345678901234567890}}`, "c", "12345678901234567890", "a.b"},
	} {
		row := sampleRow(&c.topic, []byte(c.payload))
		if row.AggregateType != c.aggregate || row.AggregateID != c.id || row.Type != c.eventType {
			t.Errorf("%s: %s %s, %s", c.topic.Name, row.AggregateType, row.AggregateID, row.Type)
		}
	}
}
