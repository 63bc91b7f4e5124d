// Package outbox is the contract between an application and walpost: the row that the
// application inserts in its own transaction, and the event that walpost reads back.
//
// An application needs one call, in the transaction that makes the change:
//
//	err := outbox.Insert(ctx, tx, outbox.Event{
//		AggregateType: "contact",
//		AggregateID:   "7",
//		Type:          "tagged",
//		Payload:       map[string]any{"contact": contact, "tag": tag},
//	})
//
// It works with pgx and with database/sql, and imports nothing but the standard library.
package outbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Event is what an application inserts.
type Event struct {
	ID            string            // text form, unique for ever; "": the table's default makes one
	AggregateType string            // kind of thing that changed: "contact"
	AggregateID   string            // which one: "7"
	Type          string            // what happened: "contact.tagged", or "tagged"
	Payload       any               // anything that encoding/json makes an object of: a struct, a map, a json.RawMessage
	Headers       map[string]string // e.g. traceparent; nil: NULL
	CreatedAt     time.Time         // zero: the table's default, the time of the transaction
}

// EventError says what is wrong with an event that was to be inserted. Nothing has been
// sent to the database then.
type EventError struct {
	Index   int    // which of the events given, from 0
	Field   string // field of Event
	Problem string // what is wrong and what to write instead; no payload data
	Err     error  // the cause, e.g. of encoding/json, or nil
}

// Error tells event, field, problem and cause.
func (e *EventError) Error() string {
	text := fmt.Sprintf("event %d: %s %s", e.Index, e.Field, e.Problem)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap gives the cause.
func (e *EventError) Unwrap() error { return e.Err }

// values checks the event and gives its fields as every driver takes them for columns of
// any type, JSON as text. What is nil takes the table's default. The error lacks its index.
func (e *Event) values(c *Columns) (values [fieldCount]any, invalid *EventError) {
	for _, text := range []struct {
		field         fieldOf
		name, value   string
		exampleIfNone string
	}{
		{fieldID, "ID", e.ID, ""},
		{fieldAggregateType, "AggregateType", e.AggregateType, "contact"},
		{fieldAggregateID, "AggregateID", e.AggregateID, "7"},
		{fieldEventType, "Type", e.Type, "contact.tagged"},
	} {
		switch {
		case text.value != "":
			values[text.field] = text.value
		case text.exampleIfNone != "":
			return values, &EventError{Field: text.name, Problem: fmt.Sprintf("is empty: set it, e.g. to %q", text.exampleIfNone)}
		}
		if !utf8.ValidString(text.value) || strings.Contains(text.value, "\x00") {
			return values, &EventError{Field: text.name, Problem: "is not text that Postgres can store: it must be UTF-8 without a NUL"}
		}
	}
	payload, invalid := encodeJSON("Payload", e.Payload)
	if invalid != nil {
		return values, invalid
	}
	if payload[0] != '{' {
		return values, &EventError{Field: "Payload", Problem: notObject(e.Payload, payload[0])}
	}
	values[fieldPayload] = payload
	if e.Headers != nil {
		if c.Headers == None {
			return values, &EventError{Field: "Headers", Problem: "is set, but the table has no column for it: leave it nil"}
		}
		headers, invalid := encodeJSON("Headers", e.Headers)
		if invalid != nil {
			return values, invalid
		}
		values[fieldHeaders] = headers
	}
	if !e.CreatedAt.IsZero() {
		if c.CreatedAt == None {
			return values, &EventError{Field: "CreatedAt", Problem: "is set, but the table has no column for it: leave it zero"}
		}
		values[fieldCreatedAt] = e.CreatedAt.UTC() // a column without time zone keeps the clock's reading
	}
	return values, nil
}

// encodeJSON gives the JSON text of a value, and refuses what jsonb cannot hold.
func encodeJSON(field string, value any) (string, *EventError) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false) // as written, also where the column is json or text
	if err := encoder.Encode(value); err != nil {
		return "", &EventError{Field: field, Problem: "cannot be encoded as JSON", Err: err}
	}
	text := strings.TrimSuffix(buffer.String(), "\n")
	if problem := unstorable(text); problem != "" {
		return "", &EventError{Field: field, Problem: problem}
	}
	return text, nil
}

// notObject says what to write instead of a payload whose JSON starts with first.
func notObject(payload any, first byte) string {
	const needs = "the payload must be a JSON object"
	switch payload.(type) {
	case string:
		return "is a string, but " + needs + ": if it holds JSON, pass json.RawMessage(s)"
	case []byte:
		return "is a []byte, which encoding/json writes as a base64 string, but " + needs + ": if it holds JSON, pass json.RawMessage(b)"
	}
	switch first {
	case 'n':
		return "is null, but " + needs + ": for an event without data pass struct{}{}"
	case '[':
		return "is a JSON array, but " + needs + `: give it a name, e.g. map[string]any{"items": items}`
	case '"':
		return "is a JSON string, but " + needs + `: give it a name, e.g. map[string]any{"value": v}`
	}
	return "is a JSON number or boolean, but " + needs + `: give it a name, e.g. map[string]any{"value": v}`
}
