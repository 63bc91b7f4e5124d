package daemon

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/internal/failpoint"
	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/outbox"
)

// router takes committed rows from the stream, in commit order, and brings each event's deliveries into their
// queues, or into the ledger where a queue can't take them. It runs in one goroutine and never waits on HTTP.
type router struct {
	*pipeline
	parsers  map[*cdc.Relation]*outbox.Parser
	patience patience
	// recordedUntil is when the ledger stops knowing deliveries of what the slot sends again.
	recordedUntil func() time.Time
	// recalled says of the deliveries of the rows at hand whether the ledger has them; nil unless it was asked.
	recalled map[string]bool
	// taken is the transaction of the latest row that was taken from the stream.
	taken cdc.Transaction
	again *time.Timer // for offer
}

func newRouter(p *pipeline, recordedUntil func() time.Time) *router {
	return &router{
		pipeline: p, recordedUntil: recordedUntil,
		parsers: map[*cdc.Relation]*outbox.Parser{},
		again:   time.NewTimer(lookAgain),
	}
}

// Backpressure. A full queue is a reason to read slower, because the WAL is the better queue, but only while its
// endpoint moves and nobody else is kept waiting for its sake.
const (
	// stallAfter is how long a queue's front may wait before the queue overflows into the ledger.
	stallAfter = 3 * time.Second
	// recentTraffic is how long after its last delivery a queue without work counts as kept waiting.
	recentTraffic = time.Second
	// lookAgain is how often a blocked router looks whether the conditions above still hold.
	lookAgain = 5 * time.Millisecond
)

// run routes until the stream ends or the intake is stopped.
func (r *router) run(intake context.Context, batches <-chan cdc.Batch) error {
	for {
		select {
		case <-intake.Done():
			return r.finish(intake, batches)
		case batch, open := <-batches:
			if !open {
				return nil
			}
			if over, err := r.batch(intake, r.backlog(batch, batches)); over || err != nil {
				return err
			}
		}
	}
}

// batch routes rows. Once the intake is stopped, only those of the transaction that was begun; over says that others
// follow, which were never taken, so that the slot sends them again.
func (r *router) batch(intake context.Context, batch cdc.Batch) (over bool, err error) {
	recalled := 0 // rows
	for i := range batch {
		if intake.Err() != nil && batch[i].Transaction() != r.taken {
			return true, nil
		}
		if i == recalled {
			rows, err := r.recall(batch[i:])
			if err != nil {
				return true, err
			}
			recalled += rows
		}
		if err := r.row(intake, &batch[i]); err != nil {
			return true, err
		}
	}
	return false, nil
}

// A transaction is confirmed as a whole, so one that is left in the middle comes again as a whole. Its rest arrives at
// once, unless it is huge.
const (
	finishPause = 50 * time.Millisecond
	finishGrace = 2 * time.Second
)

// finish routes the rest of the transaction that was begun, as far as it arrives soon.
func (r *router) finish(intake context.Context, batches <-chan cdc.Batch) error {
	if r.taken == (cdc.Transaction{}) {
		return nil
	}
	for deadline := time.Now().Add(finishGrace); time.Now().Before(deadline); {
		pause := time.NewTimer(finishPause)
		select {
		case <-pause.C:
			return nil
		case batch, open := <-batches:
			pause.Stop()
			if !open {
				return nil
			}
			if over, err := r.batch(intake, batch); over || err != nil {
				return err
			}
		}
	}
	return nil
}

// row routes one row. An error means that the ledger didn't take what must be recorded because we are told to
// stop working; the row is unresolved then, and comes again.
func (r *router) row(intake context.Context, row *cdc.Row) error {
	term := r.term.Load() // before the row is asked: one of an older term is obsolete by then
	if term == nil || !r.goesOn(term) || row.Obsolete() {
		return nil // who leads now has it from the stream, too
	}
	p := r.plan.Load()
	r.counters.events.Add(1)
	r.taken = row.Transaction()
	e := &event{source: *row, budget: r.budget, term: term}
	problem := r.parse(p, e)
	e.size = int64(len(e.row.Payload)+len(e.row.Headers)) + eventOverhead
	r.budget.take(e.size)
	if problem != nil {
		e.expect(1)
		return r.quarantine(e, *problem)
	}
	deliveries, problems := p.table.Route(&e.row)
	if len(deliveries)+len(problems) == 0 {
		r.counters.unrouted.Add(1)
		e.expect(1)
		e.resolve(1)
		return nil
	}
	e.expect(len(deliveries) + len(problems))
	for _, problem := range problems {
		if err := r.quarantine(e, problem); err != nil {
			return err
		}
	}
	deliveries, err := r.unknown(e, deliveries)
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.Routed)
	return r.spread(intake, p, e, deliveries)
}

// unknown leaves out the deliveries that the ledger has already, and resolves them: after a kill the slot sends rows
// again of which some deliveries were recorded, and those go their own way.
func (r *router) unknown(e *event, deliveries []route.Delivery) ([]route.Delivery, error) {
	if len(deliveries) == 0 || certain(&e.source, e.row.CommittedAt, r.recordedUntil()) {
		return deliveries, nil
	}
	ids := make([]string, len(deliveries))
	for i := range deliveries {
		ids[i] = deliveries[i].ID
	}
	known, err := r.lookUp(ids)
	if err != nil {
		return nil, err
	}
	if len(known) == 0 {
		return deliveries, nil
	}
	fresh := slices.DeleteFunc(deliveries, func(d route.Delivery) bool { return known[d.ID] })
	r.counters.duplicates.Add(uint64(len(known)))
	e.resolve(len(known))
	return fresh, nil
}

