package ledger

import (
	"context"
	_ "embed" // statements
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/walpost/walpost/internal/failpoint"
	"github.com/walpost/walpost/outbox"
)

var (
	//go:embed sql/event_insert.sql
	eventInsertSQL string
	//go:embed sql/owed_insert.sql
	owedInsertSQL string
	//go:embed sql/first_outcome.sql
	firstOutcomeSQL string
	//go:embed sql/outcome.sql
	outcomeSQL string
	//go:embed sql/sole_insert.sql
	soleInsertSQL string
	//go:embed sql/webhook_disable.sql
	webhookDisableSQL string
	//go:embed sql/quarantine_insert.sql
	quarantineInsertSQL string
	//go:embed sql/notify.sql
	notifySQL string
	//go:embed sql/fence.sql
	fenceSQL string
)

// batch is a number of entries as the rows of few statements.
type batch struct {
	record      Record
	epoch       int64 // of those entries that have one: they have the same
	events      eventRows
	owed        deliveryRows
	first       attemptRows // outcomes of deliveries that are recorded now
	later       attemptRows // outcomes of deliveries that were recorded before
	sole        attemptRows // first-attempt successes
	disabled    webhookRows
	captured    captureRows
	quarantined quarantineRows
	order       orderRows
}

// newBatch reads the entries. Due times count from the submission, so that an outage of the database moves no schedule.
func newBatch(entries []waiting, record Record, now time.Time) *batch {
	b := &batch{record: record}
	for i := range entries {
		age := max(0, now.Sub(entries[i].since))
		b.epoch = max(b.epoch, entries[i].epoch())
		switch e := entries[i].Entry.(type) {
		case Owed:
			if len(e.Deliveries) > 0 {
				b.events.add(e.Event)
			}
			for _, d := range e.Deliveries {
				b.addOwed(e.Event, &d, age)
			}
		case Attempted:
			b.addAttempt(&e, age)
		case Quarantined:
			b.events.add(e.Event)
			b.quarantined.add(&e)
		}
	}
	return b
}

func (b *batch) addOwed(event *outbox.Row, d *Delivery, age time.Duration) {
	b.owed.add(event, d, age)
	b.order.touch(d.Webhook, d.Order)
}

func (b *batch) addAttempt(e *Attempted, age time.Duration) {
	if e.Disable != nil {
		b.disabled.add(e.Webhook, *e.Disable, mustID(e.ID), e.Fence)
		b.order.lock(e.Webhook)
	}
	b.order.touch(e.Webhook, e.Order)
	b.captured.add(e)
	switch {
	case e.Fence != 0:
		b.later.add(e, age)
		if !e.State.Final() {
			b.order.stop(e.Webhook, e.Order)
		}
	case e.State != Delivered:
		b.events.add(e.Event)
		b.first.add(e, age)
	case b.record == RecordAll:
		b.sole.add(e, age)
	}
}

// commit writes entries in one transaction and one round trip: without a BEGIN, a batch is a transaction. lost
// has the ids of those deliveries whose outcome came too late.
func (l *Ledger) commit(ctx context.Context, entries []waiting, again bool) (lost map[pgtype.UUID]bool, err error) {
	b := newBatch(entries, l.options.Record, time.Now())
	replica := clean(l.options.Replica, maxExcerpt)
	var out pgx.Batch
	b.order.begin(&out)
	// Events before what refers to them; what is recorded now before outcomes, which may be those of an Owed of the
	// same batch.
	if len(b.events.id) > 0 {
		out.Queue(eventInsertSQL, b.events.args()...)
	}
	if len(b.owed.id) > 0 {
		out.Queue(owedInsertSQL, b.owed.args()...)
	}
	if len(b.first.id) > 0 {
		out.Queue(firstOutcomeSQL, append(append(b.first.args(), replica), b.first.order.args()...)...)
	}
	if len(b.later.id) > 0 {
		out.Queue(outcomeSQL, append(b.later.args(), replica)...).Query(func(rows pgx.Rows) (err error) {
			lost, err = collectIDs(rows)
			return err
		})
	}
	if len(b.sole.id) > 0 {
		out.Queue(soleInsertSQL, append(b.sole.args(), replica, again)...)
	}
	if len(b.disabled.name) > 0 {
		out.Queue(webhookDisableSQL, b.disabled.args()...)
		out.Queue(notifySQL)
	}
	if len(b.captured.key) > 0 {
		out.Queue(captureUpsertSQL, b.captured.args()...)
	}
	if len(b.quarantined.event) > 0 {
		out.Queue(quarantineInsertSQL, b.quarantined.args()...)
	}
	b.order.end(&out)
	if out.Len() == 0 {
		return nil, nil
	}
	if b.epoch != 0 {
		// Last, so that the checkpoint's row is locked for as short a time as can be.
		out.Queue(fenceSQL, l.options.Slot, b.epoch)
	}
	failpoint.Hit(failpoint.BeforeLedgerWrite)
	if err := l.pool.SendBatch(ctx, &out).Close(); err != nil {
		return nil, err
	}
	failpoint.Hit(failpoint.AfterLedgerCommit)
	return lost, nil
}

func collectIDs(rows pgx.Rows) (map[pgtype.UUID]bool, error) {
	ids, err := pgx.CollectRows(rows, pgx.RowTo[pgtype.UUID])
	if err != nil {
		return nil, err
	}
	set := make(map[pgtype.UUID]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set, nil
}
