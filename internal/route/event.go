package route

import (
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/walpost/walpost/outbox"
	"github.com/zclconf/go-cty/cty"
)

// field is an attribute of `event`.
type field uint8

const (
	fieldNone field = iota // not an attribute of event
	fieldAll               // event itself
	fieldID
	fieldTopic
	fieldAggregateType
	fieldAggregateID
	fieldType
	fieldCreatedAt
	fieldCommittedAt
	fieldLSN
	fieldPayload // JSON text from here on
	fieldData
	fieldHeaders
	fieldResponse // no attribute: `response` itself
)

// fields are the attributes of event by their names in HCL (DESIGN §6).
var fields = map[string]field{
	"id":             fieldID,
	"topic":          fieldTopic,
	"aggregate_type": fieldAggregateType,
	"aggregate_id":   fieldAggregateID,
	"type":           fieldType,
	"created_at":     fieldCreatedAt,
	"committed_at":   fieldCommittedAt,
	"lsn":            fieldLSN,
	"payload":        fieldPayload,
	"data":           fieldData,
	"headers":        fieldHeaders,
}

// isJSON reports whether the field holds JSON, not a string.
func (f field) isJSON() bool { return f >= fieldPayload }

// event is what expressions see as `event`, or as an element of `events`. Nothing of
// it is converted before an expression asks for it.
type event struct {
	row   *outbox.Row // nil: there is no event
	topic string      // empty in rules, which make it
	data  []byte      // JSON text; nil in rules, which make it

	response []byte // `response` as JSON text; nil: there is none
}

// text returns a field that is a string. Times are RFC 3339 in UTC.
func (e *event) text(f field) string {
	switch f {
	case fieldID:
		return e.row.ID
	case fieldTopic:
		return e.topic
	case fieldAggregateType:
		return e.row.AggregateType
	case fieldAggregateID:
		return e.row.AggregateID
	case fieldType:
		return e.row.Type
	case fieldCreatedAt:
		return createdAt(e.row).Format(time.RFC3339Nano)
	case fieldCommittedAt:
		return e.row.CommittedAt.UTC().Format(time.RFC3339Nano)
	case fieldLSN:
		return fmt.Sprintf("%X/%X", e.row.LSN>>32, e.row.LSN&0xFFFFFFFF)
	}
	return ""
}

// createdAt returns when the application made the event, or when it was committed
// where the outbox table doesn't say.
func createdAt(row *outbox.Row) time.Time {
	if row.CreatedAt.IsZero() {
		return row.CommittedAt.UTC()
	}
	return row.CreatedAt.UTC()
}

// json returns a field that is JSON; nil: there is none.
func (e *event) json(f field) []byte {
	switch f {
	case fieldPayload:
		return e.row.Payload
	case fieldData:
		return e.data
	case fieldHeaders:
		return e.row.Headers
	case fieldResponse:
		return e.response
	}
	return nil
}

// has reports whether there is what the field is a part of.
func (e *event) has(f field) bool { return e.row != nil || f == fieldResponse }

// raw returns the JSON text at a path whose field is JSON.
func (e *event) raw(path eventPath) (text []byte, found bool) {
	text = e.json(path.field)
	if text == nil {
		return nil, false
	}
	return lookup(text, path.steps)
}

// null is the value of a path that leads nowhere.
var null = cty.NullVal(cty.DynamicPseudoType)

// value returns the whole event as an object, at the scope's expense.
func (e *event) value(s *scope) (cty.Value, error) {
	attributes := make(map[string]cty.Value, len(fields))
	for name, f := range fields {
		if e.topic == "" && (f == fieldTopic || f == fieldData) {
			continue // a rule's event has neither yet
		}
		value, _, err := e.at(s, eventPath{field: f})
		if err != nil {
			return cty.NilVal, err
		}
		attributes[name] = value
	}
	return cty.ObjectVal(attributes), nil
}

// at returns the value at the path, at the scope's expense; null and false if there is
// nothing.
func (e *event) at(s *scope, path eventPath) (value cty.Value, found bool, err error) {
	switch {
	case path.field.isJSON():
		if !s.spend(len(e.json(path.field)), costOfReading) {
			return null, false, errWork
		}
		text, found := e.raw(path)
		if !s.spend(len(text), costOfDecoding) {
			return null, false, errWork
		}
		if !found || string(text) == "null" {
			return null, found, nil
		}
		value, err = decodeJSON(text)
		return value, true, err
	case path.field == fieldAll:
		value, err = e.value(s)
		return value, true, err
	case path.field == fieldNone || len(path.steps) > 0:
		return null, false, nil // a string has no members
	}
	return cty.StringVal(e.text(path.field)), true, nil
}

// eventPath is a compiled traversal of `event`.
type eventPath struct {
	field field
	steps []step // below the field
}

// newEventPath compiles a traversal whose root is an event, or `response`.
func newEventPath(traversal hcl.Traversal) eventPath {
	if traversal.RootName() == rootResponse {
		return eventPath{field: fieldResponse, steps: compileSteps(traversal[1:])}
	}
	return eventPath{field: fieldAll}.below(compileSteps(traversal[1:]))
}

// below returns the path that goes on from the end of this one.
func (p eventPath) below(steps []step) eventPath {
	if p.field == fieldAll && len(steps) > 0 {
		return eventPath{field: fields[steps[0].key], steps: steps[1:]}
	}
	return eventPath{field: p.field, steps: slices.Concat(p.steps, steps)}
}

// compileSteps returns the steps of a relative traversal.
func compileSteps(traversal hcl.Traversal) []step {
	steps := make([]step, len(traversal))
	for i, part := range traversal {
		switch part := part.(type) {
		case hcl.TraverseAttr:
			steps[i] = attrStep(part.Name)
		case hcl.TraverseIndex:
			steps[i], _ = indexStep(part.Key)
		}
	}
	return steps
}
