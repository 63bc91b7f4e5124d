package cli

import (
	_ "embed" // the samples
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/outbox"
)

// samplesJSON has a payload for each topic of the built-in pack, in the shape of its objects.
//
//go:embed samples.json
var samplesJSON []byte

// samplePayload gives the built-in payload of a topic, or nil.
func samplePayload(topic string) []byte {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(samplesJSON, &all); err != nil {
		panic("samples.json: " + err.Error()) // a test reads it
	}
	return all[topic]
}

// sampleRow makes a row as an application would insert it now to give the topic: with an id of its own, as receivers drop
// what they had before.
func sampleRow(topic *config.Topic, payload []byte) *outbox.Row {
	now := time.Now().UTC().Truncate(time.Microsecond)
	name := topic.Name
	if len(topic.EventTypes) > 0 {
		name = topic.EventTypes[0]
	}
	row := &outbox.Row{
		ID: uuid.NewString(), AggregateType: topic.Aggregate, Type: name,
		Payload: payload, CreatedAt: now, CommittedAt: now,
	}
	if aggregate, event, ok := strings.Cut(name, "."); ok {
		if row.AggregateType == "" {
			row.AggregateType = aggregate
		}
		if row.AggregateType == aggregate {
			row.Type = event
		}
	}
	if row.AggregateType == "" {
		row.AggregateType = "sample"
	}
	row.AggregateID = aggregateID(row.AggregateType, payload)
	return row
}

// aggregateID is the id of the object that the payload is about.
func aggregateID(aggregate string, payload []byte) string {
	var object map[string]json.RawMessage
	var about struct{ ID json.RawMessage }
	if json.Unmarshal(payload, &object) == nil && json.Unmarshal(object[aggregate], &about) == nil && len(about.ID) > 0 {
		return strings.Trim(string(about.ID), `"`)
	}
	return "1"
}

// readPayload reads the payload that a flag names: a file, or standard input.
func (a *app) readPayload(name string) ([]byte, error) {
	var text []byte
	var err error
	if name == stdinName {
		text, err = io.ReadAll(a.Stdin)
	} else {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, fmt.Errorf("read the payload: %w", err)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil || object == nil {
		return nil, usage(`echo '{"contact": {"id": 7}}' | walpost … --payload -`, "the payload is not a JSON object")
	}
	return text, nil
}

// payloadFor gives the payload that the flag names, or the topic's sample.
func (a *app) payloadFor(flag string, topic *config.Topic) ([]byte, error) {
	if flag != "" {
		return a.readPayload(flag)
	}
	if payload := samplePayload(topic.Name); payload != nil {
		return payload, nil
	}
	return nil, usage("--payload FILE, or --payload - for standard input",
		"there is a sample for the built-in topics only, and %s is your own", topic.Name)
}

// mustKnowTopic gives the topic of that name.
func mustKnowTopic(cfg *config.Config, name string) (*config.Topic, error) {
	if topic := cfg.Topic(name); topic != nil {
		return topic, nil
	}
	names := make([]string, len(cfg.Topics))
	for i, t := range cfg.Topics {
		names[i] = t.Name
	}
	return nil, usage("walpost rules gist lists the built-in topics",
		"the configuration has no topic %q.%s", name, didYouMean(name, names))
}
