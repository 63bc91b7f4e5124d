package outbox_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // database/sql driver

	"github.com/walpost/walpost/internal/pgtest"
	"github.com/walpost/walpost/outbox"
)

// What is emitted is read back as the same event, and both kinds of drivers run the statement.
func TestEmit(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	at := time.Date(2026, 1, 31, 12, 0, 0, 123456000, time.UTC)
	first := outbox.Event{
		ID: "e-1", AggregateType: "contact", AggregateID: "7", Type: "tagged", CreatedAt: at,
		Payload: json.RawMessage(`{"exact": 12345678901234567890.10, "html": "<b>"}`), Headers: map[string]string{"traceparent": "x"},
	}
	second := outbox.Event{AggregateType: "contact", AggregateID: "8", Type: "created", Payload: struct{}{}}
	statement, args, err := outbox.MessageStatement("ours", first, second)
	if err != nil {
		t.Fatal(err)
	}
	if args[0] != "ours" || len(args) != 3 {
		t.Fatalf("arguments %v", args)
	}
	var rows []outbox.Row
	for _, arg := range args[1:] {
		row, err := outbox.ParseMessage([]byte(arg.(string)))
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	if r := rows[0]; r.ID != "e-1" || r.AggregateID != "7" || !r.CreatedAt.Equal(at) ||
		string(r.Payload) != `{"exact":12345678901234567890.10,"html":"<b>"}` || string(r.Headers) != `{"traceparent":"x"}` {
		t.Errorf("%+v, payload %s", r, r.Payload)
	}
	if r := rows[1]; len(r.ID) != 36 || r.ID[14] != '4' || !r.CreatedAt.IsZero() {
		t.Errorf("%+v", r)
	}
	// Both kinds of drivers run it.
	db := pgtest.New(t)
	if _, err := db.Conn(t).Exec(ctx, statement, args...); err != nil {
		t.Error(err)
	}
	if err := outbox.Emit(ctx, db.Conn(t), first, second); err != nil {
		t.Error(err)
	}
	pool, err := sql.Open("pgx", db.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close() //nolint:errcheck // nothing is under way
	if err := outbox.EmitSQL(ctx, pool, first, second); err != nil {
		t.Error(err)
	}
	var invalid *outbox.EventError
	if err := outbox.Emit(ctx, db.Conn(t), first, outbox.Event{Type: "x"}); !errors.As(err, &invalid) || invalid.Index != 1 {
		t.Errorf("an invalid event: %v", err)
	}
	if err := outbox.Emit(ctx, db.Conn(t)); err != nil {
		t.Errorf("none: %v", err)
	}
}
