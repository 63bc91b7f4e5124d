package cdc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// tidRangeVersion is the first Postgres that finds a range of blocks without reading the blocks before it.
	tidRangeVersion = 140000
	// rangeBytes is how much one range should give, and little more than what is held in memory of the table.
	rangeBytes = 1 << 20
	// rangeTime is how long the reading of one range should take at most.
	rangeTime = 100 * time.Millisecond
	// maxRangeBlocks and maxRangeRows bound a range that gives little.
	maxRangeBlocks, maxRangeRows = 4096, 2000
)

// leaf is a table that holds rows, as leaves.sql finds it.
type leaf struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
	OID    uint32 `json:"oid"`
	File   uint32 `json:"file"`
	Blocks int64  `json:"blocks"`
}

// leafReader reads the rows of a span from one leaf, each range in a statement and a savepoint of its own: one that takes
// too long is cancelled, and read in parts.
type leafReader struct {
	conn *pgconn.PgConn
	leaf leaf
	sql  string
	span span

	late   int64 // the transaction from which on rows are late
	next   tid   // where the next range begins
	blocks int64 // its size
	rows   int   // and the most rows to take from it
	whole  bool  // the server can't find a range of blocks
}

// tid is the place of a row version, ctid.
type tid struct{ block, offset int64 }

func (t tid) String() string { return fmt.Sprintf("(%d,%d)", t.block, t.offset) }

func parseTID(text string) (t tid, err error) {
	if _, err := fmt.Sscanf(text, "(%d,%d)", &t.block, &t.offset); err != nil {
		return t, fmt.Errorf("read ctid %q: %w", text, err)
	}
	return t, nil
}

func newLeafReader(conn *pgconn.PgConn, l leaf, columns []Column, s span, version int) *leafReader {
	names := []string{"t.ctid", widenSQL + " >= $7::bigint"}
	for _, c := range columns {
		names = append(names, "t."+quoteIdentifier(c.Name))
	}
	r := &leafReader{conn: conn, leaf: l, span: s, blocks: 4, rows: 32, whole: version < tidRangeVersion}
	r.sql = fmt.Sprintf(`select %s from only %s.%s t
where t.ctid >= $1::tid and t.ctid < $2::tid
  and %[4]s >= $4::bigint and %[4]s < $3::bigint and %[4]s <> all ($5::bigint[])
limit $6::bigint`, strings.Join(names, ", "), quoteIdentifier(l.Schema), quoteIdentifier(l.Name), widenSQL)
	return r
}

// read gives the rows of the next range, none where there is nothing to read in it. done says that the leaf has
// been read.
func (r *leafReader) read(ctx context.Context) (rows []readRow, done bool, err error) {
	if r.next.block >= r.leaf.Blocks {
		return nil, true, nil
	}
	end := min(r.next.block+r.blocks, r.leaf.Blocks)
	if r.whole {
		end = r.leaf.Blocks
	}
	began := time.Now()
	if err := run(ctx, r.conn, "savepoint range"); err != nil {
		return nil, false, err
	}
	found, err := r.query(ctx, tid{block: end})
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == stateQueryCanceled && ctx.Err() == nil && (r.blocks > 1 || r.rows > 1) {
		r.blocks, r.rows = max(r.blocks/8, 1), max(r.rows/8, 1)
		return nil, false, run(ctx, r.conn, "rollback to savepoint range")
	}
	if err == nil {
		err = run(ctx, r.conn, "release savepoint range")
	}
	if err != nil {
		return nil, false, fmt.Errorf("read blocks %d to %d of %s.%s: %w", r.next.block, end, r.leaf.Schema, r.leaf.Name, err)
	}
	if found.complete {
		r.next = tid{block: end}
	} else {
		r.next = tid{block: found.last.block, offset: found.last.offset + 1}
	}
	r.adapt(found, time.Since(began))
	return found.rows, false, nil
}

// readRow is a row of the table.
type readRow struct {
	values [][]byte
	late   bool // its transaction was given its id at leafReader.late or later
}

// found is what one range gave.
type found struct {
	rows     []readRow
	bytes    int
	last     tid  // place of the last row
	complete bool // there are no more in the range
}

// query reads from next up to end. Rows beyond rangeBytes are left for the next time, which begins behind the last one
// that was taken: rows come in the order of their places.
func (r *leafReader) query(ctx context.Context, end tid) (f found, err error) {
	running := make([]string, len(r.span.running))
	for i, xid := range r.span.running {
		running[i] = strconv.FormatInt(xid, 10)
	}
	args := []string{
		r.next.String(), end.String(), strconv.FormatInt(r.span.to, 10), strconv.FormatInt(r.span.from, 10),
		"{" + strings.Join(running, ",") + "}", strconv.Itoa(r.rows), strconv.FormatInt(r.late, 10),
	}
	values := make([][]byte, len(args))
	for i, arg := range args {
		values[i] = []byte(arg)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	result := r.conn.ExecParams(ctx, r.sql, values, nil, nil, nil)
	seen := 0
	for result.NextRow() {
		seen++
		if f.bytes >= rangeBytes {
			continue
		}
		row := result.Values()
		if f.last, err = parseTID(string(row[0])); err != nil {
			break
		}
		values, n := copyRow(row[2:])
		f.rows, f.bytes = append(f.rows, readRow{values: values, late: row[1][0] == 't'}), f.bytes+n
	}
	_, failed := result.Close()
	f.complete = seen == len(f.rows) && seen < r.rows
	return f, errors.Join(err, failed)
}

// copyRow takes a row out of the connection's buffer, in one piece.
func copyRow(row [][]byte) (values [][]byte, bytes int) {
	for _, v := range row {
		bytes += len(v)
	}
	all := make([]byte, 0, bytes)
	values = make([][]byte, len(row))
	for i, v := range row {
		if v == nil {
			continue
		}
		from := len(all)
		all = append(all, v...)
		values[i] = all[from:len(all):len(all)]
	}
	return values, bytes
}

// adapt sizes the next range by the last one.
func (r *leafReader) adapt(f found, took time.Duration) {
	switch {
	case f.bytes > rangeBytes/2 || took > rangeTime:
		r.blocks = max(r.blocks/2, 1)
	case f.bytes < rangeBytes/4 && took < rangeTime/4:
		r.blocks = min(r.blocks*2, maxRangeBlocks)
	}
	r.rows = min(r.rows*2, maxRangeRows)
	if n := len(f.rows); n > 0 {
		r.rows = min(r.rows, max(rangeBytes/max(f.bytes/n, 1), 1))
	}
}

// relation describes the table's columns as the server would in the stream.
func (t table) relation(o Options, published []string) *Relation {
	rel := &Relation{Schema: o.Schema, Name: o.Table, ID: t.OID}
	for _, c := range t.Columns {
		if c.Generated || (published != nil && !slices.Contains(published, c.Name)) {
			continue
		}
		rel.Columns = append(rel.Columns, Column{Name: c.Name, TypeOID: c.Type, Key: c.Key})
	}
	return rel
}
