package outbox_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/internal/pgtest"
	"github.com/walpost/walpost/outbox"
)

// exampleDatabase stands for the application's database, with its tables.
func exampleDatabase(ctx context.Context) *pgtest.Database {
	db, err := pgtest.Open(ctx, "example")
	if err != nil {
		log.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, db.URL)
	if err != nil {
		log.Fatal(err)
	}
	_, err = conn.Exec(ctx, outbox.Table{}.DDL()+"create table contact (id int, name text)")
	if err != nil {
		log.Fatal(err)
	}
	if err := conn.Close(ctx); err != nil {
		log.Fatal(err)
	}
	return db
}

func drop(ctx context.Context, db *pgtest.Database) {
	if err := db.Drop(ctx); err != nil {
		log.Fatal(err)
	}
}

// The event is inserted in the transaction that makes the change: walpost sends it if and
// only if the change is committed.
func ExampleInsert() {
	ctx := context.Background()
	db := exampleDatabase(ctx)
	defer drop(ctx, db)

	conn, err := pgx.Connect(ctx, db.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()

	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "insert into contact values (7, 'Ada')"); err != nil {
			return err
		}
		return outbox.Insert(ctx, tx, outbox.Event{
			AggregateType: "contact",
			AggregateID:   "7",
			Type:          "created",
			Payload:       map[string]any{"contact": map[string]any{"id": 7, "name": "Ada"}},
		})
	})
	if err != nil {
		log.Fatal(err)
	}

	var event, payload string
	err = conn.QueryRow(ctx, "select aggregate_type || '.' || event_type, payload::text from outbox").Scan(&event, &payload)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(event, payload)
	// Output: contact.created {"contact": {"id": 7, "name": "Ada"}}
}

// The same with database/sql, and any driver for Postgres.
func ExampleInsertSQL() {
	ctx := context.Background()
	pg := exampleDatabase(ctx)
	defer drop(ctx, pg)

	db, err := sql.Open("pgx", pg.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = db.Close() }()

	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit

	type invoice struct {
		Number string `json:"number"`
		Cents  int    `json:"cents"`
	}
	err = outbox.InsertSQL(ctx, tx, outbox.Event{
		AggregateType: "invoice",
		AggregateID:   "2026-117",
		Type:          "invoice.paid",
		Payload:       invoice{Number: "2026-117", Cents: 4200},
		Headers:       map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		log.Fatal(err)
	}

	var payload string
	if err := db.QueryRowContext(ctx, "select payload from outbox").Scan(&payload); err != nil {
		log.Fatal(err)
	}
	fmt.Println(payload)
	// Output: {"cents": 4200, "number": "2026-117"}
}

// A table that exists already is used as it is, here one made for Debezium.
func ExampleTable_Statement() {
	table, err := outbox.ParseTable("app.outbox_event")
	if err != nil {
		log.Fatal(err)
	}
	table.Columns = outbox.Columns{
		AggregateType: "aggregatetype",
		AggregateID:   "aggregateid",
		EventType:     "type",
		Headers:       outbox.None,
		CreatedAt:     outbox.None,
	}
	statement, args, err := table.Statement(outbox.Event{
		AggregateType: "contact",
		AggregateID:   "7",
		Type:          "tagged",
		Payload:       map[string]any{"tag": "vip"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(statement)
	fmt.Println(args...)
	// Output:
	// insert into "app"."outbox_event" ("id", "aggregatetype", "aggregateid", "type", "payload") values (default, $1, $2, $3, $4)
	// contact 7 tagged {"tag":"vip"}
}

// The statements that walpost's init shows.
func ExampleTable_DDL() {
	fmt.Println(outbox.Table{}.DDL())
	fmt.Println(outbox.Table{}.PublicationDDL("walpost"))
	// Output:
	// create table if not exists "public"."outbox" (
	//   "id"             uuid primary key default gen_random_uuid(),
	//   "aggregate_type" text not null,
	//   "aggregate_id"   text not null,
	//   "event_type"     text not null,
	//   "payload"        jsonb not null,
	//   "headers"        jsonb,
	//   "created_at"     timestamptz not null default now()
	// );
	// create publication "walpost" for table "public"."outbox" with (publish = 'insert');
}

// A logical message in place of a row: no table grows. walpost sends it if and only if the transaction is committed, and
// can't recover it should the slot be lost.
func ExampleEmit() {
	ctx := context.Background()
	db := exampleDatabase(ctx)
	defer drop(ctx, db)

	conn, err := pgx.Connect(ctx, db.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()

	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "insert into contact values (7, 'Ada')"); err != nil {
			return err
		}
		return outbox.Emit(ctx, tx, outbox.Event{
			AggregateType: "contact",
			AggregateID:   "7",
			Type:          "contact.created",
			Payload:       map[string]any{"contact": map[string]any{"id": 7, "name": "Ada"}},
		})
	})
	fmt.Println(err)
	// Output: <nil>
}
