package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/walpost/walpost/internal/ledger"
)

// SQLSTATEs that a person can do something about.
// https://www.postgresql.org/docs/current/errcodes-appendix.html
const (
	stateInvalidAuth        = "28000"
	stateInvalidPassword    = "28P01"
	stateInvalidCatalog     = "3D000"
	stateInvalidSchema      = "3F000"
	stateInsufficientRights = "42501"
	stateUndefinedFunction  = "42883"
	stateUndefinedTable     = "42P01"
	stateTooManyConnections = "53300"
	stateQueryCanceled      = "57014"
	stateCannotConnectNow   = "57P03"
	stateLockNotAvailable   = "55P03"
)

// explainPostgres explains an error on the way to Postgres or from it; nil for any other. Nothing of it comes from
// the connection string itself: a string that can't be parsed may have its password anywhere.
func explainPostgres(err error) *failure {
	if errors.Is(err, ledger.ErrSchemaTooNew) {
		return &failure{
			code: exitFailure, problem: err.Error(),
			fix: "run the walpost that has migrated it, or a newer one; nothing is lost meanwhile, as the replication slot keeps the WAL",
		}
	}
	if errors.Is(err, ledger.ErrMissing) {
		return &failure{
			code: exitFailure, problem: err.Error(),
			fix: "start walpost again: it makes the ledger anew, and goes on from where the replication slot is. What was owed, parked or in quarantine " +
				"is gone with the old one. Without a slot, when polling too, outbox { start = \"backlog\" } delivers all rows of the table, and \"now\" none",
		}
	}
	var unreadable *pgconn.ParseConfigError
	if errors.As(err, &unreadable) {
		return &failure{
			code:    exitFailure,
			problem: "the connection string of the database can't be read",
			fix:     "write it as postgres://user:password@host:5432/database, with special characters percent-encoded",
		}
	}
	var unconnected *pgconn.ConnectError
	if errors.As(err, &unconnected) {
		return explainConnect(unconnected)
	}
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return explainServer(server)
	}
	return nil
}

// explainConnect explains why there is no connection.
func explainConnect(err *pgconn.ConnectError) *failure {
	f := &failure{code: exitFailure, fix: "correct host and port in database.url, or start Postgres there"}
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return explainLogin(server, err.Config)
	}
	at := address(err.Config)
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		f.problem = fmt.Sprintf("the host %q of the database can't be found", dns.Name)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		f.problem = fmt.Sprintf("no Postgres answers at %s", at)
	case errors.Is(err, context.DeadlineExceeded), pgconn.Timeout(err):
		f.problem = fmt.Sprintf("the Postgres at %s doesn't answer in time", at)
		f.fix = "correct host and port in database.url, or look whether a firewall is in between"
	default:
		f.problem = fmt.Sprintf("connect to the database %q at %s as %q: %v", err.Config.Database, at, err.Config.User, errors.Unwrap(err))
		f.fix = "correct database.url: sslmode must suit what the server offers"
	}
	return f
}

// address is where a connection leads, as people write it.
func address(config *pgconn.Config) string {
	if strings.HasPrefix(config.Host, "/") {
		return fmt.Sprintf("%s/.s.PGSQL.%d", config.Host, config.Port)
	}
	return net.JoinHostPort(config.Host, fmt.Sprint(config.Port))
}

// explainLogin explains what the server says to a login.
func explainLogin(err *pgconn.PgError, config *pgconn.Config) *failure {
	f := &failure{code: exitFailure, problem: fmt.Sprintf("the server at %s refuses the login: %s", address(config), err.Message)}
	switch err.Code {
	case stateInvalidPassword:
		f.fix = "correct user and password in database.url"
	case stateInvalidAuth:
		f.fix = fmt.Sprintf("correct the user in database.url, or let it in by pg_hba.conf: create role %s login;", quoteIdentifier(config.User))
	case stateInvalidCatalog:
		f.fix = fmt.Sprintf("correct the database in database.url, or: create database %s;", quoteIdentifier(config.Database))
	case stateTooManyConnections:
		f.fix = "raise max_connections, or end sessions that are idle"
	case stateCannotConnectNow:
		f.fix = "wait until the server has started, then try again"
	}
	return f
}

// explainServer explains what the server says to a statement.
func explainServer(err *pgconn.PgError) *failure {
	f := &failure{code: exitFailure, problem: "Postgres says: " + err.Message, fix: err.Hint}
	switch {
	case noLedger(err):
		f.problem, f.fix = "this database has no ledger yet", "walpost init"
	case err.Code == stateInvalidSchema:
		f.fix = "create the schema, or correct the name of the table in the configuration"
	case err.Code == stateInsufficientRights:
		f.fix = "grant the role what it lacks, or let the owner run what this prints: walpost init --sql"
	case err.Code == stateLockNotAvailable:
		f.fix = "try again when the transactions that hold the lock have ended: select pid, query from pg_stat_activity where state <> 'idle';"
	}
	return f
}

// noLedger reports whether the server misses the ledger's schema, or what should be in it.
func noLedger(err *pgconn.PgError) bool {
	switch err.Code {
	case stateUndefinedTable, stateInvalidSchema, stateUndefinedFunction:
		return strings.Contains(err.Message, `schema "walpost"`) || strings.Contains(err.Message, "walpost.")
	}
	return false
}

// hasNoLedger reports whether an error is that of a database without a ledger.
func hasNoLedger(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && noLedger(server)
}

// serverMessage is the server's own message in an error, or "".
func serverMessage(err error) string {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return server.Message
	}
	return ""
}

func quoteIdentifier(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
