package main

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/walpost/walpost/outbox"
)

// contacts are kept in Postgres. The same pool serves pgx and database/sql, so that both ways are shown.
type contacts struct {
	pool *pgxpool.Pool
	db   *sql.DB
}

// openContacts connects and makes the tables: the application's own, and its outbox.
func openContacts(ctx context.Context, url string) (*contacts, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("read DATABASE_URL: %w", err)
	}
	for _, ddl := range []string{
		`create table if not exists contacts (
			id bigint generated always as identity primary key, name text not null, tags text[] not null default '{}')`,
		outbox.Table{}.DDL(),
	} {
		if _, err := pool.Exec(ctx, ddl); err != nil {
			pool.Close()
			return nil, fmt.Errorf("make the tables: %w", err)
		}
	}
	return &contacts{pool: pool, db: stdlib.OpenDBFromPool(pool)}, nil
}

func (c *contacts) close() {
	_ = c.db.Close() // it only holds connections of the pool
	c.pool.Close()
}

// add makes a contact and tells of it, in one transaction of pgx.
func (c *contacts) add(ctx context.Context, name string) (id int64, err error) {
	err = pgx.BeginFunc(ctx, c.pool, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `insert into contacts (name) values ($1) returning id`, name).Scan(&id); err != nil {
			return err
		}
		return outbox.Insert(ctx, tx, outbox.Event{
			AggregateType: "contact",
			AggregateID:   strconv.FormatInt(id, 10),
			Type:          "lead.created",
			Payload:       map[string]any{"contact": map[string]any{"id": id, "type": "lead", "name": name}},
		})
	})
	if err != nil {
		return 0, fmt.Errorf("add contact: %w", err)
	}
	return id, nil
}

// tag tags a contact and tells of it, in one transaction of database/sql.
func (c *contacts) tag(ctx context.Context, id int64, tag string) error {
	tx, err := c.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("tag contact %d: %w", id, err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit
	var name string
	err = tx.QueryRowContext(ctx, `update contacts set tags = tags || $2::text where id = $1 returning name`, id, tag).Scan(&name)
	if err != nil {
		return fmt.Errorf("tag contact %d: %w", id, err)
	}
	err = outbox.InsertSQL(ctx, tx, outbox.Event{
		AggregateType: "contact",
		AggregateID:   strconv.FormatInt(id, 10),
		Type:          "tagged", // with the aggregate type: contact.tagged
		Payload: map[string]any{
			"contact": map[string]any{"id": id, "type": "lead", "name": name},
			"tag":     map[string]any{"name": tag},
		},
	})
	if err != nil {
		return fmt.Errorf("tag contact %d: %w", id, err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("tag contact %d: %w", id, err)
	}
	return nil
}
