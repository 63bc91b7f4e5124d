package cdc

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/walpost/walpost/internal/failpoint"
)

const (
	// firstPage and maxRangeRows bound the rows that one statement gives; rangeBytes is how much of them is kept.
	firstPage = 64
	// askTimeout bounds a statement from our side: a server that is gone says nothing.
	askTimeout = 3 * readTimeout
	// lookSpacing is the shortest time between two looks that notifications ask for: a busy table is looked at in bulk.
	lookSpacing = 2 * time.Millisecond
	// settlePause is how often it is asked whether commits are on disk, while some aren't: asynchronous ones take
	// wal_writer_delay (200 ms).
	settlePause = 100 * time.Millisecond
)

// ask runs the statement of a file within askTimeout.
func ask[T any](ctx context.Context, s *polling, file string, args ...string) (document T, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	document, ok, err = query[T](ctx, s.conn, file, args...)
	return document, ok, s.classify(err)
}

func parseLSN(text string) (LSN, error) {
	lsn, err := pglogrepl.ParseLSN(text)
	if err != nil {
		return 0, fmt.Errorf("read a WAL position: %w", err)
	}
	return lsn, nil
}

// look is one reading of what is new.
type look struct {
	*polling
	mark  instant
	gap   gap
	ended bool // the transactions that had been running are read; then those that began

	txn   *txn  // to the tracker; nil: no row since the last place that was reached
	xid   int64 // of its latest row
	count int   // rows of the look
}

// ordinals number the rows that are given at the same position: a session that takes over from a lost one on an idle server
// goes on at the position where that was.
type ordinals struct {
	at   LSN
	next int
}

func (o *ordinals) take(at LSN) (n int) {
	if at != o.at {
		o.at, o.next = at, 0
	}
	n = o.next
	o.next++
	return n
}

// look reads what is new and hands it over.
func (s *polling) look(ctx context.Context) error {
	s.notified = false
	m, err := s.mark(ctx)
	if err != nil {
		return err
	}
	l := &look{polling: s, mark: m, gap: newGap(s.since, m.seen), ended: true}
	if l.gap.empty() {
		s.repeated = false
		return nil
	}
	failpoint.Hit(failpoint.Marked)
	if err := l.read(ctx); err != nil {
		l.giveUp()
		return err
	}
	s.since, s.repeated = m.seen, false
	return nil
}

// giveUp leaves what was begun: it is read again. Rows that weren't handed over stay in the batch, since some may belong
// to a place that the tracker knows already.
func (l *look) giveUp() {
	if l.txn != nil {
		l.tracker.Load().abandon(l.txn)
	}
}

func (l *look) read(ctx context.Context) error {
	groups, err := l.groups(ctx)
	if err != nil {
		return err
	}
	for _, group := range groups {
		if err := l.pages(ctx, group); err != nil {
			return err
		}
	}
	if len(l.gap.ended) > 0 {
		l.close(l.gap.before(l.gap.from))
	}
	l.ended = false
	if err := l.pages(ctx, piece{from: l.gap.from, to: l.gap.to, running: l.gap.running}); err != nil {
		return err
	}
	l.close(l.mark.seen)
	return l.flush(ctx)
}

// piece is what is read page by page: a range of transactions without those that run, or, where there are few rows, those
// of a list.
type piece struct {
	from, to      int64
	running, list []int64
}

// groups finds which of the ended transactions have rows, most have none, and puts those with few together.
func (l *look) groups(ctx context.Context) (groups []piece, err error) {
	if len(l.gap.ended) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	sql := fmt.Sprintf(`select e.xid::text, (select count(*) from (select from %s t where t.%s = e.xid limit %d) c)::text
from unnest($1::xid8[]) with ordinality e (xid, n) order by e.n`, l.table(), quoteIdentifier(l.opts.XID), maxRangeRows)
	result := l.conn.ExecParams(ctx, sql, [][]byte{[]byte(xidArray(l.gap.ended))}, nil, nil, nil)
	var few piece
	sum := 0
	for result.NextRow() {
		values := result.Values()
		xid, bad := strconv.ParseInt(string(values[0]), 10, 64)
		n, worse := strconv.Atoi(string(values[1]))
		if err = errors.Join(err, bad, worse); err != nil || n == 0 {
			continue
		}
		if n+sum > maxRangeRows && len(few.list) > 0 {
			groups, few, sum = append(groups, few), piece{}, 0
		}
		if n == maxRangeRows {
			groups = append(groups, piece{from: xid, to: xid + 1})
			continue
		}
		few.list, sum = append(few.list, xid), sum+n
	}
	if _, failed := result.Close(); failed != nil {
		return nil, l.classify(fmt.Errorf("look for the rows of %d transactions: %w", len(l.gap.ended), failed))
	}
	if len(few.list) > 0 {
		groups = append(groups, few)
	}
	return groups, err
}