// known asks the ledger until it answers, or until we are told to stop working.
func (r *router) known(ids []string) (map[string]ledger.State, error) {
	trouble := trouble{log: r.log, what: "look up repeated deliveries"}
	for {
		known, err := r.ledger.Known(r.working, ids)
		if err == nil || r.working.Err() != nil {
			trouble.note(nil)
			return known, err
		}
		trouble.note(err)
		select {
		case <-r.working.Done():
			return nil, err
		case <-time.After(time.Second):
		}
	}
}

// What an event costs in memory beside its payload and headers, and each of its deliveries, in bytes.
const (
	eventOverhead    = 768
	deliveryOverhead = 320
)

// parse reads the row by the outbox contract. A row that breaks it becomes an event all the same, as far as it
// can be read and under an id of its own, so that it can be kept with the problem that is given back.
func (r *router) parse(p *plan, e *event) *route.Problem {
	err := r.read(p, e)
	e.row.LSN, e.row.CommittedAt = uint64(e.source.CommitLSN), e.source.CommitTime
	if created := e.row.CreatedAt; e.source.Recovered && !created.IsZero() && created.Before(e.row.CommittedAt) {
		e.row.CommittedAt = created // when it was read says nothing of its age
	}
	if e.row.ID == "" {
		e.row.ID = e.source.CommitLSN.String() + "#" + strconv.Itoa(e.source.Ordinal)
	}
	if err != nil {
		return &route.Problem{Summary: badRow, Detail: err.Error()}
	}
	return tooLarge(&e.row, p.config)
}

// read reads a row of the table by its columns, and a logical message by its fields.
func (r *router) read(p *plan, e *event) (err error) {
	if e.source.Message {
		e.row, err = outbox.ParseMessage(e.source.Values[0])
		if e.row.CreatedAt.IsZero() {
			e.row.CreatedAt = e.source.CommitTime
		}
		return err
	}
	parser, err := r.parser(p, e.source.Relation)
	if err == nil {
		e.row, err = parser.Parse(e.source.Values)
	}
	return err
}

// parser is made once for each shape that the table has had.
func (r *router) parser(p *plan, rel *cdc.Relation) (*outbox.Parser, error) {
	if parser, ok := r.parsers[rel]; ok {
		return parser, nil
	}
	names, types := make([]string, len(rel.Columns)), make([]uint32, len(rel.Columns))
	for i, c := range rel.Columns {
		names[i], types[i] = c.Name, c.TypeOID
	}
	parser, err := outbox.NewParser(p.config.Outbox.Table.Columns, names, types...)
	if err != nil {
		return nil, err
	}
	r.parsers = map[*cdc.Relation]*outbox.Parser{rel: parser}
	return parser, nil
}

// spread offers each delivery to its queue and records those that no queue takes.
func (r *router) spread(intake context.Context, p *plan, e *event, deliveries []route.Delivery) error {
	now := time.Now()
	var owed []ledger.Delivery
	for i := range deliveries {
		d := &delivery{Delivery: deliveries[i], table: p.table, attempt: 1, since: now, event: e, n: e.place(i)}
		q := p.queues[d.Webhook]
		switch a := r.offer(intake, p, q, d); {
		case a == admitted:
			failpoint.Hit(failpoint.Queued)
		case d.Key != "" && q != nil:
			if err := r.recordInOrder(q, d); err != nil {
				return err
			}
		case a == refusedDisabled:
			owed = append(owed, d.entry(ledger.Parked))
		default:
			owed = append(owed, d.entry(ledger.Pending))
		}
	}
	return r.park(e, owed)
}

// offer pushes the delivery into its queue, and waits for room in a full one as long as that is fair.
func (r *router) offer(intake context.Context, p *plan, q *queue, d *delivery) admission {
	if q == nil {
		return refusedStopped
	}
	for {
		now := time.Now()
		a := q.push(d, now, r.budget.pressure())
		if a != refusedFull || d.Key != "" && q.keyStalled(d, now) || q.stalled(now) || q.held(now) {
			return a
		}
		if !r.patience.left(now) {
			if !r.budget.ample() {
				return a
			}
			return q.push(d, now, ample) // the endpoint moves: it will be sent sooner than it could be recorded and claimed
		}
		r.again.Reset(lookAgain)
		select {
		case <-q.room:
		case <-r.budget.freed:
		case <-r.again.C:
		case <-intake.Done():
			return refusedStopped
		}
		r.charge(p, q, time.Since(now))
	}
}

// charge books the time that the router was blocked on q, if another queue was kept waiting for it.
func (r *router) charge(p *plan, q *queue, waited time.Duration) {
	now := time.Now()
	for _, other := range p.queues {
		if other != q && other.starving(now) {
			r.patience.charge(waited, now)
			return
		}
	}
}
