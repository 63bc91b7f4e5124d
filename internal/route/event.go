package route

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
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

// event is what expressions see as `event`. Nothing of it is converted before an
// expression asks for it.
type event struct {
	row   *outbox.Row
	topic string // empty in rules, which make it
	data  []byte // JSON text; nil in rules, which make it
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
		return createdAt(e.row)
	case fieldCommittedAt:
		return e.row.CommittedAt.UTC().Format(time.RFC3339Nano)
	case fieldLSN:
		return fmt.Sprintf("%X/%X", e.row.LSN>>32, e.row.LSN&0xFFFFFFFF)
	}
	return ""
}

// createdAt returns when the application made the event, or when it was committed
// where the outbox table doesn't say.
func createdAt(row *outbox.Row) string {
	at := row.CreatedAt
	if at.IsZero() {
		at = row.CommittedAt
	}
	return at.UTC().Format(time.RFC3339Nano)
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
	}
	return nil
}

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

// value returns the whole event as an object.
func (e *event) value() (cty.Value, error) {
	attributes := make(map[string]cty.Value, len(fields))
	for name, f := range fields {
		if e.topic == "" && (f == fieldTopic || f == fieldData) {
			continue // a rule's event has neither yet
		}
		value, _, err := e.at(eventPath{field: f})
		if err != nil {
			return cty.NilVal, err
		}
		attributes[name] = value
	}
	return cty.ObjectVal(attributes), nil
}

// at returns the value at the path, null and false if there is nothing.
func (e *event) at(path eventPath) (value cty.Value, found bool, err error) {
	switch {
	case path.field.isJSON():
		text, found := e.raw(path)
		if !found || string(text) == "null" {
			return null, found, nil
		}
		value, err = decodeJSON(text)
		return value, true, err
	case path.field == fieldAll:
		value, err = e.value()
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

// newEventPath compiles a traversal whose root is `event`.
func newEventPath(traversal hcl.Traversal) eventPath {
	if len(traversal) == 1 {
		return eventPath{field: fieldAll}
	}
	steps := compileSteps(traversal[1:])
	return eventPath{field: fields[steps[0].key], steps: steps[1:]}
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

// eventExpr reads one path of the event.
type eventExpr struct {
	hclsyntax.Expression // the traversal as written

	path eventPath
	// strict: a path that isn't there is an error, as in plain HCL. So it is within
	// try() and can(), which exist to ask that.
	strict bool
}

// Value implements hcl.Expression.
func (e *eventExpr) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	value, found, err := eventOf(ctx).at(e.path)
	switch {
	case err != nil:
		return cty.DynamicVal, hcl.Diagnostics{failure("Unreadable JSON",
			"The value of "+e.source()+" can't be used: "+err.Error()+".", e.Range())}
	case !found && e.strict:
		return cty.DynamicVal, hcl.Diagnostics{failure("Unsupported attribute",
			"This event has no "+e.source()+".", e.Range())}
	}
	return value, nil
}

// source returns the path as it is written in HCL, more or less.
func (e *eventExpr) source() string {
	var b strings.Builder
	b.WriteString("event")
	for _, part := range e.Variables()[0][1:] {
		switch part := part.(type) {
		case hcl.TraverseAttr:
			b.WriteString("." + part.Name)
		case hcl.TraverseIndex:
			key, _ := appendJSON(nil, part.Key)
			fmt.Fprintf(&b, "[%s]", key)
		}
	}
	return b.String()
}

// eventType carries an *event through HCL's variables.
var eventType = cty.Capsule("event", reflect.TypeFor[event]())

// eventOf returns the event that the context, or one around it, holds. Only
// expressions that Compile has rewritten ask, and only in a scope's context.
func eventOf(ctx *hcl.EvalContext) *event {
	for ; ctx != nil; ctx = ctx.Parent() {
		if value, ok := ctx.Variables["event"]; ok && value.Type() == eventType {
			return value.EncapsulatedValue().(*event)
		}
	}
	return &event{row: &outbox.Row{}}
}