// pages reads a piece.
func (l *look) pages(ctx context.Context, p piece) error {
	var after [][]byte // transaction and id of the last row
	for p.from < p.to || len(p.list) > 0 {
		rows, done, err := l.page(ctx, p, after)
		if err != nil {
			return err
		}
		for _, row := range rows {
			xid, err := strconv.ParseInt(string(row[0]), 10, 64)
			if err != nil {
				return fmt.Errorf("read a transaction's id: %w", err)
			}
			if err := l.add(ctx, xid, row[1:]); err != nil {
				return err
			}
		}
		if done {
			return nil
		}
		if n := len(rows); n > 0 {
			after = [][]byte{rows[n-1][0], rows[n-1][1+l.id]}
		}
	}
	return nil
}

// page reads some rows after the given one. With ties: rows of one transaction that share an id stay together.
func (l *look) page(ctx context.Context, p piece, after [][]byte) (rows [][][]byte, done bool, err error) {
	bounded, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	sql, args := l.statement(p, after)
	result := l.conn.ExecParams(bounded, sql, args, nil, nil, nil)
	seen, bytes := 0, 0
	for result.NextRow() {
		seen++
		row := result.Values()
		if bytes >= rangeBytes && (len(rows) < seen-1 || !sameKey(rows[len(rows)-1], row, l.id)) {
			continue
		}
		copied, n := copyRow(row)
		rows, bytes = append(rows, copied), bytes+n
	}
	_, failed := result.Close()
	var pg *pgconn.PgError
	if errors.As(failed, &pg) && pg.Code == stateQueryCanceled && ctx.Err() == nil && l.rows > 1 {
		l.rows = max(l.rows/8, 1)
		return nil, false, nil
	}
	if failed != nil {
		return nil, false, l.classify(fmt.Errorf("read what is new in %s.%s: %w", l.opts.Schema, l.opts.Table, failed))
	}
	done = seen == len(rows) && seen < l.rows
	l.rows = min(2*l.rows, maxRangeRows)
	if n := len(rows); n > 0 {
		l.rows = min(l.rows, max(rangeBytes/max(bytes/n, 1), 1))
	}
	return rows, done, nil
}

func sameKey(a, b [][]byte, id int) bool {
	return string(a[0]) == string(b[0]) && string(a[1+id]) == string(b[1+id])
}

// statement reads through the index on (transaction, id).
func (l *look) statement(p piece, after [][]byte) (sql string, args [][]byte) {
	xid, id := "t."+quoteIdentifier(l.opts.XID), "t."+quoteIdentifier(l.opts.ID)
	columns := []string{xid + "::text"}
	for _, c := range l.relation.Columns {
		columns = append(columns, "t."+quoteIdentifier(c.Name))
	}
	argument := func(value string) string {
		args = append(args, []byte(value))
		return "$" + strconv.Itoa(len(args))
	}
	var where []string
	switch {
	case len(p.list) > 0:
		where = append(where, fmt.Sprintf("%s = any (%s)", xid, argument(xidArray(p.list))))
	case after == nil:
		where = append(where, fmt.Sprintf("%s >= %s", xid, argument(strconv.FormatInt(p.from, 10))))
	}
	if len(p.list) == 0 {
		where = append(where, fmt.Sprintf("%s < %s", xid, argument(strconv.FormatInt(p.to, 10))))
	}
	if len(p.running) > 0 {
		where = append(where, fmt.Sprintf("%s <> all (%s)", xid, argument(xidArray(p.running))))
	}
	if after != nil {
		where = append(where, fmt.Sprintf("(%s, %s) > (%s, %s)", xid, id, argument(string(after[0])), argument(string(after[1]))))
	}
	return fmt.Sprintf("select %s from %s t where %s order by %s, %s fetch first %d rows with ties",
		strings.Join(columns, ", "), l.table(), strings.Join(where, " and "), xid, id, l.rows), args
}

