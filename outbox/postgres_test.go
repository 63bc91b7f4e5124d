package outbox_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"

	"github.com/walpost/walpost/internal/pgtest"
	"github.com/walpost/walpost/outbox"
)

var tagged = outbox.Event{
	ID:            "2f0c3f5e-4a4b-4c2f-9d3e-5b1a2c3d4e5f",
	AggregateType: "contact",
	AggregateID:   "7",
	Type:          "contact.tagged",
	Payload:       map[string]any{"contact": map[string]any{"name": `Ådá "🎈" <a&b>`}, "n": json.Number("12345678901234567890.10")},
	Headers:       map[string]string{"traceparent": "00-1"},
	CreatedAt:     time.Date(2026, 11, 24, 10, 58, 0, 123456000, time.FixedZone("", 5*3600+1800)),
}

// read gives the events of a table by Parser, from values in text format as the WAL has
// them, in the order of insertion.
func read(t *testing.T, db *pgtest.Database, table outbox.Table) []outbox.Row {
	t.Helper()
	conn := db.Conn(t).PgConn()
	results, err := conn.Exec(t.Context(), "set time zone 'UTC'; select * from "+table.Identifier()+" order by ctid").ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	selected := results[1]
	var names []string
	var types []uint32
	for _, f := range selected.FieldDescriptions {
		names, types = append(names, f.Name), append(types, f.DataTypeOID)
	}
	parser := newParser(t, table.Columns, names, types...)
	var rows []outbox.Row
	for _, values := range selected.Rows {
		row, err := parser.Parse(values)
		if err != nil {
			t.Errorf("parse %q: %v", values, err)
		}
		rows = append(rows, row)
	}
	return rows
}

// check compares a row with the event it was inserted as.
func check(t *testing.T, got outbox.Row, want outbox.Event) {
	t.Helper()
	if got.ID != want.ID || got.AggregateType != want.AggregateType || got.AggregateID != want.AggregateID ||
		got.Type != want.Type || !got.CreatedAt.Equal(want.CreatedAt) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, pair := range []struct {
		got  []byte
		want any
	}{{got.Payload, want.Payload}, {got.Headers, want.Headers}} {
		text, err := json.Marshal(pair.want)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := decode(t, pair.got), decode(t, text); !reflect.DeepEqual(a, b) {
			t.Errorf("got %s, want %s", pair.got, text)
		}
	}
}

// decode reads JSON with every digit of its numbers.
func decode(t *testing.T, text []byte) (value any) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("decode %q: %v", text, err)
	}
	return value
}

// TestInsertPgx inserts with each thing of pgx that runs statements, in each of its modes:
// some of them guess the types of parameters.
func TestInsertPgx(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			db := pgtest.New(t)
			db.Outbox(t)
			config, err := pgx.ParseConfig(db.URL)
			if err != nil {
				t.Fatal(err)
			}
			config.DefaultQueryExecMode = mode
			conn, err := pgx.ConnectConfig(ctx, config)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
			if err := outbox.Insert(ctx, conn, tagged); err != nil {
				t.Fatal(err)
			}
			rows := read(t, db, outbox.Table{})
			if len(rows) != 1 {
				t.Fatalf("got %d rows", len(rows))
			}
			check(t, rows[0], tagged)
		})
	}
}

