// Package retention deletes outbox rows that have been resolved for long enough: row by row in short statements, or a
// partition at a time. What is resolved it is told, as the id of a transaction below which all rows are.
package retention

import (
	"context"
	_ "embed" // statements
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/walpost/walpost/internal/failpoint"
	"github.com/walpost/walpost/outbox"
)

var (
	//go:embed sql/leaves.sql
	leavesSQL string
	//go:embed sql/blocks.sql
	blocksSQL string
	//go:embed sql/delete.sql
	deleteSQL string
	//go:embed sql/newer.sql
	newerSQL string
)

// ErrOldServer is given for a server that can't find a range of blocks without reading all before it: below Postgres 14.
var ErrOldServer = errors.New("rows are only deleted on Postgres 14 and later")

// DeniedError says that the role may neither delete from a table nor drop it.
type DeniedError struct {
	Table string // quoted
	Role  string // quoted
}

// Error names both.
func (e *DeniedError) Error() string {
	return fmt.Sprintf("%s may not delete from %s", e.Role, e.Table)
}

// Fix is the SQL that lets it.
func (e *DeniedError) Fix() string {
	return fmt.Sprintf("grant select, delete on table %s to %s;", e.Table, e.Role)
}

// Options configure a Sweeper.
type Options struct {
	// ConnString is of a role that may select and delete. To drop partitions it must own them and the table.
	ConnString string
	Table      outbox.Table
}

// Sweeper deletes rows. One sweep runs at a time.
type Sweeper struct {
	options Options
	dial    pgconn.DialFunc // nil: the usual one
}

// New makes a Sweeper. It connects when it sweeps.
func New(o Options) *Sweeper { return &Sweeper{options: o} }

// Sweep is one walk through the table.
type Sweep struct {
	// Horizon is the 64-bit id of a transaction: rows of those below it are deleted.
	Horizon int64
	// Retention is how long it is that these have been resolved: a partition by time is dropped only if all that it can
	// hold is older.
	Retention time.Duration
	// Go is asked before every statement whether to go on. Nil: always.
	Go func() bool
}

// Swept is what a sweep has deleted.
type Swept struct {
	Rows       int64 // one by one
	Dropped    int64 // with partitions, by the server's estimate
	Partitions int
	// Busy counts what somebody had locked, leaves or ranges of blocks: the next sweep tries again.
	Busy int
}

// What keeps a sweep from being in anybody's way. A deleted row that comes back after a crash is deleted again, so
// nothing waits for the disk. Bounds of partitions are read in UTC.
const session = `set lock_timeout = '200ms'; set statement_timeout = '10s'; set idle_in_transaction_session_timeout = '10s';
	set synchronous_commit = off; set timezone = 'UTC'; set max_parallel_workers_per_gather = 0; set jit = off`

const (
	// closeTimeout is for the goodbye.
	closeTimeout = time.Second
	// answerTimeout bounds a login, and the wait for what a statement gives, or a few of them: more than statement_timeout, after
	// which a server that still is there has answered.
	answerTimeout = 45 * time.Second
	// oldestVersion has TID range scans.
	oldestVersion = 140000
)

// Sweep walks through the table once and deletes what it may. The error is a *DeniedError, ErrOldServer, or that of a
// statement; what was deleted until then stays deleted.
func (s *Sweeper) Sweep(ctx context.Context, sweep Sweep) (swept Swept, err error) {
	config, err := pgx.ParseConfig(s.options.ConnString)
	if err != nil {
		return swept, fmt.Errorf("sweep the outbox: %w", err)
	}
	config.RuntimeParams["application_name"] = "walpost retention"
	if s.dial != nil {
		config.DialFunc = s.dial
	}
	conn, err := connect(ctx, config)
	if err != nil {
		return swept, fmt.Errorf("sweep the outbox: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		_ = conn.Close(ctx) // each statement was committed
	}()
	w := &walk{conn: conn, Sweep: sweep, swept: &swept}
	if err := w.table(ctx, s.options.Table); err != nil {
		return swept, fmt.Errorf("sweep the outbox: %w", err)
	}
	return swept, nil
}

func connect(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return pgx.ConnectConfig(ctx, config)
}

// walk is one sweep on its connection.
type walk struct {
	Sweep
	conn  *pgx.Conn
	swept *Swept
}

// leaf is a table that holds rows.
type leaf struct {
	schema, name string
	rows         int64 // estimated; below 0: not known
	deletable    bool
	owned        bool
	until        *time.Time // upper bound of a partition by time
}

func (l *leaf) identifier() string { return pgx.Identifier{l.schema, l.name}.Sanitize() }

func (w *walk) goesOn(ctx context.Context) bool { return ctx.Err() == nil && (w.Go == nil || w.Go()) }

// leaves sets the session up, and lists the tables that hold rows, and who asks.
func (w *walk) leaves(ctx context.Context, t outbox.Table) (leaves []leaf, role string, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if _, err := w.conn.Exec(ctx, session, pgx.QueryExecModeSimpleProtocol); err != nil {
		return nil, "", err
	}
	var version int
	err = w.conn.QueryRow(ctx, "select current_setting('server_version_num')::int, quote_ident(current_user)").Scan(&version, &role)
	if err != nil {
		return nil, "", err
	}
	if version < oldestVersion {
		return nil, "", ErrOldServer
	}
	rows, _ := w.conn.Query(ctx, leavesSQL, t.Schema, t.Name)
	leaves, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l leaf, err error) {
		err = row.Scan(&l.schema, &l.name, &l.rows, &l.deletable, &l.owned, &l.until)
		return l, err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list its tables: %w", err)
	}
	return leaves, role, nil
}

