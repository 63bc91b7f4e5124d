package outbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/walpost/walpost/outbox"
)

func TestStatement(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 5, 28, 0, 0, time.FixedZone("", 5*3600))
	sql, args, err := outbox.Table{}.Statement(
		outbox.Event{AggregateType: "contact", AggregateID: "7", Type: "tagged", Payload: map[string]any{"a<b": 1}},
		outbox.Event{
			ID: "42", AggregateType: "contact", AggregateID: "8", Type: "created", Payload: json.RawMessage(` { "n": 1.50 } `),
			Headers: map[string]string{"traceparent": "00-1"}, CreatedAt: at,
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	wantSQL := `insert into "public"."outbox" ("id", "aggregate_type", "aggregate_id", "event_type", "payload", "headers", "created_at")` +
		` values (default, $1, $2, $3, $4, default, default), ($5, $6, $7, $8, $9, $10, $11)`
	if sql != wantSQL {
		t.Errorf("got\n%s\nwant\n%s", sql, wantSQL)
	}
	wantArgs := []any{
		"contact", "7", "tagged", `{"a<b":1}`,
		"42", "contact", "8", "created", `{"n":1.50}`, `{"traceparent":"00-1"}`, at.UTC(),
	}
	if !reflect.DeepEqual(args, wantArgs) {
		t.Errorf("got %#v, want %#v", args, wantArgs)
	}
}

// marshaler fails as an application's own MarshalJSON might.
type marshaler struct{}

func (marshaler) MarshalJSON() ([]byte, error) { return nil, errors.New("no such luck") }

func TestStatementRejects(t *testing.T) {
	t.Parallel()
	good := outbox.Event{AggregateType: "contact", AggregateID: "7", Type: "tagged", Payload: struct{}{}}
	with := func(change func(*outbox.Event)) outbox.Event {
		e := good
		change(&e)
		return e
	}
	payload := func(p any) outbox.Event { return with(func(e *outbox.Event) { e.Payload = p }) }
	for name, test := range map[string]struct {
		event outbox.Event
		field string
		want  string
	}{
		"no type":           {with(func(e *outbox.Event) { e.Type = "" }), "Type", `is empty: set it, e.g. to "contact.tagged"`},
		"no aggregate type": {with(func(e *outbox.Event) { e.AggregateType = "" }), "AggregateType", "is empty"},
		"no aggregate id":   {with(func(e *outbox.Event) { e.AggregateID = "" }), "AggregateID", "is empty"},
		"NUL in a text":     {with(func(e *outbox.Event) { e.AggregateID = "7\x00" }), "AggregateID", "without a NUL"},
		"bad text":          {with(func(e *outbox.Event) { e.ID = "\xff" }), "ID", "must be UTF-8"},
		"nil":               {payload(nil), "Payload", "is null, but the payload must be a JSON object: for an event without data pass struct{}{}"},
		"nil map":           {payload(map[string]any(nil)), "Payload", "is null"},
		"string":            {payload(`{"a":1}`), "Payload", "pass json.RawMessage(s)"},
		"bytes":             {payload([]byte(`{"a":1}`)), "Payload", "pass json.RawMessage(b)"},
		"array":             {payload([]int{1}), "Payload", `map[string]any{"items": items}`},
		"time":              {payload(time.Unix(0, 0)), "Payload", "is a JSON string"},
		"number":            {payload(7), "Payload", "is a JSON number or boolean"},
		"raw null":          {payload(json.RawMessage("null")), "Payload", "is null"},
		"raw rubbish":       {payload(json.RawMessage(`{"a":`)), "Payload", "cannot be encoded as JSON: json: error calling MarshalJSON"},
		"channel":           {payload(map[string]any{"c": make(chan int)}), "Payload", "cannot be encoded as JSON: json: unsupported type: chan int"},
		"not a number":      {payload(map[string]any{"n": math.NaN()}), "Payload", "cannot be encoded as JSON: json: unsupported value: NaN"},
		"own marshaler":     {payload(marshaler{}), "Payload", "no such luck"},
		"NUL":               {payload(map[string]any{"s": "a\x00b"}), "Payload", `contains a NUL character (\u0000), which Postgres cannot store in jsonb: remove it`},
		"NUL after a \\":    {payload(json.RawMessage(`{"s":"\\\u0000"}`)), "Payload", "contains a NUL"},
		"high surrogate":    {payload(json.RawMessage(`{"s":"\ud83dx"}`)), "Payload", "surrogate pair"},
		"low surrogate":     {payload(json.RawMessage(`{"s":"\ude00"}`)), "Payload", "surrogate pair"},
		"two high ones":     {payload(json.RawMessage(`{"s":"\ud83d\ud83d"}`)), "Payload", "surrogate pair"},
		"high and \\n":      {payload(json.RawMessage(`{"s":"\ud83d\n"}`)), "Payload", "surrogate pair"},
		"bad UTF-8":         {payload(json.RawMessage("{\"s\":\"\xff\"}")), "Payload", "is not valid UTF-8"},
		"NUL in a header":   {with(func(e *outbox.Event) { e.Headers = map[string]string{"a": "\x00"} }), "Headers", "contains a NUL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := outbox.Table{}.Statement(good, test.event)
			var invalid *outbox.EventError
			if !errors.As(err, &invalid) {
				t.Fatalf("got %v, want an *EventError", err)
			}
			if invalid.Index != 1 || invalid.Field != test.field || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %+v (%v), want event 1, field %s, %q", *invalid, err, test.field, test.want)
			}
			if test.event.Payload == (marshaler{}) && invalid.Unwrap() == nil {
				t.Error("the cause is lost")
			}
		})
	}
}

