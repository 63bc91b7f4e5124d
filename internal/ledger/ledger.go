// Package ledger keeps every durable fact after the WAL in schema walpost of the host's Postgres: deliveries that are
// owed, parked or failed, their events and attempts, the webhooks' run-time state, and the checkpoint. An event that is
// delivered at the first attempt is not written at all, unless Options.Record asks for it.
//
// Writes on the way of an event go through one batching writer (Submit, Run); claims, commands and readers use the
// pool directly. All times are the database's, by the SQL function walpost.now().
package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"
	"golang.org/x/sync/semaphore"
)

var (
	// ErrFenced is given when a change came too late: another claim, replay or owner of the slot has taken over.
	ErrFenced = errors.New("the ledger has a newer owner")
	// ErrStopped is given to entries that could not be written before the writer had to stop, and to new ones after.
	// They are not recorded, so their events are not resolved.
	ErrStopped = errors.New("the ledger's writer has stopped")
	// ErrNoMatch is given by commands whose filter matches nothing they could change.
	ErrNoMatch = errors.New("nothing in the ledger matches")
)

// Record says which deliveries the ledger keeps.
type Record string

const (
	// RecordFailures keeps what is not delivered at the first attempt.
	RecordFailures Record = "failures"
	// RecordAll also keeps first-attempt successes, as one row of the attempt log each.
	RecordAll Record = "all"
)

// Options configure a Ledger. The zero value of each field but ConnString is its default.
type Options struct {
	// ConnString is the DSN of the host's database, in the form that pgx takes.
	ConnString string
	// Record defaults to RecordFailures.
	Record Record
	// Slot is the replication slot that the entries' epochs are of.
	Slot string
	// Application is the application_name of the sessions, unless ConnString has one. Default: walpost.
	Application string
	// Replica names this daemon in the attempt log. Default: the host's name.
	Replica string
	// BatchSize is the number of rows that are worth a transaction at once. Fewer wait for BatchDelay after the
	// batch before. A batch has ten times as many at most. Default: 100.
	BatchSize int
	// BatchDelay is the shortest time between two transactions of fewer than BatchSize rows. Default: 20 ms.
	BatchDelay time.Duration
	// MaxPending bounds the bytes that wait to be written; Submit blocks above it. An entry that is larger
	// waits alone. Default: 24 MiB.
	MaxPending int64
	// FlushTimeout bounds the last writes after Run's context has ended. Default: 10 s.
	FlushTimeout time.Duration
	// Logger gets a line when the database can't be written to, one for each cause, and one when it can again.
	Logger zerolog.Logger
}

func (o *Options) validate() error {
	var problems []error
	if o.ConnString == "" {
		problems = append(problems, errors.New("no connection string"))
	}
	if o.Record != "" && o.Record != RecordFailures && o.Record != RecordAll {
		problems = append(problems, fmt.Errorf("record is %q, not %q or %q", o.Record, RecordFailures, RecordAll))
	}
	if o.BatchSize < 0 || o.BatchDelay < 0 || o.MaxPending < 0 || o.FlushTimeout < 0 {
		problems = append(problems, errors.New("a batch or time limit is negative"))
	}
	return errors.Join(problems...)
}

func (o *Options) setDefaults() {
	if o.Record == "" {
		o.Record = RecordFailures
	}
	if o.Replica == "" {
		o.Replica, _ = os.Hostname() // a name for people only: empty is fine
	}
	if o.Application == "" {
		o.Application = "walpost"
	}
	if o.BatchSize == 0 {
		o.BatchSize = 100
	}
	if o.BatchDelay == 0 {
		o.BatchDelay = 20 * time.Millisecond
	}
	if o.MaxPending == 0 {
		o.MaxPending = 24 << 20
	}
	if o.FlushTimeout == 0 {
		o.FlushTimeout = 10 * time.Second
	}
}

// Ledger is the one door to schema walpost. All methods may be called from several goroutines.
type Ledger struct {
	options Options
	pool    *pgxpool.Pool
	lines   *lines // of the pool, and of Listen
	queue   *queue
	pending *semaphore.Weighted

	capturing capturing
	floors    floors
}

// Sessions are few and give up early, so that walpost never starves the host of connections nor waits on its locks.
const maxConns = 4

// sessionDefaults are what the connection string may set otherwise.
var sessionDefaults = map[string]string{
	"lock_timeout":                        "5s",
	"statement_timeout":                   "30s",
	"idle_in_transaction_session_timeout": "30s",
}

// sessionParams hold whatever the connection string, the database or the role say. A commit that could be lost with the
// server's memory must not resolve an event, so commits are synchronous; the statements are written for read committed.
var sessionParams = map[string]string{
	"synchronous_commit":            "on",
	"default_transaction_isolation": "read committed",
	"client_encoding":               "UTF8",
	"jit":                           "off", // statements are short, but a large table makes the planner think otherwise
	"timezone":                      "UTC",
}

// Open reads the options and makes the pool. It connects only when something is asked for, so a database that is down
// is no error here.
func Open(ctx context.Context, o Options) (*Ledger, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	o.setDefaults()
	config, err := pgxpool.ParseConfig(o.ConnString)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	setSessionParams(&config.ConnConfig.Config, o.Application)
	config.MaxConns = maxConns
	var open lines
	config.ConnConfig.DialFunc = open.dialed(config.ConnConfig.DialFunc)
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error { return endWithClient(ctx, conn.PgConn()) }
	var sessions renewal
	sessions.watch(&config.ConnConfig.Config)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	sessions.pool.Store(pool)
	return &Ledger{
		options: o,
		pool:    pool,
		lines:   &open,
		queue:   newQueue(),
		pending: semaphore.NewWeighted(o.MaxPending),
	}, nil
}

func setSessionParams(config *pgconn.Config, application string) {
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = application
	}
	for name, value := range sessionDefaults {
		if _, set := config.RuntimeParams[name]; !set {
			config.RuntimeParams[name] = value
		}
	}
	maps.Copy(config.RuntimeParams, sessionParams)
}

// Renew is for when another connection to the server was lost without a word: the pool's sessions are replaced, those that
// are in use when what they do has ended, for which the server has a few seconds.
func (l *Ledger) Renew() {
	l.pool.Reset()
	l.lines.doubt()
}

// Close closes the pool. Run must have returned.
func (l *Ledger) Close() { l.pool.Close() }
