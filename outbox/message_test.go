package outbox_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/walpost/walpost/outbox"
)

func TestParseMessage(t *testing.T) {
	t.Parallel()
	row, err := outbox.ParseMessage([]byte(` {"id": "a-1", "aggregate_type": "contact", "aggregate_id": 7, "event_type": "tagged",
		"payload": {"n": 1.10}, "headers": {"traceparent": "x"}, "created_at": "2026-01-31T12:00:00.5+01:00", "more": []}`))
	if err != nil {
		t.Fatal(err)
	}
	if row.ID != "a-1" || row.AggregateType != "contact" || row.AggregateID != "7" || row.Type != "tagged" || string(row.Payload) != `{"n": 1.10}` ||
		string(row.Headers) != `{"traceparent": "x"}` || !row.CreatedAt.Equal(time.Date(2026, 1, 31, 11, 0, 0, 5e8, time.UTC)) {
		t.Errorf("%+v", row)
	}
	row, err = outbox.ParseMessage([]byte(`{"id": 12345678901234567890, "event_type": "x", "payload": {}, "headers": null}`))
	if err != nil || row.ID != "12345678901234567890" || row.Headers != nil || !row.CreatedAt.IsZero() {
		t.Errorf("%+v, %v", row, err)
	}
	for content, want := range map[string]string{
		``:                                   "message is not a JSON object",
		`null`:                               "message is not a JSON object",
		`[1]`:                                "message is not a JSON object",
		`{`:                                  "message is not a JSON object",
		`{"event_type": "x", "payload": {}}`: `field "id" is missing`,
		`{"id": "", "event_type": "x", "payload": {}}`:                          `field "id" is missing or empty`,
		`{"id": [], "event_type": "x", "payload": {}}`:                          `field "id" is neither a string nor a number`,
		`{"id": "1", "payload": {}}`:                                            `field "event_type" is missing`,
		`{"id": "1", "event_type": "x"}`:                                        `field "payload" is missing`,
		`{"id": "1", "event_type": "x", "payload": null}`:                       `field "payload" is missing or null`,
		`{"id": "1", "event_type": "x", "payload": "{}"}`:                       `field "payload" is not a JSON object`,
		`{"id": "a\u0000", "event_type": "x", "payload": {}}`:                   `field "id" is not text`,
		`{"id": "1", "event_type": "x", "payload": {}, "created_at": "monday"}`: `field "created_at" is not a time`,
	} {
		_, err := outbox.ParseMessage([]byte(content))
		var problem *outbox.MessageError
		if !errors.As(err, &problem) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", content, err)
		}
	}
}

func FuzzParseMessage(f *testing.F) {
	f.Add([]byte(`{"id": "1", "event_type": "x", "payload": {"a": 1}, "created_at": "2026-01-31T12:00:00Z"}`))
	f.Add([]byte(`{"id": 1e400, "payload": [`))
	f.Fuzz(func(t *testing.T, content []byte) {
		row, err := outbox.ParseMessage(content)
		if err == nil && (row.ID == "" || row.Type == "" || len(row.Payload) == 0 || row.Payload[0] != '{') {
			t.Errorf("%q gives %+v", content, row)
		}
	})
}
