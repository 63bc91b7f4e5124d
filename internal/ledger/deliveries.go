package ledger

import (
	"context"
	_ "embed" // statements
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/walpost/walpost/outbox"
)

var (
	//go:embed sql/deliveries.sql
	deliveriesSQL string
	//go:embed sql/attempts.sql
	attemptsSQL string
	//go:embed sql/event.sql
	eventSQL string
	//go:embed sql/replay.sql
	replaySQL string
)

// Filter selects deliveries or quarantined events. The zero value of a field doesn't filter.
type Filter struct {
	IDs                     []string // of deliveries
	EventID, Webhook, Topic string
	States                  []State // of deliveries
	Since                   time.Time
	Limit                   int    // default 100; commands that change something have no limit
	Before                  string // go on after this entry, the last of the page before
}

const defaultLimit = 100

func (f *Filter) limit() int {
	if f.Limit <= 0 {
		return defaultLimit
	}
	return f.Limit
}

// DeliveryView is a delivery as commands show it.
type DeliveryView struct {
	ID          string    `json:"id"`
	EventID     string    `json:"event_id"`
	Topic       string    `json:"topic"`
	Webhook     string    `json:"webhook"`
	State       State     `json:"state"`
	Attempts    int       `json:"attempts"` // of the running schedule
	DueAt       time.Time `json:"due_at,omitzero"`
	LastStatus  int       `json:"last_status,omitempty"`
	LastClass   string    `json:"last_class,omitempty"`
	LastVerdict string    `json:"last_verdict,omitempty"`
	CreatedAt   time.Time `json:"created_at"` // when it was recorded
	UpdatedAt   time.Time `json:"updated_at"`
	FinishedAt  time.Time `json:"finished_at,omitzero"`
	OrderKey    string    `json:"order_key,omitempty"`
	// HeldBehind is the id of the delivery of the same key for which this one waits.
	HeldBehind string `json:"held_behind,omitempty"`
}

// AttemptView is one row of the attempt log.
type AttemptView struct {
	Number   int           `json:"number"` // in its schedule, from 1
	At       time.Time     `json:"at"`
	Verdict  string        `json:"verdict"`
	Class    string        `json:"class"`
	Status   int           `json:"status,omitempty"`
	Duration time.Duration `json:"duration_ns"`
	Excerpt  string        `json:"excerpt,omitempty"`
	Replica  string        `json:"replica"`
}

// DeliveryDetail is a delivery with the log of its attempts, oldest first.
type DeliveryDetail struct {
	DeliveryView
	Log []AttemptView `json:"log"`
}

// Deliveries lists deliveries, newest first.
func (l *Ledger) Deliveries(ctx context.Context, f Filter) ([]DeliveryView, error) {
	ids, err := f.ids()
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	var before pgtype.UUID
	if f.Before != "" {
		if before, err = parseID(f.Before); err != nil {
			return nil, fmt.Errorf("list deliveries: %w", err)
		}
	}
	rows, _ := l.pool.Query(ctx, deliveriesSQL, planned, ids, filterText(f.EventID), filterText(f.Webhook),
		filterText(f.Topic), stateNames(f.States), nullTime(f.Since), before, f.limit())
	views, err := pgx.CollectRows(rows, scanDelivery)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return views, nil
}

// planned has a statement planned for its parameters each time, as one plan doesn't suit all filters.
const planned = pgx.QueryExecModeCacheDescribe

