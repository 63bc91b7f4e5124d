package outbox

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// None is what the headers or created_at column is mapped to where the table has none.
const None = "-"

// maxIdentifier is how many bytes of a name Postgres keeps (NAMEDATALEN - 1); it cuts
// off the rest silently.
const maxIdentifier = 63

// Columns maps the fields of an event to the table's columns. A field that is "" means
// the column of DefaultColumns. Headers and CreatedAt may be None.
type Columns struct {
	ID, AggregateType, AggregateID, EventType, Payload, Headers, CreatedAt string
}

// DefaultColumns are the names that DDL uses unless told otherwise.
var DefaultColumns = Columns{
	ID:            "id",
	AggregateType: "aggregate_type",
	AggregateID:   "aggregate_id",
	EventType:     "event_type",
	Payload:       "payload",
	Headers:       "headers",
	CreatedAt:     "created_at",
}

// fieldOf numbers the fields of a row, in the order of the table's columns.
type fieldOf int

const (
	fieldID fieldOf = iota
	fieldAggregateType
	fieldAggregateID
	fieldEventType
	fieldPayload
	fieldHeaders
	fieldCreatedAt
	fieldCount
)

// column is where a field is kept: its name, and how DDL declares it.
type column struct {
	field             fieldOf
	name, declaration string
}

// columns lists the columns that the table has, in the order of the table.
func (c Columns) columns() []column {
	present := make([]column, 0, fieldCount)
	for _, col := range []struct {
		field                   fieldOf
		mapped, usual, declared string
	}{
		{fieldID, c.ID, DefaultColumns.ID, "uuid primary key default gen_random_uuid()"},
		{fieldAggregateType, c.AggregateType, DefaultColumns.AggregateType, "text not null"},
		{fieldAggregateID, c.AggregateID, DefaultColumns.AggregateID, "text not null"},
		{fieldEventType, c.EventType, DefaultColumns.EventType, "text not null"},
		{fieldPayload, c.Payload, DefaultColumns.Payload, "jsonb not null"},
		{fieldHeaders, c.Headers, DefaultColumns.Headers, "jsonb"},
		{fieldCreatedAt, c.CreatedAt, DefaultColumns.CreatedAt, "timestamptz not null default now()"},
	} {
		if col.mapped == None {
			continue
		}
		present = append(present, column{col.field, cmp.Or(col.mapped, col.usual), col.declared})
	}
	return present
}

// Names gives the names of the columns that the table must have.
func (c Columns) Names() []string {
	var names []string
	for _, col := range c.columns() {
		names = append(names, col.name)
	}
	return names
}

// Table is an outbox table. The zero value is public.outbox with the default columns.
type Table struct {
	Schema, Name string
	Columns      Columns
}

// Identifier gives the table's name for SQL, quoted: "public"."outbox".
func (t Table) Identifier() string {
	return quote(cmp.Or(t.Schema, "public")) + "." + quote(cmp.Or(t.Name, "outbox"))
}

// DDL gives the statement that makes the table if there is none of its name.
func (t Table) DDL() string {
	columns := t.Columns.columns()
	width := 0
	for _, col := range columns {
		width = max(width, utf8.RuneCountInString(quote(col.name)))
	}
	lines := make([]string, len(columns))
	for i, col := range columns {
		lines[i] = fmt.Sprintf("  %-*s %s", width, quote(col.name), col.declaration)
	}
	return "create table if not exists " + t.Identifier() + " (\n" + strings.Join(lines, ",\n") + "\n);"
}

// PublicationDDL gives the statement that makes the publication which walpost follows: the
// inserts of this table alone. A publication of all tables would break the updates of
// tables that have no primary key.
func (t Table) PublicationDDL(publication string) string {
	return fmt.Sprintf("create publication %s for table %s with (publish = 'insert');", quote(publication), t.Identifier())
}

// quote makes an identifier for SQL of a name, whatever it contains.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// ParseTable reads the name of a table as SQL does: "outbox" (in public), "app.outbox",
// `"App"."Outbox"`. What is not quoted is folded to lower case.
func ParseTable(s string) (Table, error) {
	first, rest, err := identifier(s)
	if err != nil {
		return Table{}, fmt.Errorf("read the table name %q: %w", s, err)
	}
	if rest == "" {
		return Table{Schema: "public", Name: first}, nil
	}
	second, rest, err := identifier(rest[1:])
	if err == nil && rest != "" {
		err = errors.New("it has more parts than schema and table")
	}
	if err != nil {
		return Table{}, fmt.Errorf("read the table name %q: %w", s, err)
	}
	return Table{Schema: first, Name: second}, nil
}

// identifier reads one name; rest is "" or starts with the dot after it.
func identifier(s string) (name, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		name, rest, err = quoted(s)
	} else {
		name, rest, err = unquoted(s)
	}
	switch {
	case err != nil:
		return "", "", err
	case name == "":
		return "", "", errors.New("a name is empty")
	case strings.Contains(name, "\x00") || !utf8.ValidString(name):
		return "", "", errors.New("a name must be UTF-8 without a NUL")
	case len(name) > maxIdentifier:
		return "", "", fmt.Errorf("%q is longer than the %d bytes of a Postgres name", name, maxIdentifier)
	case rest != "" && rest[0] != '.':
		return "", "", fmt.Errorf("unexpected %q after a name", rest)
	}
	return name, rest, nil
}

// quoted reads a name in double quotes, in which "" is one double quote.
func quoted(s string) (name, rest string, err error) {
	var b strings.Builder
	for rest = s[1:]; ; {
		before, after, found := strings.Cut(rest, `"`)
		if !found {
			return "", "", errors.New("the closing double quote is missing")
		}
		b.WriteString(before)
		if !strings.HasPrefix(after, `"`) {
			return b.String(), after, nil
		}
		b.WriteByte('"')
		rest = after[1:]
	}
}

// unquoted reads a name without quotes (PostgreSQL documentation, section 4.1.1).
func unquoted(s string) (name, rest string, err error) {
	end := len(s)
	for i, r := range s {
		if r == '.' {
			end = i
			break
		}
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || r != '$' && !unicode.IsDigit(r)) {
			return "", "", fmt.Errorf("%q may stand in a name only between double quotes", r)
		}
	}
	return strings.ToLower(s[:end]), s[end:], nil
}
