package cdc

import (
	"context"
	"strconv"
	"time"

	"github.com/walpost/walpost/internal/failpoint"
)

// readOlder reads what the checkpoint's snapshot doesn't see where the column of transactions is younger than that: the
// rows that were there when it was added look as if they were all inserted then. It goes by their own xmin, as a recovery
// does.
func (s *polling) readOlder(ctx context.Context) error {
	if !s.older {
		return nil
	}
	began := time.Now()
	l := &look{polling: s}
	if err := l.readBlocks(ctx); err != nil {
		l.giveUp()
		return s.classify(err)
	}
	failpoint.Hit(failpoint.OlderRead)
	l.close(l.mark.seen)
	s.since, s.repeated, s.older = l.mark.seen, false, false
	s.opts.Logger.Info().Int("rows", l.count).Dur("took", time.Since(began)).
		Msg("table read by blocks, once: the column that is polled is younger than the checkpoint")
	return nil
}

// readBlocks reads all leaves, and hands over what the older snapshot doesn't surely see.
func (l *look) readBlocks(ctx context.Context) error {
	t, err := checkTable(ctx, l.conn, l.opts.Options)
	if err != nil {
		return err
	}
	if _, err = beginReading(ctx, l.conn, l.opts.Options); err != nil {
		return err
	}
	if l.mark, err = l.polling.mark(ctx); err != nil { // it is of the transaction's snapshot, from which polling goes on
		return err
	}
	leaves, _, err := ask[[]leaf](ctx, l.polling, "leaves", strconv.FormatUint(uint64(t.OID), 10))
	if err != nil {
		return err
	}
	for _, leaf := range leaves {
		reader := newLeafReader(l.conn, leaf, l.relation.Columns, between(l.since, l.mark.seen), l.version)
		for done := false; !done; {
			var rows []readRow
			if rows, done, err = reader.read(ctx); err != nil {
				return err
			}
			for _, row := range rows {
				if err := l.add(ctx, 0, row.values); err != nil {
					return err
				}
			}
			if err := l.flush(ctx); err != nil {
				return err
			}
		}
	}
	return run(ctx, l.conn, "commit")
}
