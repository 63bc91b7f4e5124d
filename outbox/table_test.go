package outbox_test

import (
	"strings"
	"testing"

	"github.com/walpost/walpost/outbox"
)

func TestParseTable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]outbox.Table{
		"outbox":                {Schema: "public", Name: "outbox"},
		"public.outbox":         {Schema: "public", Name: "outbox"},
		"App.OutBox":            {Schema: "app", Name: "outbox"},
		`"App"."OutBox"`:        {Schema: "App", Name: "OutBox"},
		`"a.b"."c""d"`:          {Schema: "a.b", Name: `c"d`},
		`app."my outbox"`:       {Schema: "app", Name: "my outbox"},
		"_x.tab$1":              {Schema: "_x", Name: "tab$1"},
		"übermut.ereignis":      {Schema: "übermut", Name: "ereignis"},
		strings.Repeat("a", 63): {Schema: "public", Name: strings.Repeat("a", 63)},
	} {
		got, err := outbox.ParseTable(in)
		if err != nil || got != want {
			t.Errorf("ParseTable(%q) = %+v, %v; want %+v", in, got, err, want)
		}
	}
}

func TestParseTableRejects(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                      "a name is empty",
		"public.":               "a name is empty",
		".outbox":               "a name is empty",
		`""`:                    "a name is empty",
		"db.public.outbox":      "more parts than schema and table",
		"my-outbox":             `'-' may stand in a name only between double quotes`,
		"1outbox":               `'1' may stand in a name only between double quotes`,
		"out box":               `' ' may stand in a name only between double quotes`,
		`"outbox`:               "the closing double quote is missing",
		`"a"b`:                  `unexpected "b" after a name`,
		"\"a\x00b\"":            "UTF-8 without a NUL",
		"\"a\xffb\"":            "UTF-8 without a NUL",
		strings.Repeat("a", 64): "longer than the 63 bytes",
	} {
		if got, err := outbox.ParseTable(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseTable(%q) = %+v, %v; want an error with %q", in, got, err, want)
		}
	}
}

func FuzzParseTable(f *testing.F) {
	f.Add("public.outbox")
	f.Add(`"a""b".c`)
	f.Fuzz(func(t *testing.T, s string) {
		table, err := outbox.ParseTable(s)
		if err != nil {
			return
		}
		if again, err := outbox.ParseTable(table.Identifier()); err != nil || again != table {
			t.Errorf("ParseTable(%q) = %+v, but its identifier %s gives %+v, %v", s, table, table.Identifier(), again, err)
		}
	})
}

func TestDDL(t *testing.T) {
	t.Parallel()
	if got, want := (outbox.Table{}).DDL(), `create table if not exists "public"."outbox" (
  "id"             uuid primary key default gen_random_uuid(),
  "aggregate_type" text not null,
  "aggregate_id"   text not null,
  "event_type"     text not null,
  "payload"        jsonb not null,
  "headers"        jsonb,
  "created_at"     timestamptz not null default now()
);`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := debezium.DDL(), `create table if not exists "App"."Out""box" (
  "id"            uuid primary key default gen_random_uuid(),
  "aggregatetype" text not null,
  "aggregateid"   text not null,
  "type"          text not null,
  "payload"       jsonb not null
);`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := debezium.PublicationDDL("w"), `create publication "w" for table "App"."Out""box" with (publish = 'insert');`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// debezium is an outbox as Debezium's event router expects it, under an awkward name.
var debezium = outbox.Table{
	Schema: "App",
	Name:   `Out"box`,
	Columns: outbox.Columns{
		AggregateType: "aggregatetype",
		AggregateID:   "aggregateid",
		EventType:     "type",
		Headers:       outbox.None,
		CreatedAt:     outbox.None,
	},
}
