package cdc

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"
)

// sharedSession says that a pooler gives our statements to any session.
func sharedSession() error {
	return &SetupError{
		Problem: "a connection pooler in transaction mode is between walpost and Postgres, and polling needs a session: it keeps a lock, and listens",
		Fix:     "set replication_url to the server itself, or to the pooler's port for session mode",
	}
}

// refuseSharedSession finds a pooler in transaction mode before it is told to keep anything. A pooler makes up the process
// id that it tells at login. In session mode no other connection gets the backend that serves us.
func (s *polling) refuseSharedSession(ctx context.Context, config *pgconn.Config) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	ours, err := backendOf(ctx, s.conn, "select pg_catalog.pg_backend_pid()")
	if err != nil || ours == int64(s.conn.PID()) {
		return err
	}
	second, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer closeOrdinary(ctx, second)
	return ownSession(ctx, s.conn, second)
}

// ownSession refuses a connection whose backend serves the other one, too, or that gets another backend meanwhile.
func ownSession(ctx context.Context, conn, other *pgconn.PgConn) error {
	ours, err := backendOf(ctx, conn, "select pg_catalog.pg_backend_pid()")
	if err != nil {
		return err
	}
	theirs, err := backendOf(ctx, other, "begin; select pg_catalog.pg_backend_pid()")
	if err != nil {
		return err
	}
	again, err := backendOf(ctx, conn, "select pg_catalog.pg_backend_pid()")
	if err != nil {
		return err
	}
	if theirs == ours || again != ours {
		return sharedSession()
	}
	return nil
}

// backendOf runs statements whose last one gives a process id.
func backendOf(ctx context.Context, conn *pgconn.PgConn, sql string) (pid int64, err error) {
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return 0, fmt.Errorf("ask for the backend: %w", err)
	}
	last := results[len(results)-1]
	if len(last.Rows) != 1 {
		return 0, errors.New("ask for the backend: no answer")
	}
	return strconv.ParseInt(string(last.Rows[0][0]), 10, 64)
}
