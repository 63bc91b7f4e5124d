package outbox

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// MessagePrefix is the prefix of logical messages that Emit uses and that configurations usually name.
const MessagePrefix = "walpost"

// Emit writes events into the WAL with pgx, as logical messages in place of rows (pg_logical_emit_message): no table grows,
// and nothing has to be pruned. Pass the transaction that makes the change: messages of one that is rolled back, or of a
// savepoint that is, are never sent. They are nowhere but in the WAL: what a lost slot takes with it can't be recovered.
// walpost reads them if its configuration says outbox { messages = "walpost" }. An event without an ID gets one.
func Emit[T any](ctx context.Context, tx Execer[T], events ...Event) error {
	return EmitTo(ctx, tx, MessagePrefix, events...)
}

// EmitTo is Emit with another prefix.
func EmitTo[T any](ctx context.Context, tx Execer[T], prefix string, events ...Event) error {
	return emit(prefix, events, func(statement string, args []any) error {
		_, err := tx.Exec(ctx, statement, args...)
		return err
	})
}

// EmitSQL is Emit for database/sql.
func EmitSQL(ctx context.Context, tx SQLExecer, events ...Event) error {
	return EmitSQLTo(ctx, tx, MessagePrefix, events...)
}

// EmitSQLTo is EmitTo for database/sql.
func EmitSQLTo(ctx context.Context, tx SQLExecer, prefix string, events ...Event) error {
	return emit(prefix, events, func(statement string, args []any) error {
		_, err := tx.ExecContext(ctx, statement, args...)
		return err
	})
}

func emit(prefix string, events []Event, exec func(string, []any) error) error {
	if len(events) == 0 {
		return nil
	}
	statement, args, err := MessageStatement(prefix, events...)
	if err != nil {
		return err
	}
	if err := exec(statement, args); err != nil {
		return fmt.Errorf("emit messages with prefix %q: %w", prefix, err)
	}
	return nil
}

// MessageStatement gives one statement that emits all the events in their order, for any driver that takes $1, $2, …. It
// needs at least one event; at most 65534 fit.
func MessageStatement(prefix string, events ...Event) (statement string, args []any, err error) {
	if len(events) == 0 {
		return "", nil, errors.New("emit events: none given")
	}
	if len(events)+1 > maxParameters {
		return "", nil, fmt.Errorf("emit %d events: Postgres takes %d parameters in a statement: emit at most %d at a time", len(events), maxParameters, maxParameters-1)
	}
	var b strings.Builder
	b.WriteString("select pg_logical_emit_message(true, $1::text, m) from (values ")
	args = append(args, prefix)
	for i := range events {
		content, invalid := events[i].message()
		if invalid != nil {
			invalid.Index = i
			return "", nil, invalid
		}
		if i > 0 {
			b.WriteString(", ")
		}
		args = append(args, content)
		b.WriteString("($" + strconv.Itoa(len(args)) + "::text)")
	}
	b.WriteString(") as v (m)")
	return b.String(), args, nil
}

// message is the event as the content of a logical message. Payload and headers are as encoding/json has them.
func (e *Event) message() (string, *EventError) {
	values, invalid := e.values(&DefaultColumns)
	if invalid != nil {
		return "", invalid
	}
	if values[fieldID] == nil {
		values[fieldID] = newID()
	}
	fields := make(map[string]any, fieldCount)
	for _, col := range DefaultColumns.columns() {
		switch value := values[col.field].(type) {
		case nil:
		case time.Time:
			fields[col.name] = value.Format(time.RFC3339Nano)
		case string:
			fields[col.name] = value
			if col.field == fieldPayload || col.field == fieldHeaders {
				fields[col.name] = json.RawMessage(value)
			}
		}
	}
	content, invalid := encodeJSON("Payload", fields)
	return content, invalid
}

// newID makes a random UUID (RFC 9562, version 4).
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
