package ledger

import (
	"math"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/walpost/walpost/outbox"
)

// The rows of a multi-row statement are sent as one array for each column (unnest): the statement's text doesn't depend
// on their number, so it is prepared once. The order of args is the order of the statement's parameters.

type eventRows struct {
	seen                                 map[string]bool
	id, aggregateType, aggregateID, kind []string
	payload, headers                     []pgtype.Text
	createdAt, committedAt               []pgtype.Timestamptz
	lsn                                  []string
}

// add adds the event once.
func (r *eventRows) add(e *outbox.Row) {
	if r.seen[e.ID] {
		return
	}
	if r.seen == nil {
		r.seen = make(map[string]bool)
	}
	r.seen[e.ID] = true
	r.id = append(r.id, e.ID)
	r.aggregateType = append(r.aggregateType, e.AggregateType)
	r.aggregateID = append(r.aggregateID, e.AggregateID)
	r.kind = append(r.kind, e.Type)
	r.payload = append(r.payload, nullText(e.Payload))
	r.headers = append(r.headers, nullText(e.Headers))
	r.createdAt = append(r.createdAt, nullTime(e.CreatedAt))
	r.committedAt = append(r.committedAt, nullTime(e.CommittedAt))
	r.lsn = append(r.lsn, lsn(e.LSN).String())
}

func (r *eventRows) args() []any {
	return []any{r.id, r.aggregateType, r.aggregateID, r.kind, r.payload, r.headers, r.createdAt, r.committedAt, r.lsn}
}

type deliveryRows struct {
	id                    []pgtype.UUID
	event, topic, webhook []string
	state                 []string
	attempts              []int32
	dueIn                 []time.Duration
	fence                 []int64
	order                 orderColumns
}

func (r *deliveryRows) add(event *outbox.Row, d *Delivery, age time.Duration) {
	r.id = append(r.id, mustID(d.ID))
	r.event = append(r.event, event.ID)
	r.topic = append(r.topic, d.Topic)
	r.webhook = append(r.webhook, d.Webhook)
	r.state = append(r.state, string(d.State))
	r.attempts = append(r.attempts, int4(d.Attempts))
	r.dueIn = append(r.dueIn, d.DueIn-age)
	r.fence = append(r.fence, d.Fence)
	r.order.add(event, d.Order)
}

func (r *deliveryRows) args() []any {
	return append([]any{r.id, r.event, r.topic, r.webhook, r.state, r.attempts, r.dueIn, r.fence}, r.order.args()...)
}

// attemptRows are the rows of three statements, which all take the same columns.
type attemptRows struct {
	id                    []pgtype.UUID
	event, topic, webhook []string
	fence                 []int64
	n                     []int32
	state                 []string
	dueIn, age            []time.Duration
	verdict, class        []string
	status                []pgtype.Int4
	duration              []float64 // milliseconds
	excerpt               []pgtype.Text
	order                 orderColumns // only for the first
}

// maxExcerpt is the length of the longest excerpt that is kept, in bytes.
const maxExcerpt = 1 << 10

func (r *attemptRows) add(e *Attempted, age time.Duration) {
	excerpt := clean(e.Excerpt, maxExcerpt)
	r.id = append(r.id, mustID(e.ID))
	r.event = append(r.event, e.Event.ID)
	r.topic = append(r.topic, e.Topic)
	r.webhook = append(r.webhook, e.Webhook)
	r.fence = append(r.fence, e.Fence)
	r.n = append(r.n, int4(e.Attempt))
	r.state = append(r.state, string(e.State))
	r.dueIn = append(r.dueIn, e.DueIn-age)
	r.age = append(r.age, age)
	r.verdict = append(r.verdict, e.Verdict)
	r.class = append(r.class, e.Class)
	r.status = append(r.status, pgtype.Int4{Int32: int4(e.Status), Valid: e.Status != 0})
	r.duration = append(r.duration, float64(e.Duration)/float64(time.Millisecond))
	r.excerpt = append(r.excerpt, pgtype.Text{String: excerpt, Valid: excerpt != ""})
	r.order.add(e.Event, e.Order)
}

func (r *attemptRows) args() []any {
	return []any{
		r.id, r.event, r.topic, r.webhook, r.fence, r.n, r.state, r.dueIn, r.age,
		r.verdict, r.class, r.status, r.duration, r.excerpt,
	}
}

type webhookRows struct {
	name, by, why []string
	delivery      []pgtype.UUID // under whose claim the reason was found; NULL: none
	fence         []int64
}

// add adds a webhook to disable. fence is the claim's that must still be good; 0: whatever has happened.
func (r *webhookRows) add(name string, reason Reason, delivery pgtype.UUID, fence int64) {
	r.name = append(r.name, name)
	r.by = append(r.by, clean(reason.By, maxExcerpt))
	r.why = append(r.why, clean(reason.Why, maxExcerpt))
	r.delivery, r.fence = append(r.delivery, delivery), append(r.fence, fence)
}

func (r *webhookRows) args() []any { return []any{r.name, r.by, r.why, r.delivery, r.fence} }

type quarantineRows struct{ event, rule, webhook, topic, diagnostic []string }

// maxDiagnostic is the length of the longest diagnostic that is kept, in bytes.
const maxDiagnostic = 16 << 10

func (r *quarantineRows) add(e *Quarantined) {
	r.event = append(r.event, e.Event.ID)
	r.rule = append(r.rule, e.Rule)
	r.webhook = append(r.webhook, e.Webhook)
	r.topic = append(r.topic, e.Topic)
	r.diagnostic = append(r.diagnostic, clean(e.Diagnostic, maxDiagnostic))
}

func (r *quarantineRows) args() []any {
	return []any{r.event, r.rule, r.webhook, r.topic, r.diagnostic}
}

func nullText(b []byte) pgtype.Text { return pgtype.Text{String: string(b), Valid: b != nil} }

func nullTime(t time.Time) pgtype.Timestamptz {
	return pgtype.Timestamptz{Time: t, Valid: !t.IsZero()}
}

func int4(n int) int32 { return int32(max(math.MinInt32, min(n, math.MaxInt32))) }
