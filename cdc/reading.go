package cdc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/walpost/walpost/internal/failpoint"
)

// reading is one pass over the table. To the tracker its rows are one transaction that ends where the new slot begins,
// so nothing is confirmed, and no checkpoint passes, before they are resolved.
type reading struct {
	*recovery
	into     *Recovery
	relation *Relation
	time     time.Time // of the snapshot: when the rows were committed isn't known
	txn      *txn
	batch    Batch
	bytes    int
}

// read hands over the rows that the checkpoint's snapshot doesn't surely see, all rows for a backlog, and that were
// visible before the new slot's position or soon after it.
//
// It reads in one snapshot: of a row that is updated meanwhile, whose new version is too new for it and no insert for the
// stream, and of one that is deleted, it still sees what there was. Nobody can rewrite the table meanwhile.
func (r *recovery) read(ctx context.Context, into *Recovery, resume *Resume) error {
	s := r.source
	if err := r.awaitWriters(ctx); err != nil {
		return err
	}
	upTo, at, err := beginReading(ctx, r.conn, s.opts)
	if err != nil {
		return r.refused(err, s.opts.Schema, s.opts.Table)
	}
	wanted := everything(upTo)
	if !into.Backlog {
		since, err := parseSnapshot(resume.Snapshot)
		if err != nil {
			return undecidable(&SetupError{Problem: "the checkpoint's snapshot cannot be read", Err: fmt.Errorf("%w: %w", ErrSlotLost, err)})
		}
		wanted = between(since, upTo)
	}
	leaves, _, err := query[[]leaf](ctx, r.conn, "leaves", r.tableOID())
	if err != nil {
		return classify(err, s.opts)
	}

	s.recoveries.begun = append(s.recoveries.begun, time.Now())
	tracker := s.tracker.Load()
	if open := s.received.open; open != nil { // its rows that didn't arrive are among those that are read
		tracker.abandon(open)
	}
	s.received = received{}
	reading := &reading{
		recovery: r, into: into, time: at,
		relation: r.found.table.relation(s.opts, r.found.published), txn: tracker.begin(into.Position),
	}
	for _, l := range leaves {
		if err := reading.leaf(ctx, l, wanted); err != nil {
			tracker.abandon(reading.txn)
			return err
		}
	}
	if err := run(ctx, r.conn, "commit"); err != nil {
		tracker.abandon(reading.txn)
		return classify(err, s.opts)
	}
	tracker.commit(reading.txn, into.Position)
	failpoint.Hit(failpoint.GapRead)
	return nil
}

// beginReading begins a read-only transaction in which the table stays as it is, and says what it sees, and when.
func beginReading(ctx context.Context, conn *pgconn.PgConn, o Options) (sees snapshot, at time.Time, err error) {
	if err := run(ctx, conn, "begin transaction isolation level repeatable read, read only"); err != nil {
		return sees, at, err
	}
	lock := fmt.Sprintf("lock table %s.%s in access share mode", quoteIdentifier(o.Schema), quoteIdentifier(o.Table))
	if err := run(ctx, conn, lock); err != nil {
		return sees, at, err
	}
	type document struct {
		Snapshot string
		Time     float64
	}
	seen, _, err := query[document](ctx, conn, "snapshot")
	if err != nil {
		return sees, at, err
	}
	sees, err = parseSnapshot(seen.Snapshot)
	return sees, time.UnixMicro(int64(seen.Time * 1e6)).UTC(), err
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

// leaf reads one table.
func (r *reading) leaf(ctx context.Context, l leaf, wanted span) error {
	reader := newLeafReader(r.conn, l, r.relation.Columns, wanted, r.found.ServerVersion)
	for {
		rows, done, err := reader.read(ctx)
		if err != nil {
			return r.refused(err, l.Schema, l.Name)
		}
		for _, values := range rows {
			if err := r.add(ctx, values); err != nil {
				return err
			}
		}
		if err := r.flush(ctx); err != nil {
			return err
		}
		if done {
			return nil
		}
	}
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
		Relation: r.relation, Values: values, CommitLSN: r.into.Position, CommitTime: r.time,
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