func TestInsertPgxTransactions(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db := pgtest.New(t)
	db.Outbox(t)
	pool := db.Pool(t)
	event := func(id string) outbox.Event {
		return outbox.Event{AggregateType: "contact", AggregateID: id, Type: "tagged", Payload: struct{}{}}
	}
	if err := outbox.Insert(ctx, pool, event("pool 1"), event("pool 2")); err != nil {
		t.Fatal(err)
	}
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := outbox.Insert(ctx, tx, event("rolled back")); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return outbox.Insert(ctx, tx, event("tx")) })
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range read(t, db, outbox.Table{}) {
		got = append(got, row.AggregateID)
		if row.ID == "" || row.Headers != nil || time.Since(row.CreatedAt).Abs() > time.Minute {
			t.Errorf("the defaults are not taken: %+v", row)
		}
	}
	if want := []string{"pool 1", "pool 2", "tx"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestInsertSQL(t *testing.T) {
	t.Parallel()
	for _, driver := range []string{"pgx", "postgres"} { // pgx/stdlib and lib/pq
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			pg := pgtest.New(t)
			pg.Outbox(t)
			db, err := sql.Open(driver, pg.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			}()
			onDB, onConn, onTx := tagged, tagged, tagged
			onConn.ID, onTx.ID = "2f0c3f5e-0000-4c2f-9d3e-000000000001", "2f0c3f5e-0000-4c2f-9d3e-000000000002"
			if err := outbox.InsertSQL(ctx, db, onDB); err != nil {
				t.Fatal(err)
			}
			conn, err := db.Conn(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := outbox.InsertSQL(ctx, conn, onConn); err != nil {
				t.Fatal(err)
			}
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
			for _, commit := range []bool{false, true} {
				tx, err := db.BeginTx(ctx, nil)
				if err != nil {
					t.Fatal(err)
				}
				if err := outbox.InsertSQL(ctx, tx, onTx); err != nil {
					t.Fatal(err)
				}
				end := tx.Rollback
				if commit {
					end = tx.Commit
				}
				if err := end(); err != nil {
					t.Fatal(err)
				}
			}
			rows := read(t, pg, outbox.Table{})
			if len(rows) != 3 {
				t.Fatalf("got %d rows, want 3", len(rows))
			}
			for i, want := range []outbox.Event{onDB, onConn, onTx} {
				check(t, rows[i], want)
			}
		})
	}
}

// TestDDLIsTheDesigned compares the table that DDL makes with the one of DESIGN section 5.
func TestDDLIsTheDesigned(t *testing.T) {
	t.Parallel()
	const describe = `select string_agg(format('%s %s %s %s', column_name, data_type, is_nullable, column_default), e'\n' order by ordinal_position)
		from information_schema.columns where table_schema = 'public' and table_name = 'outbox'`
	var shapes []string
	for _, create := range []func(*pgtest.Database){
		func(db *pgtest.Database) { db.Outbox(t) },
		func(db *pgtest.Database) {
			db.Exec(t, outbox.Table{}.DDL())
			db.Exec(t, outbox.Table{}.DDL()) // if not exists
		},
	} {
		db := pgtest.New(t)
		create(db)
		var shape string
		if err := db.Conn(t).QueryRow(t.Context(), describe).Scan(&shape); err != nil {
			t.Fatal(err)
		}
		shapes = append(shapes, shape)
	}
	if shapes[0] != shapes[1] || shapes[0] == "" {
		t.Errorf("DDL makes\n%s\nwant\n%s", shapes[1], shapes[0])
	}
}

// TestMappedTable does the whole round with other names, some of which need quotes.
func TestMappedTable(t *testing.T) {
	t.Parallel()
	odd := outbox.Table{Schema: "public", Name: "Out box", Columns: outbox.Columns{
		ID: "ID", AggregateType: "select", AggregateID: `agg"id`, EventType: "Évènement", Payload: "pay load", Headers: "Head", CreatedAt: "$at",
	}}
	for name, table := range map[string]outbox.Table{"debezium": debezium, "odd": odd} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			db := pgtest.New(t)
			db.Exec(t, `create schema "App"`)
			db.Exec(t, table.DDL())
			db.Exec(t, table.PublicationDDL("Pub"))
			event := tagged
			if table.Columns.Headers == outbox.None {
				event.Headers, event.CreatedAt = nil, time.Time{}
			}
			if err := outbox.InsertInto(ctx, db.Conn(t), table, event); err != nil {
				t.Fatal(err)
			}
			again := event
			again.ID = ""
			std, err := sql.Open("pgx", db.URL)
			if err != nil {
				t.Fatal(err)
			}
			if err := outbox.InsertSQLInto(ctx, std, table, again); err != nil {
				t.Fatal(err)
			}
			if err := std.Close(); err != nil {
				t.Fatal(err)
			}
			rows := read(t, db, table)
			if len(rows) != 2 || rows[1].ID == "" {
				t.Fatalf("got %+v", rows)
			}
			if event.Headers == nil {
				rows[0].Headers = []byte("null") // what a nil map is in JSON
			}
			check(t, rows[0], event)
			var published string
			err = db.Conn(t).QueryRow(ctx, `select concat_ws(' ', p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.puballtables, t.schemaname, t.tablename)
				from pg_publication p join pg_publication_tables t using (pubname) where pubname = 'Pub'`).Scan(&published)
			if want := "t f f f f " + table.Schema + " " + table.Name; err != nil || published != want {
				t.Errorf("published %q, %v; want %q", published, err, want)
			}
		})
	}
}

