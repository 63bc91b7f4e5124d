//go:build unix

package integrations

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/walpost/walpost/outbox"
)

// samples are payloads by topic, ordinary ones and odd ones.
var samples = sync.OnceValues(func() (map[string][]json.RawMessage, error) {
	text, err := os.ReadFile("testdata/samples.json")
	if err != nil {
		return nil, err
	}
	var all map[string][]json.RawMessage
	return all, json.Unmarshal(text, &all)
})

// sample returns the n-th payload of a topic.
func sample(t testing.TB, topic string, n int) json.RawMessage {
	t.Helper()
	all, err := samples()
	if err != nil || n >= len(all[topic]) {
		t.Fatalf("sample %d of %s: %v", n, topic, err)
	}
	return all[topic][n]
}

// event is an outbox event of a topic.
func event(topic string, payload json.RawMessage) outbox.Event {
	aggregate, _, _ := strings.Cut(topic, ".")
	if aggregate == "lead" || aggregate == "user" {
		aggregate = "contact"
	}
	return outbox.Event{AggregateType: aggregate, AggregateID: "1", Type: topic, Payload: payload}
}

// sampleTime is near the times that the samples name.
var sampleTime = time.Unix(1700000300, 0).UTC()

// row is event as walpost reads it, the n-th of its test.
func row(topic string, payload json.RawMessage, n int) *outbox.Row {
	e := event(topic, payload)
	return &outbox.Row{
		ID:            fmt.Sprintf("0192f5c0-0000-7000-8000-%012d", n),
		AggregateType: e.AggregateType, AggregateID: e.AggregateID, Type: topic,
		Payload: payload, CreatedAt: sampleTime, CommittedAt: sampleTime, LSN: uint64(n),
	}
}

// The samples are what Gist's objects are.
func TestSamplesFitTheSchema(t *testing.T) {
	t.Parallel()
	all, err := samples()
	if err != nil {
		t.Fatal(err)
	}
	schema := gistSchema(t)
	for topic, payloads := range all {
		for n, payload := range payloads {
			if err := fits(schema, topic, parse(t, payload)); err != nil {
				t.Errorf("%s %d: %v", topic, n, err)
			}
		}
	}
}
