package cli

import (
	stdbytes "bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/outbox"
)

// rowBudget bounds the bytes of payloads that are read at a time.
const rowBudget = 64 << 20

// rows are rows of the outbox table, read back as the stream gives them but for what only the WAL knows: when and at which
// position they were committed.
type rows struct {
	events     []*outbox.Row // newest first
	unreadable int           // rows that would be quarantined as they stand
	cut        bool          // the budget has ended it
}

// newestRows reads up to limit rows.
func newestRows(ctx context.Context, cfg *config.Config, limit int) (rows, error) {
	t := cfg.Outbox.Table
	names := t.Columns.Names()
	order := identifier(names[0]) + " desc"
	if t.Columns.CreatedAt != outbox.None {
		order = identifier(names[len(names)-1]) + " desc nulls last, " + order
	}
	return readRows(ctx, cfg, fmt.Sprintf("order by %s limit %d", order, limit))
}

// rowByID reads one row; nil: there is none.
func rowByID(ctx context.Context, cfg *config.Config, id string) (*outbox.Row, error) {
	column := identifier(cfg.Outbox.Table.Columns.Names()[0])
	// A quoted literal takes the type of the column, so that its index serves.
	found, err := readRows(ctx, cfg, "where "+column+" = $1", id)
	var server *pgconn.PgError
	if errors.As(err, &server) && strings.HasPrefix(server.Code, "22") {
		return nil, nil // no text of this form is an id
	}
	if err != nil || len(found.events) == 0 {
		return nil, err
	}
	return found.events[0], nil
}

// limits keep a statement from being in the way of anybody. They end with the transaction, as do the formats that
// outbox.Parser reads.
const limits = `set local statement_timeout = '30s'; set local lock_timeout = '2s';
set local timezone = 'UTC'; set local datestyle = 'ISO'`

// readRows reads what the condition selects, in one read-only transaction that takes no row locks.
func readRows(ctx context.Context, cfg *config.Config, condition string, args ...any) (rows, error) {
	conn, err := pgx.Connect(ctx, cfg.Database.URL.Reveal())
	if err != nil {
		return rows{}, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // all is read by then
	var found rows
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, limits, pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
		found, err = queryRows(ctx, tx, cfg.Outbox.Table, condition, args)
		return err
	})
	var server *pgconn.PgError
	if errors.As(err, &server) && server.Code == stateQueryCanceled {
		return rows{}, failed("ask for fewer rows, or give the table an index that begins with the column created_at",
			"Postgres has not found the rows within 30 s, and was told to stop")
	}
	if err != nil {
		return rows{}, fmt.Errorf("read the outbox table: %w", err)
	}
	return found, nil
}

func queryRows(ctx context.Context, tx pgx.Tx, t outbox.Table, condition string, args []any) (found rows, err error) {
	names := t.Columns.Names()
	columns := make([]string, len(names))
	for i, name := range names {
		columns[i] = identifier(name) + "::text"
	}
	parser, err := outbox.NewParser(t.Columns, names)
	if err != nil {
		return found, err
	}
	sql := "select " + strings.Join(columns, ", ") + " from " + t.Identifier() + " " + condition
	result, err := tx.Query(ctx, sql, append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
	if err != nil {
		return found, err
	}
	defer result.Close()
	for read := 0; result.Next(); {
		raw := result.RawValues()
		values := make([][]byte, len(raw))
		for i := range raw {
			values[i] = stdbytes.Clone(raw[i])
			read += len(raw[i])
		}
		row, err := parser.Parse(values)
		if err != nil {
			found.unreadable++
			continue
		}
		row.CommittedAt = row.CreatedAt
		found.events = append(found.events, &row)
		if found.cut = read > rowBudget; found.cut {
			break
		}
	}
	result.Close()
	return found, result.Err()
}

func identifier(name string) string { return pgx.Identifier{name}.Sanitize() }
