package cdc

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

//go:embed sql/*.sql
var statements embed.FS

// answerTimeout bounds the wait for an answer that takes no longer than lock_timeout: a server that has gone without a word may
// still acknowledge what we send, so that neither TCP nor its keepalive notices.
const answerTimeout = time.Minute

// run runs a statement of which nothing is to be read.
func run(ctx context.Context, conn *pgconn.PgConn, sql string) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// query runs the statement of a file and decodes the JSON document that its only row consists of. ok is false
// when there is no row.
func query[T any](ctx context.Context, conn *pgconn.PgConn, file string, args ...string) (document T, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return queryLong[T](ctx, conn, file, args...)
}

// queryLong is query for what may take any time.
func queryLong[T any](ctx context.Context, conn *pgconn.PgConn, file string, args ...string) (document T, ok bool, err error) {
	sql, err := statements.ReadFile("sql/" + file + ".sql")
	if err != nil {
		return document, false, fmt.Errorf("read statement %s: %w", file, err)
	}
	values := make([][]byte, len(args))
	for i, arg := range args {
		values[i] = []byte(arg)
	}
	result := conn.ExecParams(ctx, string(sql), values, nil, nil, nil).Read()
	if result.Err != nil {
		return document, false, fmt.Errorf("query %s: %w", file, result.Err)
	}
	if len(result.Rows) == 0 {
		return document, false, nil
	}
	if err := json.Unmarshal(result.Rows[0][0], &document); err != nil {
		return document, false, fmt.Errorf("decode the result of %s: %w", file, err)
	}
	return document, true, nil
}
