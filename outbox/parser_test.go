package outbox_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/walpost/walpost/outbox"
)

// usual are the columns of the default table and their type OIDs.
var (
	usual      = []string{"id", "aggregate_type", "aggregate_id", "event_type", "payload", "headers", "created_at"}
	usualTypes = []uint32{2950, 25, 25, 25, 3802, 3802, 1184}
)

// values makes a row of the default table; "NULL" is NULL.
func values(texts ...string) [][]byte {
	row := make([][]byte, len(texts))
	for i, text := range texts {
		if text != "NULL" {
			row[i] = []byte(text)
		}
	}
	return row
}

func newParser(t testing.TB, c outbox.Columns, names []string, types ...uint32) *outbox.Parser {
	t.Helper()
	parser, err := outbox.NewParser(c, names, types...)
	if err != nil {
		t.Fatal(err)
	}
	return parser
}

func TestParse(t *testing.T) {
	t.Parallel()
	parser := newParser(t, outbox.Columns{}, usual)
	in := values("5f0c", "contact", "7", "contact.tagged", ` {"a": 1}`, `{"b": "c"}`, "2026-11-24 05:28:00.123456+00")
	got, err := parser.Parse(in)
	want := outbox.Row{
		ID: "5f0c", AggregateType: "contact", AggregateID: "7", Type: "contact.tagged",
		Payload: in[4], Headers: in[5], CreatedAt: time.Date(2026, 11, 24, 5, 28, 0, 123456000, time.UTC),
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if &got.Payload[0] != &in[4][0] {
		t.Error("the payload was copied")
	}
}

// TestParseMapped reads Debezium's columns, in another order and among others.
func TestParseMapped(t *testing.T) {
	t.Parallel()
	parser := newParser(t, debezium.Columns, []string{"tenant", "type", "payload", "id", "aggregateid", "aggregatetype"})
	got, err := parser.Parse(values("acme", "tagged", "{}", "1", "7", "contact"))
	want := outbox.Row{ID: "1", AggregateType: "contact", AggregateID: "7", Type: "tagged", Payload: []byte("{}")}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestParseProblems(t *testing.T) {
	t.Parallel()
	const at = "2026-11-24 05:28:00+00"
	good := []string{"1", "contact", "7", "tagged", "{}", "NULL", at}
	with := func(column int, value string) []string {
		row := append([]string(nil), good...)
		row[column] = value
		return row
	}
	for name, test := range map[string]struct {
		row    []string
		column string // "": the row is good
		want   string
	}{
		"good":               {good, "", ""},
		"unicode":            {with(4, `{"名": "Ådá 🎈"}`), "", ""},
		"no aggregate":       {with(1, "NULL"), "", ""},
		"null headers":       {with(5, "null"), "", ""},
		"null id":            {with(0, "NULL"), "id", "is NULL"},
		"empty id":           {with(0, ""), "id", "is empty"},
		"null type":          {with(3, "NULL"), "event_type", "is NULL"},
		"empty type":         {with(3, ""), "event_type", "is empty"},
		"null payload":       {with(4, "NULL"), "payload", "is NULL"},
		"empty payload":      {with(4, ""), "payload", "is not JSON"},
		"blank payload":      {with(4, " \n"), "payload", "is not JSON"},
		"text payload":       {with(4, "hello"), "payload", "is not JSON"},
		"cut payload":        {with(4, `{"a": 1`), "payload", "is not JSON"},
		"two payloads":       {with(4, `{} {}`), "payload", "is not JSON"},
		"array payload":      {with(4, " [1]"), "payload", "is a JSON array, not an object"},
		"string payload":     {with(4, `"a"`), "payload", "is a JSON string, not an object"},
		"JSON null payload":  {with(4, "null"), "payload", "is a JSON null, not an object"},
		"boolean payload":    {with(4, "false"), "payload", "is a JSON boolean, not an object"},
		"number payload":     {with(4, "-1.5"), "payload", "is a JSON number, not an object"},
		"text headers":       {with(5, "a=b"), "headers", "is not JSON"},
		"null time":          {with(6, "NULL"), "created_at", "is NULL"},
		"first problem only": {[]string{"NULL", "contact", "7", "NULL", "x", "x", "x"}, "id", "is NULL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := values(test.row...)
			row, err := newParser(t, outbox.Columns{}, usual).Parse(in)
			// Also on error the row has what can be read, for the record of bad rows.
			if in[0] != nil && row.ID != test.row[0] || in[1] != nil && row.AggregateType != test.row[1] ||
				row.AggregateID != test.row[2] || in[3] != nil && row.Type != test.row[3] || !bytes.Equal(row.Payload, in[4]) {
				t.Errorf("the row is not filled: %+v", row)
			}
			if test.row[6] == at && row.CreatedAt.IsZero() {
				t.Error("the time is not filled")
			}
			if test.column == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			var bad *outbox.RowError
			if !errors.As(err, &bad) || bad.Column != test.column || bad.Problem != test.want {
				t.Errorf("got %v, want column %s %s", err, test.column, test.want)
			}
		})
	}
	if row, _ := newParser(t, outbox.Columns{}, usual).Parse(values(with(5, "null")...)); row.Headers != nil {
		t.Errorf("JSON null as headers gives %q", row.Headers)
	}
}

func TestParseOtherWidth(t *testing.T) {
	t.Parallel()
	_, err := newParser(t, outbox.Columns{}, usual).Parse(values("1", "contact"))
	if err == nil || err.Error() != "outbox row has 2 values, the table 7 columns" {
		t.Errorf("got %v", err)
	}
}

// TestParseTyped: what Postgres guarantees is not checked, what it doesn't still is.
func TestParseTyped(t *testing.T) {
	t.Parallel()
	parser := newParser(t, outbox.Columns{}, usual, usualTypes...)
	for payload, want := range map[string]string{`{"a": 1}`: "", "[1]": "is a JSON array, not an object", "": "is not JSON"} {
		_, err := parser.Parse(values("1", "contact", "7", "tagged", payload, "NULL", "2026-11-24 05:28:00+00"))
		if (err == nil) != (want == "") || err != nil && !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", payload, err, want)
		}
	}
	text := newParser(t, outbox.Columns{}, usual, 2950, 25, 25, 25, 25, 25, 1184)
	if _, err := text.Parse(values("1", "contact", "7", "tagged", `{"a"`, "NULL", "2026-11-24 05:28:00+00")); err == nil {
		t.Error("JSON in a text column was not checked")
	}
	if _, err := outbox.NewParser(outbox.Columns{}, usual, 25); err == nil {
		t.Error("one type for seven columns was accepted")
	}
}

