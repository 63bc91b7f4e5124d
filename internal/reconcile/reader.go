package reconcile

import (
	"bytes"
	"context"
	_ "embed" // statements
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/outbox"
)

var (
	//go:embed sql/leaves.sql
	leavesSQL string
	//go:embed sql/checkpoint.sql
	checkpointSQL string
	//go:embed sql/rows.sql
	rowsSQL string
	//go:embed sql/count.sql
	countSQL string
)

// belowSQL says whether a row's transaction is below $3. The 32 bits of xmin are widened to the nearest id below the end of
// the statement's own snapshot: right for every row younger than 2^32 transactions, and an older one looks younger.
const belowSQL = `((select pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
        - (((select pg_snapshot_xmax(pg_current_snapshot())::text::bigint) - t.xmin::text::bigint) & 4294967295) < $3::bigint)`

// ErrOldServer is given below Postgres 14, which can't read a range of blocks without reading all before it.
var ErrOldServer = errors.New("rows are only compared on Postgres 14 and later")

// session makes values as outbox.Parser reads them, and keeps statements short.
const session = `set default_transaction_read_only = on; set statement_timeout = '30s'; set lock_timeout = '2s';
	set timezone = 'UTC'; set datestyle = 'ISO'; set row_security = off; set max_parallel_workers_per_gather = 0; set jit = off`

const (
	oldestVersion = 140000
	closeTimeout  = time.Second
	// rangeBytes is how much of payloads one statement should give.
	rangeBytes = 4 << 20
	// maxBlocks bounds a range that gives little.
	maxBlocks = 4096
)

// seen is one row as it was read.
type seen struct {
	outbox.Row
	resolved bool  // by the checkpoint's snapshot
	problem  error // it can't be read
}

// reader reads the outbox table on a connection of its own.
type reader struct {
	conn    *pgx.Conn
	table   outbox.Table
	parser  *outbox.Parser
	since   time.Time
	below   int64 // transaction below which rows are resolved
	counted int64 // resolved rows that were only counted
}

func openReader(ctx context.Context, o Options) (*reader, error) {
	t := o.Config.Outbox.Table
	parser, err := outbox.NewParser(t.Columns, t.Columns.Names())
	if err != nil {
		return nil, err
	}
	c, err := pgx.ParseConfig(o.Config.Database.URL.Reveal())
	if err != nil {
		return nil, err
	}
	c.RuntimeParams["application_name"] = "walpost reconcile"
	c.DefaultQueryExecMode = pgx.QueryExecModeExec // values in text
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return nil, err
	}
	r := &reader{conn: conn, table: t, parser: parser, since: o.Since}
	if err := r.prepare(ctx, o.Config.Outbox.Slot); err != nil {
		r.close(ctx)
		return nil, err
	}
	return r, nil
}

func (r *reader) prepare(ctx context.Context, slot string) error {
	if _, err := r.conn.Exec(ctx, session, pgx.QueryExecModeSimpleProtocol); err != nil {
		return err
	}
	var version int
	if err := r.conn.QueryRow(ctx, "select current_setting('server_version_num')::int").Scan(&version); err != nil {
		return err
	}
	if version < oldestVersion {
		return ErrOldServer
	}
	err := r.conn.QueryRow(ctx, checkpointSQL, slot).Scan(&r.below)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNoCheckpoint
	}
	return err
}

func (r *reader) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_ = r.conn.Close(ctx) // all was read
}

// walk gives all rows to take, a range at a time; with count, resolved ones are only counted.
func (r *reader) walk(ctx context.Context, count bool, take func(context.Context, []seen) error) error {
	rows, _ := r.conn.Query(ctx, leavesSQL, r.table.Schema, r.table.Name)
	leaves, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (l leaf, err error) {
		err = row.Scan(&l.schema, &l.name, &l.blocks)
		return l, err
	})
	if err != nil {
		return fmt.Errorf("list the outbox's tables: %w", err)
	}
	for _, l := range leaves {
		if err := r.leaf(ctx, l, count, take); err != nil {
			return fmt.Errorf("read the rows of %s: %w", l.name, err)
		}
	}
	return nil
}

// leaf is a table that holds rows.
type leaf struct {
	schema, name string
	blocks       int64
}

func (r *reader) leaf(ctx context.Context, l leaf, count bool, take func(context.Context, []seen) error) error {
	rows, counting := r.statements(&l, count)
	blocks := int64(8)
	for at := int64(0); at < l.blocks; {
		end := min(at+blocks, l.blocks)
		args := []any{fmt.Sprintf("(%d,0)", at), fmt.Sprintf("(%d,0)", end), r.below}
		if r.dated() {
			args = append(args, r.since)
		}
		if count {
			var n int64
			if err := r.conn.QueryRow(ctx, counting, args...).Scan(&n); err != nil {
				return err
			}
			r.counted += n
		}
		found, size, err := r.read(ctx, rows, args)
		if err != nil {
			return err
		}
		if err := take(ctx, found); err != nil {
			return err
		}
		switch at = end; {
		case size > rangeBytes:
			blocks = max(blocks/2, 1)
		case size < rangeBytes/4:
			blocks = min(blocks*2, maxBlocks)
		}
	}
	return nil
}

// dated reports whether rows are told apart by when they were created.
func (r *reader) dated() bool { return !r.since.IsZero() && r.table.Columns.CreatedAt != outbox.None }

// statements are the one that gives rows of a leaf, only those that are not resolved if these are counted, and the one that
// counts them.
func (r *reader) statements(l *leaf, count bool) (rows, counting string) {
	names := r.table.Columns.Names()
	columns := make([]string, len(names))
	for i, name := range names {
		columns[i] = "t." + pgx.Identifier{name}.Sanitize() + "::text"
	}
	created, wanted := "true", "true"
	if r.dated() {
		created = "t." + pgx.Identifier{names[len(names)-1]}.Sanitize() + " >= $4::timestamptz"
	}
	if count {
		wanted = "not " + belowSQL
	}
	fill := strings.NewReplacer("{below}", belowSQL, "{columns}", strings.Join(columns, ", "),
		"{table}", pgx.Identifier{l.schema, l.name}.Sanitize(), "{created}", created, "{wanted}", wanted)
	return fill.Replace(rowsSQL), fill.Replace(countSQL)
}

// read gives what a statement finds, and its size in bytes.
func (r *reader) read(ctx context.Context, sql string, args []any) (found []seen, size int, err error) {
	result, err := r.conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, 0, err
	}
	defer result.Close()
	for result.Next() {
		raw := result.RawValues()
		values := make([][]byte, len(raw))
		for i := range raw {
			values[i] = bytes.Clone(raw[i])
			size += len(raw[i])
		}
		s := seen{resolved: string(values[0]) == "t"}
		s.Row, s.problem = r.parser.Parse(values[1:])
		s.CommittedAt = s.CreatedAt
		found = append(found, s)
	}
	return found, size, result.Err()
}