// TestColumnTypes: the payload may be json or text, the id a number, the time without zone.
func TestColumnTypes(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{"json", "text"} {
		t.Run(payload, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			db.Exec(t, fmt.Sprintf(`create table public.outbox (id bigint primary key generated by default as identity, aggregate_type varchar(50),
				aggregate_id text, event_type text, payload %[1]s, headers %[1]s, created_at timestamp default now())`, payload))
			event := tagged
			event.ID = "42"
			if err := outbox.Insert(t.Context(), db.Conn(t), event); err != nil {
				t.Fatal(err)
			}
			rows := read(t, db, outbox.Table{})
			check(t, rows[0], event)
			if !strings.Contains(string(rows[0].Payload), `<a&b>`) {
				t.Errorf("%s was escaped for HTML", rows[0].Payload)
			}
		})
	}
}

func TestMegabytePayload(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Outbox(t)
	event := tagged
	event.Payload = map[string]string{"text": strings.Repeat("é🎈 ", 1<<20/7)}
	if err := outbox.Insert(t.Context(), db.Conn(t), event); err != nil {
		t.Fatal(err)
	}
	rows := read(t, db, outbox.Table{})
	if len(rows[0].Payload) < 1<<20 {
		t.Fatalf("the payload has %d bytes", len(rows[0].Payload))
	}
	check(t, rows[0], event)
}

// TestStoredBadRows reads back what other applications may have written.
func TestStoredBadRows(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, `create table public.outbox (id text, aggregate_type text, aggregate_id text, event_type text, payload jsonb, headers jsonb, created_at timestamptz)`)
	db.Exec(t, `insert into public.outbox values
		('1', 'contact', '7', 'tagged', null, null, now()),
		('2', 'contact', '7', 'tagged', '[1]', null, now()),
		('3', 'contact', '7', null, '{}', null, now()),
		('4', 'contact', '7', 'tagged', '{}', null, 'infinity'),
		('5', 'contact', '7', 'tagged', '{}', null, '0044-03-15 BC'),
		('6', 'contact', '7', 'tagged', '{}', null, '10000-01-01')`)
	results, err := db.Conn(t).PgConn().Exec(t.Context(), "select * from public.outbox order by id").ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	parser := newParser(t, outbox.Columns{}, usual)
	var got []string
	for _, values := range results[0].Rows {
		_, err := parser.Parse(values)
		got = append(got, fmt.Sprint(err))
	}
	want := []string{
		`outbox column "payload" is NULL`,
		`outbox column "payload" is a JSON array, not an object`,
		`outbox column "event_type" is NULL`,
		`outbox column "created_at" is infinite`,
		`outbox column "created_at" is before our era`,
		`outbox column "created_at" is after the year 9999`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestRefusedEscapes shows that what Statement refuses, Postgres would refuse.
func TestRefusedEscapes(t *testing.T) {
	t.Parallel()
	conn := pgtest.New(t).Conn(t)
	for _, text := range []string{`{"s":"\u0000"}`, `{"s":"\ud83d"}`, `{"s":"\ude00"}`, `{"s":"\ud83d\ud83d"}`} {
		if _, err := conn.Exec(t.Context(), "select $1::jsonb", text); err == nil {
			t.Errorf("Postgres takes %s", text)
		}
		_, _, err := outbox.Table{}.Statement(outbox.Event{AggregateType: "a", AggregateID: "1", Type: "t", Payload: json.RawMessage(text)})
		if err == nil {
			t.Errorf("Statement takes %s", text)
		}
	}
}

func TestInsertErrorNamesTheTable(t *testing.T) {
	t.Parallel()
	err := outbox.Insert(t.Context(), pgtest.New(t).Conn(t), tagged)
	if err == nil || !strings.HasPrefix(err.Error(), `insert into "public"."outbox": ERROR: relation "public.outbox" does not exist`) {
		t.Errorf("got %v", err)
	}
}