// TestStatementKeepsEscapes: what only looks like a NUL or half a pair is accepted.
func TestStatementKeepsEscapes(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{`{"s":"\\u0000"}`, `{"s":"\ud83d\ude00"}`, `{"s":"\n\\\"\u0001\u00e9"}`, `{"s":"\\\\ud800"}`} {
		_, args, err := outbox.Table{}.Statement(outbox.Event{AggregateType: "a", AggregateID: "1", Type: "t", Payload: json.RawMessage(payload)})
		if err != nil || args[3] != payload {
			t.Errorf("%s: got %v, %v", payload, args, err)
		}
	}
}

func TestStatementWithoutColumns(t *testing.T) {
	t.Parallel()
	event := outbox.Event{AggregateType: "contact", AggregateID: "7", Type: "tagged", Payload: struct{}{}}
	traced, dated := event, event
	traced.Headers = map[string]string{"traceparent": "00-1"}
	dated.CreatedAt = time.Unix(0, 0)
	for want, e := range map[string]outbox.Event{"Headers is set": traced, "CreatedAt is set": dated} {
		if _, _, err := debezium.Statement(e); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestStatementLimits(t *testing.T) {
	t.Parallel()
	if _, _, err := (outbox.Table{}).Statement(); err == nil {
		t.Error("a statement of no events was made")
	}
	event := outbox.Event{AggregateType: "a", AggregateID: "1", Type: "t", Payload: struct{}{}} // 4 parameters
	events := make([]outbox.Event, 65535/4+1)
	for i := range events {
		events[i] = event
	}
	if _, _, err := (outbox.Table{}).Statement(events...); err == nil || !strings.Contains(err.Error(), "insert at most 9362 at a time") {
		t.Errorf("got %v", err)
	}
	if _, args, err := (outbox.Table{}).Statement(events[1:]...); err != nil || len(args) != 65532 {
		t.Errorf("got %d args, %v", len(args), err)
	}
}

// refusing fails the test if a statement is run.
type refusing struct{ t *testing.T }

func (r refusing) Exec(context.Context, string, ...any) (struct{}, error) {
	r.t.Error("a statement was run")
	return struct{}{}, nil
}

func TestInsertSendsNothing(t *testing.T) {
	t.Parallel()
	if err := outbox.Insert(t.Context(), refusing{t}); err != nil {
		t.Errorf("insert no events: %v", err)
	}
	if err := outbox.Insert(t.Context(), refusing{t}, outbox.Event{}); err == nil {
		t.Error("an empty event was accepted")
	}
}
