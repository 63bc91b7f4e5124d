package demo

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// facts are what the ledger says, read from Postgres once walpost has ended: what is durable.
type facts struct {
	states      map[string]string // of deliveries, by webhook-id
	disabled    map[string]string // why, by webhook
	quarantined int
}

// readFacts reads the ledger by what it offers to everybody: its views and tables.
func readFacts(ctx context.Context, conn *pgx.Conn) (*facts, error) {
	f := &facts{states: map[string]string{}, disabled: map[string]string{}}
	for _, q := range []struct {
		sql string
		to  map[string]string
	}{
		{`select id::text, state from walpost.deliveries`, f.states},
		{`select name, disabled_why from walpost.webhook where disabled_at is not null`, f.disabled},
	} {
		if err := readPairs(ctx, conn, q.sql, q.to); err != nil {
			return nil, fmt.Errorf("read the ledger: %w", err)
		}
	}
	err := conn.QueryRow(ctx, `select count(*) from walpost.quarantine where resolved_at is null`).Scan(&f.quarantined)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	return f, nil
}

func readPairs(ctx context.Context, conn *pgx.Conn, sql string, to map[string]string) error {
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return err
	}
	var key, value string
	_, err = pgx.ForEachRow(rows, []any{&key, &value}, func() error {
		to[key] = value
		return nil
	})
	return err
}
