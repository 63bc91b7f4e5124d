package outbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// Type OIDs of columns whose text Postgres guarantees to be JSON
// (src/include/catalog/pg_type.dat).
const (
	oidJSON  = 114
	oidJSONB = 3802
)

// Parser makes events of rows. It has no state: goroutines may share it.
type Parser struct {
	width int                // columns of the relation
	at    [fieldCount]int    // position of a field's column, or absent
	name  [fieldCount]string // of a field's column
	valid [fieldCount]bool   // the column's type makes it valid JSON
}

const absent = -1

// NewParser prepares to read rows of a relation whose columns have these names, in this
// order. With the columns' type OIDs too, what is in a json or jsonb column is not checked
// once more to be JSON. Missing columns are a *ColumnError that names them all.
func NewParser(c Columns, names []string, types ...uint32) (*Parser, error) {
	if len(types) != 0 && len(types) != len(names) {
		return nil, fmt.Errorf("prepare to read %d columns: there are %d types", len(names), len(types))
	}
	p := &Parser{width: len(names)}
	for i := range p.at {
		p.at[i] = absent
	}
	var missing []column
	for _, col := range c.columns() {
		at := slices.Index(names, col.name)
		if at < 0 {
			missing = append(missing, col)
			continue
		}
		p.at[col.field], p.name[col.field] = at, col.name
		p.valid[col.field] = len(types) != 0 && (types[at] == oidJSON || types[at] == oidJSONB)
	}
	if missing != nil {
		return nil, newColumnError(c, missing, names)
	}
	return p, nil
}

// Parse makes an event of a row's values in text format, nil for NULL, with timestamps in
// ISO style. The event aliases the values. A row that is no event is a *RowError; the
// event is then filled as far as it can be.
func (p *Parser) Parse(values [][]byte) (Row, error) {
	if len(values) != p.width {
		return Row{}, &RowError{Problem: fmt.Sprintf("has %d values, the table %d columns", len(values), p.width)}
	}
	var row Row
	p.texts(values, &row)
	var problem *RowError
	note := func(f fieldOf, text string) {
		if problem == nil && text != "" {
			problem = &RowError{Column: p.name[f], Problem: text}
		}
	}
	if row.ID == "" {
		note(fieldID, emptyProblem(p.value(values, fieldID)))
	}
	if row.Type == "" {
		note(fieldEventType, emptyProblem(p.value(values, fieldEventType)))
	}
	row.Payload = p.value(values, fieldPayload)
	note(fieldPayload, p.payloadProblem(row.Payload))
	if headers := p.value(values, fieldHeaders); !isNull(headers) {
		row.Headers = headers
		if !p.valid[fieldHeaders] && !json.Valid(headers) {
			note(fieldHeaders, "is not JSON")
		}
	}
	if p.at[fieldCreatedAt] != absent {
		created, text := parseTimestamp(p.value(values, fieldCreatedAt))
		row.CreatedAt = created
		note(fieldCreatedAt, text)
	}
	if problem != nil {
		return row, problem
	}
	return row, nil
}

// value gives a field's value, nil for NULL and for a column that the table lacks.
func (p *Parser) value(values [][]byte, f fieldOf) []byte {
	if p.at[f] == absent {
		return nil
	}
	return values[p.at[f]]
}

// texts sets the four texts of the row, which share one string: one allocation a row.
func (p *Parser) texts(values [][]byte, row *Row) {
	id, aggregateType := p.value(values, fieldID), p.value(values, fieldAggregateType)
	aggregateID, eventType := p.value(values, fieldAggregateID), p.value(values, fieldEventType)
	all := make([]byte, 0, 128) // on the stack
	all = append(append(append(append(all, id...), aggregateType...), aggregateID...), eventType...)
	text := string(all)
	take := func(n int) (s string) {
		s, text = text[:n], text[n:]
		return s
	}
	row.ID, row.AggregateType = take(len(id)), take(len(aggregateType))
	row.AggregateID, row.Type = take(len(aggregateID)), take(len(eventType))
}

func emptyProblem(value []byte) string {
	if value == nil {
		return "is NULL"
	}
	return "is empty"
}

// payloadProblem says why a payload is not a JSON object, or "".
func (p *Parser) payloadProblem(payload []byte) string {
	if payload == nil {
		return "is NULL"
	}
	start := bytes.TrimLeft(payload, " \t\r\n")
	if len(start) == 0 || !p.valid[fieldPayload] && !json.Valid(payload) {
		return "is not JSON"
	}
	switch start[0] {
	case '{':
		return ""
	case '[':
		return "is a JSON array, not an object"
	case '"':
		return "is a JSON string, not an object"
	case 'n':
		return "is a JSON null, not an object"
	case 't', 'f':
		return "is a JSON boolean, not an object"
	}
	return "is a JSON number, not an object"
}

// isNull says whether headers are NULL or the JSON null.
func isNull(headers []byte) bool {
	return headers == nil || string(bytes.TrimSpace(headers)) == "null"
}
