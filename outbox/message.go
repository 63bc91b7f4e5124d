package outbox

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
)

// MessageError says why a logical message is not an event.
type MessageError struct {
	Field   string // of the message's JSON object; "": it is about the whole
	Problem string // no values of the message
}

// Error tells field and problem.
func (e *MessageError) Error() string {
	if e.Field == "" {
		return "message " + e.Problem
	}
	return `message field "` + e.Field + `" ` + e.Problem
}

// messageFields are what a message's object may have; others are ignored.
type messageFields struct {
	ID            json.RawMessage `json:"id"`
	AggregateType json.RawMessage `json:"aggregate_type"`
	AggregateID   json.RawMessage `json:"aggregate_id"`
	EventType     json.RawMessage `json:"event_type"`
	Payload       json.RawMessage `json:"payload"`
	Headers       json.RawMessage `json:"headers"`
	CreatedAt     json.RawMessage `json:"created_at"`
}

// ParseMessage makes an event of the content of a logical message: a JSON object with the default names of the columns. id
// and the two aggregate fields may be numbers, created_at is a time as RFC 3339 has it. What is no event is a
// *MessageError; the event is then filled as far as it can be.
func ParseMessage(content []byte) (Row, error) {
	var fields messageFields
	if err := json.Unmarshal(content, &fields); err != nil || bytes.TrimLeft(content, " \t\r\n")[0] != '{' {
		return Row{}, &MessageError{Problem: "is not a JSON object with the fields of an event"}
	}
	var row Row
	var problem *MessageError
	note := func(field, text string) {
		if problem == nil && text != "" {
			problem = &MessageError{Field: field, Problem: text}
		}
	}
	for _, text := range []struct {
		name     string
		raw      json.RawMessage
		into     *string
		required bool
	}{
		{"id", fields.ID, &row.ID, true},
		{"aggregate_type", fields.AggregateType, &row.AggregateType, false},
		{"aggregate_id", fields.AggregateID, &row.AggregateID, false},
		{"event_type", fields.EventType, &row.Type, true},
	} {
		value, bad := messageText(text.raw)
		*text.into = value
		if bad == "" && text.required && value == "" {
			bad = "is missing or empty"
		}
		note(text.name, bad)
	}
	row.Payload = fields.Payload
	switch {
	case absentJSON(fields.Payload):
		row.Payload = nil
		note("payload", "is missing or null")
	case fields.Payload[0] != '{':
		note("payload", "is not a JSON object")
	}
	if !absentJSON(fields.Headers) {
		row.Headers = fields.Headers
	}
	if !absentJSON(fields.CreatedAt) {
		text, bad := messageText(fields.CreatedAt)
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil && bad == "" {
			bad = `is not a time such as "2026-01-31T12:00:00Z"`
		}
		row.CreatedAt = at.UTC()
		note("created_at", bad)
	}
	if problem != nil {
		return row, problem
	}
	return row, nil
}

func absentJSON(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// messageText reads a string or a number.
func messageText(raw json.RawMessage) (text, problem string) {
	switch {
	case absentJSON(raw):
		return "", ""
	case raw[0] == '"':
		if err := json.Unmarshal(raw, &text); err != nil || strings.Contains(text, "\x00") {
			return "", "is not text that Postgres can store"
		}
		return text, ""
	case strings.IndexByte("-0123456789", raw[0]) >= 0:
		return string(raw), ""
	}
	return "", "is neither a string nor a number"
}
