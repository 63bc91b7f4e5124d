package cdc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/walpost/walpost/internal/failpoint"
)

// reading is the reading of the table in one snapshot. To the tracker each range of it is a transaction that moves the walk
// alone, and an empty last one ends where the stream begins: so nothing is confirmed, and no checkpoint passes, before all rows
// are resolved.
type reading struct {
	*recovery
	view
	into     *Recovery
	relation *Relation
	tracker  *tracker
	walk     Walk
	txn      *txn // of the present range
	batch    Batch
	bytes    int
}

// read hands over the rows that the checkpoint's snapshot doesn't surely see, all rows for a backlog, and that were visible
// when the stream of into.Position could be counted on or soon after it. It goes on with a walk that was cut off.
//
// It reads in one snapshot: of a row that is updated meanwhile, whose new version is too new for it and no insert for the
// stream, and of one that is deleted, it still sees what there was. Nobody can rewrite the table meanwhile.
func (r *recovery) read(ctx context.Context, into *Recovery, resume *Resume, walk *Walk) error {
	s := r.source
	if err := r.awaitWriters(ctx); err != nil {
		return err
	}
	seen, err := beginReading(ctx, r.conn, s.opts)
	if err != nil {
		return r.refused(err, s.opts.Schema, s.opts.Table)
	}
	leaves, _, err := query[[]leaf](ctx, r.conn, "leaves", r.tableOID())
	if err != nil {
		return classify(err, s.opts)
	}
	into.End = seen.position // a checkpoint may be at Position already, or get there with what an earlier reading had
	tracker := s.tracker.Load()
	if open := s.received.open; open != nil && open.begin < into.Position { // its rows that didn't arrive are among those that are read
		tracker.abandon(open)
		s.received = received{commit: s.received.commit}
	}
	if s.recoveries.overlap == nil {
		s.recoveries.overlap = newOverlap()
	}
	s.recoveries.overlap.until = seen.position
	reading := &reading{
		recovery: r, view: seen, into: into, tracker: tracker,
		relation: r.found.table.relation(s.opts, r.found.published),
	}
	if err := reading.all(ctx, leaves, resume.gap(), walk); err != nil {
		return err
	}
	if err := run(ctx, r.conn, "commit"); err != nil {
		return classify(err, s.opts)
	}
	reading.walk.End, reading.walk.Coverage = into.End, into.coverage
	reading.pass(tracker.begin(into.Position), into.Position)
	failpoint.Hit(failpoint.GapRead)
	return nil
}

// all reads what is left of a walk, or begins one. What another connection has read of it may have changed since: then the
// walk begins again from where that one began, up to where this one took it over.
func (r *reading) all(ctx context.Context, leaves []leaf, gap string, walk *Walk) error {
	now := r.sees.String()
	if walk == nil {
		if err := r.begin(ctx, Walk{Gap: gap, Since: gap, First: now, Late: r.late}); err != nil {
			return err
		}
		return r.leaves(ctx, leaves, nil)
	}
	r.walk, r.into.Rows = *walk, walk.Rows
	if r.late != 0 {
		r.walk.Late = r.late
	}
	r.walk.End, r.walk.Coverage = 0, "" // of the recovery before
	if err := r.leaves(ctx, leaves, nil); err != nil || walk.First == now {
		return err
	}
	if err := r.begin(ctx, Walk{Gap: gap, Since: walk.First, First: now, Late: r.walk.Late, Rows: r.walk.Rows}); err != nil {
		return err
	}
	return r.leaves(ctx, leaves, &walk.Place)
}

// begin begins a walk. The one before stays the one to go on with until all is resolved that was read in it.
func (r *reading) begin(ctx context.Context, w Walk) error {
	r.walk = w
	if flush := r.source.opts.Flush; flush != nil {
		if err := flush(ctx); err != nil {
			return fmt.Errorf("make the snapshot durable: %w", err)
		}
	}
	failpoint.Hit(failpoint.WalkBegun)
	return nil
}

// pass says that all before the walk's place has been handed over, and will be resolved with x. end is 0 until all is.
func (r *reading) pass(x *txn, end LSN) {
	walk := r.walk
	r.source.recoveries.walk = &walk
	r.tracker.commitWalk(x, end, &walk)
}

// view is what a reading sees of the table.
type view struct {
	sees     snapshot
	at       time.Time // when: the rows' commits are not known
	position LSN       // in the WAL, above all that it sees
}

// beginReading begins a read-only transaction in which the table stays as it is.
func beginReading(ctx context.Context, conn *pgconn.PgConn, o Options) (v view, err error) {
	if err := run(ctx, conn, "begin transaction isolation level repeatable read, read only"); err != nil {
		return v, err
	}
	lock := fmt.Sprintf("lock table %s.%s in access share mode", quoteIdentifier(o.Schema), quoteIdentifier(o.Table))
	if err := run(ctx, conn, lock); err != nil {
		return v, err
	}
	return see(ctx, conn)
}

// see says what the present snapshot sees.
func see(ctx context.Context, conn *pgconn.PgConn) (v view, err error) {
	type document struct {
		Snapshot, Position string
		Time               float64
	}
	seen, _, err := query[document](ctx, conn, "snapshot")
	if err != nil {
		return v, err
	}
	if v.sees, err = parseSnapshot(seen.Snapshot); err != nil {
		return v, err
	}
	v.at = time.UnixMicro(int64(seen.Time * 1e6)).UTC()
	if v.position, err = pglogrepl.ParseLSN(seen.Position); err != nil {
		return v, fmt.Errorf("read the position of a snapshot: %w", err)
	}
	return v, nil
}