func (f *Filter) ids() ([]pgtype.UUID, error) {
	if len(f.IDs) == 0 {
		return nil, nil
	}
	ids := make([]pgtype.UUID, len(f.IDs))
	var err error
	for i, id := range f.IDs {
		if ids[i], err = parseID(id); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// filterText is NULL for "".
func filterText(s string) pgtype.Text { return pgtype.Text{String: s, Valid: s != ""} }

func stateNames(states []State) []string {
	var names []string
	for _, s := range states {
		names = append(names, string(s))
	}
	return names
}

func scanDelivery(row pgx.CollectableRow) (DeliveryView, error) {
	var v DeliveryView
	var id pgtype.UUID
	var due, finished *time.Time
	var status *int
	var class, verdict, key *string
	var behind pgtype.UUID
	err := row.Scan(&id, &v.EventID, &v.Topic, &v.Webhook, &v.State, &v.Attempts, &due, &status, &class, &verdict,
		&v.CreatedAt, &v.UpdatedAt, &finished, &key, &behind)
	v.ID, v.DueAt, v.FinishedAt = id.String(), timeOf(due), timeOf(finished)
	v.CreatedAt, v.UpdatedAt = v.CreatedAt.UTC(), v.UpdatedAt.UTC()
	v.LastClass, v.LastVerdict, v.OrderKey = textOf(class), textOf(verdict), textOf(key)
	if status != nil {
		v.LastStatus = *status
	}
	if behind.Valid {
		v.HeldBehind = behind.String()
	}
	return v, err
}

// Delivery gives one delivery with its attempts, or nil if the ledger has none of that id.
func (l *Ledger) Delivery(ctx context.Context, id string) (*DeliveryDetail, error) {
	views, err := l.Deliveries(ctx, Filter{IDs: []string{id}})
	if err != nil || len(views) == 0 {
		return nil, err
	}
	rows, _ := l.pool.Query(ctx, attemptsSQL, mustID(id))
	log, err := pgx.CollectRows(rows, scanAttempt)
	if err != nil {
		return nil, fmt.Errorf("read attempts of delivery %s: %w", id, err)
	}
	return &DeliveryDetail{DeliveryView: views[0], Log: log}, nil
}

func scanAttempt(row pgx.CollectableRow) (AttemptView, error) {
	var v AttemptView
	var status *int
	var milliseconds float64
	var excerpt *string
	err := row.Scan(&v.Number, &v.At, &v.Verdict, &v.Class, &status, &milliseconds, &excerpt, &v.Replica)
	v.At, v.Excerpt = v.At.UTC(), textOf(excerpt)
	v.Duration = time.Duration(milliseconds * float64(time.Millisecond))
	if status != nil {
		v.Status = *status
	}
	return v, err
}

// Event gives an event that a delivery or quarantine entry refers to, or nil.
func (l *Ledger) Event(ctx context.Context, id string) (*outbox.Row, error) {
	var event eventScan
	err := l.pool.QueryRow(ctx, eventSQL, id).Scan(event.targets()...)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read event %q: %w", id, err)
	}
	return event.row(), nil
}

// Replay makes the matching deliveries due now: failed, parked and cancelled ones, or those of f.States; delivered ones only
// where f.IDs names them. The number of attempts starts anew, since the schedule does: a replay is somebody's word that what
// failed is mended, so it deserves all of its retries, while the attempt log keeps what was before. n is the number of
// deliveries, 0 with ErrNoMatch. A first-attempt success kept by RecordAll can't be replayed: the ledger has no copy of
// its event.
func (l *Ledger) Replay(ctx context.Context, f Filter) (n int64, err error) {
	ids, err := f.ids()
	if err != nil {
		return 0, fmt.Errorf("replay: %w", err)
	}
	states := stateNames(replayable(&f))
	lastAt := pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true}
	lastID := pgtype.UUID{Valid: true}
	for {
		var moved int64
		err := pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, orderLockSQL, webhookNames(f.Webhook)); err != nil {
				return err
			}
			var touched orderRows
			var webhook, key string
			rows, _ := tx.Query(ctx, replaySQL, planned, ids, filterText(f.EventID), filterText(f.Webhook),
				filterText(f.Topic), states, nullTime(f.Since), lastAt, lastID, chunk)
			tag, err := pgx.ForEachRow(rows, []any{&lastAt, &lastID, &webhook, &key}, func() error {
				touched.touch(webhook, Order{Key: key})
				return nil
			})
			if moved = tag.RowsAffected(); err != nil || len(touched.key) == 0 {
				return err
			}
			_, err = tx.Exec(ctx, orderSettleSQL, touched.webhook, touched.key)
			return err
		})
		if err != nil {
			return n, fmt.Errorf("replay: %w", err)
		}
		if n += moved; moved < chunk {
			break
		}
	}
	if n == 0 {
		return 0, fmt.Errorf("replay: %w", ErrNoMatch)
	}
	if err := l.notify(ctx); err != nil {
		return n, fmt.Errorf("replay: %w", err)
	}
	return n, nil
}

// webhookNames is what order_lock.sql locks: all for "".
func webhookNames(webhook string) []string {
	if webhook == "" {
		return nil
	}
	return []string{webhook}
}

// replayable is the states that Replay moves.
func replayable(f *Filter) []State {
	states := f.States
	if len(states) == 0 {
		states = States()
	}
	return slices.DeleteFunc(slices.Clone(states), func(s State) bool {
		_, ok := s.Next(Replay)
		return !ok || s == Delivered && len(f.IDs) == 0
	})
}
