package ledger

import (
	"context"
	_ "embed" // statements
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

var (
	//go:embed sql/prune_groups.sql
	pruneGroupsSQL string
	//go:embed sql/prune_deliveries.sql
	pruneDeliveriesSQL string
	//go:embed sql/prune_quarantine.sql
	pruneQuarantineSQL string
	//go:embed sql/prune_events.sql
	pruneEventsSQL string
	//go:embed sql/prune_attempts.sql
	pruneAttemptsSQL string
	//go:embed sql/cancel_held.sql
	cancelHeldSQL string
	//go:embed sql/roll_attempts.sql
	rollAttemptsSQL string
)

// Pruned counts what Prune deleted.
type Pruned struct {
	Deliveries, Quarantined, Events int64
	Attempts                        int64 // rows outside of the daily partitions
	Partitions                      int   // days of the attempt log
	Captures                        int64
}

const (
	minRetention     = time.Hour // shorter would delete what is being looked at
	partitionsAhead  = 3         // days, so that an outage of pruning over a weekend does no harm
	pruneLockTimeout = "500ms"   // others wait behind a lock that is waited for
)

// Prune deletes what is finished for longer than retention (an hour at least) and events that nothing refers to any more, in
// short transactions, and rolls the partitions of the attempt log, whose days are dropped whole. Captured values go after 30 days. It is to be called at the
// start and every hour. Several daemons may prune at once. After an error the rest is pruned all the same.
func (l *Ledger) Prune(ctx context.Context, retention time.Duration) (Pruned, error) {
	retention = max(retention, minRetention)
	var p Pruned
	err := errors.Join(
		l.rollAttempts(ctx, retention, &p),
		l.pruneAttempts(ctx, retention, &p),
		l.pruneDeliveries(ctx, retention, &p),
		l.pruneQuarantine(ctx, retention, &p),
		l.pruneCaptures(ctx, &p),
	)
	if err != nil {
		return p, fmt.Errorf("prune the ledger: %w", err)
	}
	return p, nil
}

func (l *Ledger) rollAttempts(ctx context.Context, retention time.Duration, p *Pruned) error {
	err := l.briefly(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, rollAttemptsSQL, retention, partitionsAhead).Scan(&p.Partitions)
	})
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42501" { // insufficient_privilege: all days lie in the default partition then
		l.options.Logger.Info().Str("try", "grant execute on function walpost.roll_attempts(interval, int)").
			Msg("attempt log can't be partitioned by day without a grant")
		return nil
	}
	if err != nil {
		return fmt.Errorf("roll attempt partitions: %w", err)
	}
	return nil
}

func (l *Ledger) pruneAttempts(ctx context.Context, retention time.Duration, p *Pruned) error {
	for {
		tag, err := l.pool.Exec(ctx, pruneAttemptsSQL, retention, chunk)
		if err != nil {
			return fmt.Errorf("delete attempts: %w", err)
		}
		p.Attempts += tag.RowsAffected()
		if tag.RowsAffected() < chunk {
			return nil
		}
	}
}

// pruneDeliveries deletes finished deliveries, and with each chunk the events that only these referred to.
func (l *Ledger) pruneDeliveries(ctx context.Context, retention time.Duration, p *Pruned) error {
	type group struct {
		Webhook string
		State   State
	}
	rows, _ := l.pool.Query(ctx, pruneGroupsSQL)
	groups, err := pgx.CollectRows(rows, pgx.RowToStructByPos[group])
	if err != nil {
		return fmt.Errorf("find what is over: %w", err)
	}
	for _, g := range groups {
		from := pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true}
		for more := true; more; {
			n, err := l.pruneReferring(ctx, p, func(tx pgx.Tx) (referred []string, err error) {
				var event string
				var at time.Time
				rows, _ := tx.Query(ctx, pruneDeliveriesSQL, retention, chunk, g.Webhook, g.State, from)
				_, err = pgx.ForEachRow(rows, []any{&event, &at}, func() error {
					referred = append(referred, event)
					if at.After(from.Time) {
						from = pgtype.Timestamptz{Time: at, Valid: true}
					}
					return nil
				})
				return referred, err
			})
			if err != nil {
				return err
			}
			p.Deliveries += int64(n)
			more = n == chunk
		}
	}
	return nil
}

// pruneQuarantine deletes resolved entries, and with each chunk the events that only these referred to.
func (l *Ledger) pruneQuarantine(ctx context.Context, retention time.Duration, p *Pruned) error {
	for {
		n, err := l.pruneReferring(ctx, p, func(tx pgx.Tx) ([]string, error) {
			rows, _ := tx.Query(ctx, pruneQuarantineSQL, retention, chunk)
			return pgx.CollectRows(rows, pgx.RowTo[string])
		})
		if err != nil {
			return err
		}
		p.Quarantined += int64(n)
		if n < chunk {
			return nil
		}
	}
}

// pruneReferring has rows deleted, which gives the events that they referred to, and deletes those of the events that nothing
// refers to any more. It gives the number of rows.
func (l *Ledger) pruneReferring(ctx context.Context, p *Pruned, remove func(pgx.Tx) ([]string, error)) (rows int, err error) {
	var events int64
	err = l.briefly(ctx, func(tx pgx.Tx) error {
		referred, err := remove(tx)
		if rows = len(referred); err != nil || rows == 0 {
			return err
		}
		tag, err := tx.Exec(ctx, pruneEventsSQL, referred)
		events = tag.RowsAffected()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("delete what is over: %w", err)
	}
	p.Events += events
	return rows, nil
}

// briefly runs f in a transaction that gives up rather than wait for locks.
func (l *Ledger) briefly(ctx context.Context, f func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "set local lock_timeout = '"+pruneLockTimeout+"'"); err != nil {
			return err
		}
		return f(tx)
	})
}

// ClassHeld is the class of deliveries that CancelHeld has cancelled.
const ClassHeld = "held"

// CancelHeld cancels deliveries that have been parked for longer than hold, and gives their number. They can be replayed
// until Prune deletes them.
func (l *Ledger) CancelHeld(ctx context.Context, hold time.Duration) (n int64, err error) {
	for {
		var cancelled int64
		err := l.briefly(ctx, func(tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, cancelHeldSQL, hold, chunk)
			cancelled = tag.RowsAffected()
			return err
		})
		if err != nil {
			return n, fmt.Errorf("cancel what was parked for %s: %w", hold, err)
		}
		if n += cancelled; cancelled < chunk {
			return n, nil
		}
	}
}
