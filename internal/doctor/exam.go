package doctor

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/walpost/walpost/config"
)

//go:embed sql/*.sql
var statements embed.FS

// exam is one examination.
type exam struct {
	ctx     context.Context
	cfg     *config.Config
	explain func(error) (problem, fix string)

	sessions  map[session]*pgx.Conn
	refusals  map[session]error // why there is no connection
	documents map[string]document
}

// session is one of the two ways to the database.
type session string

const (
	byURL         session = "url"             // database.url: the ledger
	byReplication session = "replication_url" // database.replication_url: the stream, and the recovery that reads the table
)

// document is a statement's answer.
type document struct {
	json []byte // nil: no row
	err  error
}

const (
	connectTimeout = 10 * time.Second
	// closeTimeout is for the goodbye, when all is over.
	closeTimeout = time.Second
)

// application is the application_name of its connections, unless the connection string has one.
const application = "walpost doctor"

// limits keep a check from being in the way of anybody. They end with its transaction.
const limits = "set local statement_timeout = '5s'; set local lock_timeout = '500ms'; set local search_path = pg_catalog"

// connect opens the connections: one, where both strings are the same.
func (x *exam) connect() {
	x.sessions, x.refusals = map[session]*pgx.Conn{}, map[session]error{}
	d := x.cfg.Database
	x.sessions[byURL], x.refusals[byURL] = x.open(d.URL.Reveal())
	if d.ReplicationURL == d.URL {
		x.sessions[byReplication], x.refusals[byReplication] = x.sessions[byURL], x.refusals[byURL]
		return
	}
	x.sessions[byReplication], x.refusals[byReplication] = x.open(d.ReplicationURL.Reveal())
}

func (x *exam) open(connString string) (*pgx.Conn, error) {
	c, err := pgx.ParseConfig(connString)
	if err != nil {
		return nil, err
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = application
	}
	c.DefaultQueryExecMode = pgx.QueryExecModeExec // a pooler may not keep prepared statements
	ctx, cancel := context.WithTimeout(x.ctx, connectTimeout)
	defer cancel()
	return pgx.ConnectConfig(ctx, c)
}

func (x *exam) close() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), closeTimeout)
	defer cancel()
	for _, conn := range x.sessions {
		if conn != nil {
			_ = conn.Close(ctx) // all is read
		}
	}
}

// ask gives the document of sql/<name>.sql, asked once; nil: the statement gave no row.
func ask[T any](x *exam, by session, name string) (*T, error) {
	key := string(by) + " " + name
	d, asked := x.documents[key]
	if !asked {
		d.json, d.err = x.read(by, name)
		x.documents[key] = d
	}
	if d.err != nil || d.json == nil {
		return nil, d.err
	}
	value := new(T)
	if err := json.Unmarshal(d.json, value); err != nil {
		return nil, fmt.Errorf("decode the answer to %s: %w", name, err)
	}
	return value, nil
}

// read runs a statement in a transaction of its own.
func (x *exam) read(by session, name string) (value []byte, err error) {
	conn := x.sessions[by]
	if conn == nil {
		return nil, &unconnected{x.refusals[by]}
	}
	sql, err := statements.ReadFile("sql/" + name + ".sql")
	if err != nil {
		return nil, fmt.Errorf("read statement %s: %w", name, err)
	}
	o := x.cfg.Outbox
	args := pgx.NamedArgs{"slot": o.Slot, "publication": o.Publication, "schema": o.Table.Schema, "table": o.Table.Name}
	err = pgx.BeginTxFunc(x.ctx, conn, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(x.ctx, limits, pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
		err := tx.QueryRow(x.ctx, string(sql), args).Scan(&value)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", name, err)
	}
	return value, nil
}

// unconnected is the error of every question for which there is no connection.
type unconnected struct{ err error }

func (e *unconnected) Error() string { return "no connection: " + e.err.Error() }
func (e *unconnected) Unwrap() error { return e.err }

// make makes one check. One that can't be made says so.
func (x *exam) make(c check) []Finding {
	findings, err := c.judge(x)
	if err != nil {
		findings = append(findings, x.unable(err))
	}
	for i := range findings {
		findings[i].Check = c.name
	}
	return findings
}

// SQLSTATEs that keep a check from being made.
const (
	stateInsufficientRights = "42501"
	stateQueryCanceled      = "57014"
	stateLockNotAvailable   = "55P03"
	stateUndefinedTable     = "42P01"
)

// unable says why a check could not be made.
func (x *exam) unable(err error) Finding {
	f := Finding{Severity: Unknown, Found: "not looked at: " + err.Error()}
	var none *unconnected
	var server *pgconn.PgError
	switch {
	case errors.As(err, &none):
		f.Found = "not looked at: there is no connection"
	case !errors.As(err, &server):
	case server.Code == stateInsufficientRights:
		f.Found = "not looked at: " + server.Message
		f.Fix = "run walpost doctor as a role that may, or grant it"
	case server.Code == stateQueryCanceled:
		f.Found = "not looked at: the server has not answered within 5 s"
	case server.Code == stateLockNotAvailable:
		f.Found = "not looked at: somebody holds a lock that no reader can pass"
		f.Fix = "select pid, query from pg_stat_activity where state <> 'idle'; shows who, then try again"
	default:
		f.Found = "not looked at: " + server.Message
	}
	return f
}
