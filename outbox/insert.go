package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxParameters is how many parameters a statement can have in Postgres's protocol.
const maxParameters = 65535

// Execer runs a statement. pgx.Tx, *pgx.Conn and *pgxpool.Pool are Execers; T is inferred.
type Execer[T any] interface {
	Exec(ctx context.Context, sql string, args ...any) (T, error)
}

// SQLExecer runs a statement with database/sql. *sql.Tx, *sql.Conn and *sql.DB are
// SQLExecers.
type SQLExecer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// Insert inserts events into public.outbox with pgx, in one statement. Pass the
// transaction that makes the change which the events tell of: then both are committed or
// neither is. An event that cannot be inserted is an *EventError, and nothing is sent.
func Insert[T any](ctx context.Context, tx Execer[T], events ...Event) error {
	return InsertInto(ctx, tx, Table{}, events...)
}

// InsertInto is Insert for a table of another name or with other columns.
func InsertInto[T any](ctx context.Context, tx Execer[T], table Table, events ...Event) error {
	return table.insert(events, func(statement string, args []any) error {
		_, err := tx.Exec(ctx, statement, args...)
		return err
	})
}

// InsertSQL is Insert for database/sql.
func InsertSQL(ctx context.Context, tx SQLExecer, events ...Event) error {
	return InsertSQLInto(ctx, tx, Table{}, events...)
}

// InsertSQLInto is InsertInto for database/sql.
func InsertSQLInto(ctx context.Context, tx SQLExecer, table Table, events ...Event) error {
	return table.insert(events, func(statement string, args []any) error {
		_, err := tx.ExecContext(ctx, statement, args...)
		return err
	})
}

func (t Table) insert(events []Event, exec func(string, []any) error) error {
	if len(events) == 0 {
		return nil
	}
	statement, args, err := t.Statement(events...)
	if err != nil {
		return err
	}
	if err := exec(statement, args); err != nil {
		return fmt.Errorf("insert into %s: %w", t.Identifier(), err)
	}
	return nil
}

// Statement gives one insert of all the events, for any driver that takes $1, $2, …. It
// needs at least one event; at most 9362 always fit.
func (t Table) Statement(events ...Event) (statement string, args []any, err error) {
	if len(events) == 0 {
		return "", nil, errors.New("insert events: none given")
	}
	columns := t.Columns.columns()
	names := make([]string, len(columns))
	for i, col := range columns {
		names[i] = quote(col.name)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "insert into %s (%s) values ", t.Identifier(), strings.Join(names, ", "))
	for i := range events {
		values, invalid := events[i].values(&t.Columns)
		if invalid != nil {
			invalid.Index = i
			return "", nil, invalid
		}
		if i > 0 {
			b.WriteString(", ")
		}
		args = writeRow(&b, columns, &values, args)
	}
	if len(args) > maxParameters {
		return "", nil, fmt.Errorf("insert %d events: Postgres takes %d parameters in a statement: insert at most %d at a time",
			len(events), maxParameters, maxParameters/len(columns))
	}
	return b.String(), args, nil
}

// writeRow writes ($1, $2, default, …): a field without a value takes the table's default.
func writeRow(b *strings.Builder, columns []column, values *[fieldCount]any, args []any) []any {
	for i, col := range columns {
		if i == 0 {
			b.WriteByte('(')
		} else {
			b.WriteString(", ")
		}
		value := values[col.field]
		if value == nil {
			b.WriteString("default")
			continue
		}
		args = append(args, value)
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(len(args)))
	}
	b.WriteByte(')')
	return args
}