func (s *polling) table() string {
	return quoteIdentifier(s.opts.Schema) + "." + quoteIdentifier(s.opts.Table)
}

func xidArray(xids []int64) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, xid := range xids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(xid, 10))
	}
	b.WriteByte('}')
	return b.String()
}

// add puts a row into the batch. A full one is handed over when the next row is known: between two transactions is a place
// where a checkpoint may be, so that who takes only what is handed over has it whole.
func (l *look) add(ctx context.Context, xid int64, values [][]byte) error {
	if len(l.batch) >= l.opts.MaxBatchRows || l.bytes >= l.opts.MaxBatchBytes {
		switch {
		case xid == l.xid:
		case l.ended:
			l.close(l.gap.endedBefore(xid))
		default:
			l.close(l.gap.before(xid))
		}
		if err := l.flush(ctx); err != nil {
			return err
		}
	}
	if l.txn == nil {
		l.txn = l.tracker.Load().begin(l.mark.position)
	}
	l.xid = xid
	l.txn.hold()
	failpoint.Hit(failpoint.Decoded)
	l.batch = append(l.batch, Row{
		Relation: l.relation, Values: values, CommitLSN: l.mark.position, CommitTime: l.mark.time, XID: uint32(xid),
		Ordinal: l.ordinals.take(l.mark.position), Recovered: l.repeated, txn: l.txn,
	})
	l.count++
	l.counters.rows.Add(1)
	if l.repeated {
		l.counters.recovered.Add(1)
	}
	for _, v := range values {
		l.bytes += len(v)
	}
	return nil
}

// close says that the rows up to a place are all there.
func (l *look) close(seen snapshot) {
	if l.txn != nil {
		l.counters.transactions.Add(1)
		l.counters.lastCommit.Store(l.mark.time.UnixNano())
		failpoint.Hit(failpoint.Received)
	}
	l.reached(settling{txn: l.txn, position: l.mark.position, seen: seen}, l.mark.flushed)
	l.txn = nil
}

// flush hands the batch over, and waits for room without a statement, and soon without notifications: nothing on the server
// waits for us.
func (s *polling) flush(ctx context.Context) error {
	if len(s.batch) == 0 {
		return nil
	}
	ticks := time.NewTicker(settlePause)
	defer ticks.Stop()
	for began := time.Now(); ; {
		select {
		case s.batches <- s.batch:
			s.batch, s.bytes = make(Batch, 0, len(s.batch)), 0
			failpoint.Hit(failpoint.HandedOver)
			if len(s.unsettled) > 0 && time.Since(s.marked) > settlePause {
				_, err := s.mark(ctx)
				return err
			}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-ticks.C:
		}
		if len(s.unsettled) > 0 {
			if _, err := s.mark(ctx); err != nil {
				return err
			}
		}
		if s.listening && time.Since(began) > s.opts.StallTimeout {
			if err := s.unlisten(ctx); err != nil {
				return err
			}
		}
	}
}

// listen asks to be told of commits.
func (s *polling) listen(ctx context.Context) error {
	if s.opts.Channel == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if _, err := s.conn.Exec(ctx, "listen "+quoteIdentifier(s.opts.Channel)).ReadAll(); err != nil {
		return fmt.Errorf("listen to %s: %w", s.opts.Channel, err)
	}
	s.listening = true
	return nil
}

// unlisten stops that: a session that takes no notifications makes the server keep them for everybody.
func (s *polling) unlisten(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	s.counters.stalls.Add(1)
	s.listening = false
	if _, err := s.conn.Exec(ctx, "unlisten *").ReadAll(); err != nil {
		return fmt.Errorf("stop listening: %w", err)
	}
	return nil
}

// wait returns when it is time to look again.
func (s *polling) wait(ctx context.Context, began time.Time) error {
	if !s.listening && s.opts.Channel != "" {
		return s.listen(ctx) // what was committed before isn't told, so look at once
	}
	interval := s.opts.Interval
	if len(s.unsettled) > 0 {
		interval = min(interval, settlePause)
	}
	if !s.notified {
		waiting, cancel := context.WithTimeout(ctx, interval)
		err := s.conn.WaitForNotification(waiting)
		elapsed := waiting.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !elapsed:
			return fmt.Errorf("wait for a notification: %w", err)
		}
	}
	if pause := lookSpacing - time.Since(began); pause > 0 && !sleep(ctx, pause) {
		return ctx.Err()
	}
	return nil
}