func (w *walk) table(ctx context.Context, t outbox.Table) error {
	leaves, role, err := w.leaves(ctx, t)
	if err != nil {
		return err
	}
	var denied *DeniedError
	for i := range leaves {
		l := &leaves[i]
		switch byTime := l.until != nil; {
		case !w.goesOn(ctx):
			return ctx.Err()
		case byTime && l.owned:
			err = w.drop(ctx, l)
		case l.deletable:
			err = w.delete(ctx, l)
		default:
			denied = &DeniedError{Table: l.identifier(), Role: role}
		}
		if busy(err) {
			w.swept.Busy++
			err = nil
		}
		if err != nil {
			return err
		}
	}
	if denied != nil {
		return denied
	}
	return nil
}

// SQLSTATEs that mean that somebody else is at the table: nobody waits behind us.
const (
	stateLockNotAvailable = "55P03"
	stateDeadlock         = "40P01"
	stateQueryCanceled    = "57014"
)

func busy(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == stateLockNotAvailable || pg.Code == stateDeadlock)
}

// slow reports whether a statement has reached its timeout.
func slow(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == stateQueryCanceled
}

// drop drops a partition all of whose rows are below the horizon, and which takes no row any more that is younger than
// the retention. Writers are kept off it while it is read, which are none, and everybody from the table for as long as
// the catalog's change takes.
func (w *walk) drop(ctx context.Context, l *leaf) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	var dropped bool
	err := pgx.BeginFunc(ctx, w.conn, func(tx pgx.Tx) error {
		var over bool
		err := tx.QueryRow(ctx, "select $1::timestamptz <= now() - $2::interval", *l.until, w.Retention).Scan(&over)
		if err != nil || !over {
			return err
		}
		if _, err := tx.Exec(ctx, "lock table only "+l.identifier()+" in share row exclusive mode"); err != nil {
			return err
		}
		var newer bool
		if err := tx.QueryRow(ctx, on(newerSQL, l), w.Horizon).Scan(&newer); err != nil || newer {
			return err
		}
		_, err = tx.Exec(ctx, "drop table "+l.identifier())
		dropped = err == nil
		return err
	})
	if err != nil {
		return fmt.Errorf("drop %s: %w", l.identifier(), err)
	}
	if dropped {
		w.swept.Partitions++
		w.swept.Dropped += max(l.rows, 0)
	}
	return nil
}

// on puts the leaf's name into a statement.
func on(sql string, l *leaf) string { return strings.ReplaceAll(sql, "{table}", l.identifier()) }

// delete deletes rows of a leaf, a range of blocks at a time.
func (w *walk) delete(ctx context.Context, l *leaf) error {
	blocks, err := w.blocks(ctx, l)
	if err != nil {
		return fmt.Errorf("measure %s: %w", l.identifier(), err)
	}
	sql := on(deleteSQL, l)
	p := pace{blocks: 8}
	for at := int64(0); at < blocks && w.goesOn(ctx); {
		end := min(at+p.blocks, blocks)
		began := time.Now()
		tag, err := w.exec(ctx, sql, tid(at), tid(end), w.Horizon, batch)
		n := tag.RowsAffected()
		w.swept.Rows += n
		if n > 0 {
			failpoint.Hit(failpoint.RowsPruned)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case busy(err):
			w.swept.Busy++ // the next sweep tries again
			at = end
		case slow(err) && p.blocks > 1:
			p.blocks = 1
		case err != nil:
			return fmt.Errorf("delete from blocks %d to %d of %s: %w", at, end, l.identifier(), err)
		case n < batch: // else there may be more in the range
			at = end
		}
		if !p.rest(ctx, n, time.Since(began)) {
			return ctx.Err()
		}
	}
	return nil
}

func (w *walk) blocks(ctx context.Context, l *leaf) (n int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	err = w.conn.QueryRow(ctx, blocksSQL, l.identifier()).Scan(&n)
	return n, err
}

func (w *walk) exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return w.conn.Exec(ctx, sql, args...)
}

// tid is the place where a block begins.
func tid(block int64) string { return fmt.Sprintf("(%d,0)", block) }