func TestParseTimestamps(t *testing.T) {
	t.Parallel()
	parser := newParser(t, outbox.Columns{}, usual)
	parse := func(text string) (time.Time, error) {
		row, err := parser.Parse(values("1", "contact", "7", "tagged", "{}", "NULL", text))
		return row.CreatedAt, err
	}
	for in, want := range map[string]string{
		"2026-11-24 05:28:00.123456+00":  "2026-11-24T05:28:00.123456Z",
		"2026-11-24 05:28:00.12+05:30":   "2026-11-23T23:58:00.12Z",
		"2026-11-24 05:28:00-03":         "2026-11-24T08:28:00Z",
		"2026-11-24 05:28:00":            "2026-11-24T05:28:00Z",
		"1880-01-01 00:00:00+00:53:28":   "1879-12-31T23:06:32Z",
		"2024-02-29 23:59:59.999999+00":  "2024-02-29T23:59:59.999999Z",
		"0001-01-01 00:00:00+00":         "0001-01-01T00:00:00Z",
		"9999-12-31 23:59:59+00":         "9999-12-31T23:59:59Z",
		"2026-11-24 05:28:00.1234567+00": "2026-11-24T05:28:00.1234567Z",
	} {
		if got, err := parse(in); err != nil || got.Format(time.RFC3339Nano) != want || got.Location() != time.UTC {
			t.Errorf("%s: got %v, %v; want %s", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		"infinity":                      "is infinite",
		"-infinity":                     "is infinite",
		"0044-03-15 12:00:00+00 BC":     "is before our era",
		"10000-01-01 00:00:00+00":       "is after the year 9999",
		"294276-12-31 23:59:59.99+00":   "is after the year 9999",
		"9999-12-31 23:59:59-05":        "is after the year 9999",
		"0001-01-01 00:00:00+05":        "is before our era",
		"":                              "is not a timestamp",
		"2026-11-24":                    "is not a timestamp",
		"2026-02-30 00:00:00+00":        "is not a timestamp",
		"2026-13-01 00:00:00+00":        "is not a timestamp",
		"2026-00-01 00:00:00+00":        "is not a timestamp",
		"2026-11-00 00:00:00+00":        "is not a timestamp",
		"2026-11-24 24:00:00+00":        "is not a timestamp",
		"2026-11-24 05:60:00+00":        "is not a timestamp",
		"2026-11-24 05:28:60+00":        "is not a timestamp",
		"2026-11-24T05:28:00Z":          "is not a timestamp",
		"2026-11-24 05:28:00.+00":       "is not a timestamp",
		"2026-11-24 05:28:00+0":         "is not a timestamp",
		"2026-11-24 05:28:00+00 ":       "is not a timestamp",
		"2026-11-24 05:28:00.123456 +0": "is not a timestamp",
		"1795498080123":                 "is not a timestamp",
		"Tue Nov 24 05:28:00 2026 UTC":  "is not a timestamp",
	} {
		var bad *outbox.RowError
		if got, err := parse(in); !errors.As(err, &bad) || bad.Column != "created_at" || bad.Problem != want {
			t.Errorf("%q: got %v, %v; want %q", in, got, err, want)
		}
	}
}

func TestNewParserMissingColumns(t *testing.T) {
	t.Parallel()
	_, err := outbox.NewParser(outbox.Columns{}, []string{"id", "aggregateType", "aggregateid", "type", "payload", "tenant"})
	var missing *outbox.ColumnError
	if !errors.As(err, &missing) {
		t.Fatalf("got %v, want a *ColumnError", err)
	}
	want := []outbox.MissingColumn{
		{Name: "aggregate_type", Suggestion: "aggregateType"},
		{Name: "aggregate_id", Suggestion: "aggregateid"},
		{Name: "event_type", Suggestion: "type"},
		{Name: "headers", Optional: true},
		{Name: "created_at", Optional: true},
	}
	if !reflect.DeepEqual(missing.Missing, want) {
		t.Errorf("got %+v, want %+v", missing.Missing, want)
	}
	if got, want := err.Error(), `the outbox table has no columns "aggregate_type" (did you mean "aggregateType"?), `+
		`"aggregate_id" (did you mean "aggregateid"?), "event_type" (did you mean "type"?), `+
		`"headers" (map it to "-" if there is none), "created_at" (map it to "-" if there is none)`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	_, err = outbox.NewParser(outbox.Columns{Payload: "data"}, usual)
	if err == nil || err.Error() != `the outbox table has no column "data"` {
		t.Errorf("got %v", err)
	}
	_, err = outbox.NewParser(outbox.Columns{}, append([]string{"createdAt"}, usual[:6]...))
	if err == nil || !strings.Contains(err.Error(), `"created_at" (did you mean "createdAt"?)`) {
		t.Errorf("got %v", err)
	}
}

func TestColumnNames(t *testing.T) {
	t.Parallel()
	if got := (outbox.Columns{}).Names(); !reflect.DeepEqual(got, usual) {
		t.Errorf("got %q", got)
	}
	if got := outbox.DefaultColumns.Names(); !reflect.DeepEqual(got, usual) {
		t.Errorf("got %q", got)
	}
	if got, want := debezium.Columns.Names(), []string{"id", "aggregatetype", "aggregateid", "type", "payload"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// FuzzParse holds Parse to what a *RowError means, and its timestamps to time.Parse.
func FuzzParse(f *testing.F) {
	f.Add([]byte("1"), []byte("contact"), []byte("7"), []byte("tagged"), []byte(`{"a": 1}`), []byte("null"), []byte("2026-11-24 05:28:00.123456+05:30"))
	f.Add([]byte(""), []byte(""), []byte(""), []byte(""), []byte(" [1]"), []byte("{}"), []byte("0044-03-15 12:00:00+00 BC"))
	f.Add([]byte("1"), []byte("a"), []byte("b"), []byte("c"), []byte(" "), []byte(""), []byte("1880-01-01 00:00:00-00:53:28"))
	parser, err := outbox.NewParser(outbox.Columns{}, usual)
	if err != nil {
		f.Fatal(err)
	}
	typed, err := outbox.NewParser(outbox.Columns{}, usual, usualTypes...)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, id, aggregateType, aggregateID, eventType, payload, headers, created []byte) {
		row := [][]byte{id, aggregateType, aggregateID, eventType, payload, headers, created}
		got, err := parser.Parse(row)
		if got.ID != string(id) || got.AggregateType != string(aggregateType) || got.AggregateID != string(aggregateID) || got.Type != string(eventType) {
			t.Errorf("the texts are mixed up: %+v", got)
		}
		trusted, typedErr := typed.Parse(row)
		if err != nil {
			return // the typed parser only must not panic
		}
		if typedErr != nil || !reflect.DeepEqual(got, trusted) {
			t.Errorf("with types: %+v, %v; without: %+v", trusted, typedErr, got)
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(payload, &object); err != nil || object == nil {
			t.Errorf("%q was accepted as a payload: %v", payload, err)
		}
		if headers != nil && !json.Valid(headers) {
			t.Errorf("%q was accepted as headers", headers)
		}
		if want, ok := parseByGo(string(created)); ok && !got.CreatedAt.Equal(want) {
			t.Errorf("%q gives %v, want %v", created, got.CreatedAt, want)
		}
	})
}

// parseByGo reads the offsets that time.Parse knows.
func parseByGo(text string) (time.Time, bool) {
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04:05-07", "2006-01-02 15:04:05-07:00", "2006-01-02 15:04:05-07:00:00"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

func BenchmarkParse(b *testing.B) {
	payload := `{"contact": {"id": 7, "name": "` + strings.Repeat("Ada ", 110) + `"}}`
	row := values("5f0c3f5e-4a4b-4c2f-9d3e-5b1a2c3d4e5f", "contact", "7", "contact.tagged", payload, "NULL", "2026-11-24 05:28:00.123456+00")
	for name, types := range map[string][]uint32{"typed": usualTypes, "untyped": nil} {
		b.Run(name, func(b *testing.B) {
			parser := newParser(b, outbox.Columns{}, usual, types...)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parser.Parse(row); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