func (r *recovery) tableOID() string { return strconv.FormatUint(uint64(r.found.table.OID), 10) }

// awaitWriters waits until everybody has ended who has written to the table by now. A transaction can be so far that
// its commit is in the WAL, before the slot's position, while its rows aren't visible yet: they would be neither in
// the stream nor in the snapshot.
func (r *recovery) awaitWriters(ctx context.Context) error {
	deadline := time.Now().Add(r.source.opts.LockTimeout)
	var awaited []string
	for first := true; ; first = false {
		writers, _, err := query[[]string](ctx, r.conn, "writers", r.tableOID())
		if err != nil {
			return classify(err, r.source.opts)
		}
		if first {
			awaited = writers
		}
		awaited = slices.DeleteFunc(awaited, func(w string) bool { return !slices.Contains(writers, w) })
		if len(awaited) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("read the table: %d transactions that have written to it did not end within %s", len(awaited), r.source.opts.LockTimeout)
		}
		if !sleep(ctx, writersPause) {
			return ctx.Err()
		}
	}
}

// leaves reads those from the walk's place on, and, if there is one, up to another place.
func (r *reading) leaves(ctx context.Context, leaves []leaf, until *Place) error {
	wanted := everything(r.sees)
	if r.walk.Since != "" {
		since, err := parseSnapshot(r.walk.Since)
		if err != nil {
			return undecidable(&SetupError{Problem: "the checkpoint's snapshot cannot be read", Err: fmt.Errorf("%w: %w", ErrSlotLost, err)})
		}
		wanted = between(since, r.sees)
	}
	for _, l := range leaves {
		from, past := r.walk.Place.in(l)
		if past {
			continue
		}
		if until != nil {
			switch end, whole := until.in(l); {
			case !whole && end == (tid{}): // nothing of it was read before
				return nil
			case !whole:
				l.Blocks = min(l.Blocks, end.block+1)
			}
		}
		if err := r.leaf(ctx, l, from, wanted); err != nil {
			return err
		}
	}
	return nil
}

// leaf reads one table from a place on, a range at a time.
func (r *reading) leaf(ctx context.Context, l leaf, from tid, wanted span) error {
	reader := newLeafReader(r.conn, l, r.relation.Columns, wanted, r.found.ServerVersion)
	reader.next, reader.late = from, r.walk.Late
	for {
		rows, done, err := reader.read(ctx)
		if err != nil {
			return r.refused(err, l.Schema, l.Name)
		}
		if done {
			return nil
		}
		r.txn = r.tracker.begin(r.into.Position)
		late, err := r.hand(ctx, rows)
		if err != nil {
			r.tracker.abandon(r.txn)
			return err
		}
		r.source.recoveries.overlap.add(late) // not before all of the range are in the tracker
		r.walk.Place, r.walk.Rows = l.place(reader.next), r.into.Rows
		r.pass(r.txn, 0)
	}
}

// hand hands the rows of a range over, and gives those that may be in the stream, too.
func (r *reading) hand(ctx context.Context, rows []readRow) (late []rowKey, err error) {
	for _, row := range rows {
		if row.late {
			late = append(late, r.source.recoveries.overlap.key(row.values))
		}
		if err := r.add(ctx, row.values); err != nil {
			return nil, err
		}
	}
	return late, r.flush(ctx)
}

// refused explains that the role can't read the table, which the stream didn't ask for.
func (r *recovery) refused(err error, schema, name string) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != stateInsufficientRights {
		return classify(err, r.source.opts)
	}
	return &SetupError{
		Problem: fmt.Sprintf("the role may not read all rows of table %s.%s, which is needed without the lost slot", schema, name),
		Fix: fmt.Sprintf("grant select on table %s.%s to %s; and let it pass row-level security (alter role … bypassrls;)",
			quoteIdentifier(schema), quoteIdentifier(name), roleOf(r.source.opts)),
		Err: err,
	}
}

// add puts a row into the batch, and hands a full one over.
func (r *reading) add(ctx context.Context, values [][]byte) error {
	opts := &r.source.opts
	r.txn.hold()
	r.batch = append(r.batch, Row{
		Relation: r.relation, Values: values, CommitLSN: r.into.Position, CommitTime: r.at,
		Ordinal: int(r.into.Rows), Recovered: true, txn: r.txn,
	})
	r.into.Rows++
	r.source.counters.rows.Add(1)
	r.source.counters.recovered.Add(1)
	for _, v := range values {
		r.bytes += len(v)
	}
	if len(r.batch) < opts.MaxBatchRows && r.bytes < opts.MaxBatchBytes {
		return nil
	}
	return r.flush(ctx)
}

// flush waits until the batch is taken. No statement runs meanwhile.
func (r *reading) flush(ctx context.Context) error {
	if len(r.batch) == 0 {
		return nil
	}
	select {
	case r.source.batches <- r.batch:
		r.batch, r.bytes = nil, 0
		failpoint.Hit(failpoint.GapReading)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
