package ledger

import (
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/walpost/walpost/outbox"
)

// Entry is one thing for the writer to record: an Owed, an Attempted or a Quarantined. Its Done, if any, is called once,
// from the writer's goroutine: with nil after the commit, with ErrFenced if the ledger has a newer owner of the delivery
// or, where the entry has an Epoch, of the slot, with ErrStopped if it was not written, or with the reason why Postgres refuses this very entry. Done must not block, so it must
// not Submit.
type Entry interface {
	check() error
	done() func(error)
	epoch() int64
	rows() int
	bytes() int64
}

// Delivery is a delivery to record without an attempt.
type Delivery struct {
	ID             string // UUID, text form
	Topic, Webhook string
	State          State         // any but Unrecorded; usually Pending or Parked
	DueIn          time.Duration // due at walpost.now() + DueIn
	Attempts       int           // made so far
	Fence          int64         // under which an attempt that is running now will report
	Order          Order
}

// Owed records deliveries of one event. What is recorded already stays as it is, so a repeat after a crash is harmless.
//
// An entry of what the slot sent has the Epoch of Acquire under which it was received, and is refused with ErrFenced once
// another daemon has acquired the slot: the server sends the event to that one again, which may have delivered it, so
// that a debt recorded now would be none. 0: the ledger had it before.
type Owed struct {
	Epoch      int64
	Event      *outbox.Row
	Deliveries []Delivery
	Done       func(error)
}

// VerdictInterrupted is the verdict of an attempt that doesn't count: it is not logged, and the delivery keeps its state
// and number of attempts and is due at once.
const VerdictInterrupted = "interrupted"

// Attempted records the outcome of one attempt.
//
// With a Fence, the delivery is recorded already and the outcome counts if nobody has claimed or replayed it since. With
// Fence 0 it was never recorded, and is now, with its event, unless it was delivered: that leaves one row in the attempt
// log (RecordAll) or nothing (RecordFailures), apart from its captures.
type Attempted struct {
	ID             string // UUID, text form
	Epoch          int64  // as of Owed; for a delivery with a Fence, that alone decides
	Event          *outbox.Row
	Topic, Webhook string
	Attempt        int   // number of the attempt, from 1
	Fence          int64 // as claimed, or as given with Owed; 0: never recorded
	Order          Order
	State          State // resulting; see State.Next
	DueIn          time.Duration
	Verdict, Class string
	Status         int // 0: there was no response
	Duration       time.Duration
	Excerpt        string  // cut to 1 KiB and cleaned of what a text column can't hold
	Disable        *Reason // 410: the webhook is disabled in the same transaction
	// Captures are written in the same transaction, whether or not the outcome comes too late: the endpoint did answer.
	Captures []Capture
	Done     func(error)
}

// Reason says who disabled a webhook, and why.
type Reason struct{ By, Why string }

// Quarantined records an event that is no good row, or that a rule could not be evaluated on. The same event, rule, webhook
// and topic is recorded once; a repeat renews the diagnostic.
type Quarantined struct {
	Epoch                int64 // as of Owed
	Event                *outbox.Row
	Rule, Webhook, Topic string // "" where it does not apply
	Diagnostic           string
	Done                 func(error)
}

// entryOverhead is about what an entry costs in memory beside its texts, in bytes.
const entryOverhead = 512

func (e Owed) done() func(error)        { return e.Done }
func (e Attempted) done() func(error)   { return e.Done }
func (e Quarantined) done() func(error) { return e.Done }

func (e Owed) epoch() int64        { return e.Epoch }
func (e Attempted) epoch() int64   { return e.Epoch }
func (e Quarantined) epoch() int64 { return e.Epoch }

func (e Owed) rows() int        { return 1 + len(e.Deliveries) }
func (e Attempted) rows() int   { return 1 + len(e.Captures) }
func (e Quarantined) rows() int { return 1 }

func (e Owed) bytes() int64 {
	return eventBytes(e.Event) + int64(len(e.Deliveries))*entryOverhead
}

func (e Attempted) bytes() int64 {
	n := int64(entryOverhead)
	for _, c := range e.Captures {
		n += entryOverhead + int64(len(c.Key)+len(c.Value))
	}
	if e.recordsEvent() {
		return n + eventBytes(e.Event)
	}
	return n + maxExcerpt
}

func (e Quarantined) bytes() int64 { return eventBytes(e.Event) + int64(len(e.Diagnostic)) }

func eventBytes(row *outbox.Row) int64 {
	return int64(len(row.Payload)+len(row.Headers)) + entryOverhead
}

// recordsEvent reports whether the entry makes rows in event and delivery.
func (e Attempted) recordsEvent() bool { return e.Fence == 0 && e.State != Delivered }

var errNoEvent = errors.New("the entry has no event")

func (e Owed) check() error {
	if e.Event == nil {
		return errNoEvent
	}
	for i := range e.Deliveries {
		if _, err := parseID(e.Deliveries[i].ID); err != nil {
			return err
		}
		if e.Deliveries[i].State == Unrecorded {
			return fmt.Errorf("delivery %s has no state", e.Deliveries[i].ID)
		}
	}
	return nil
}

func (e Attempted) check() error {
	if e.Event == nil {
		return errNoEvent
	}
	if e.State == Unrecorded {
		return fmt.Errorf("delivery %s has no state", e.ID)
	}
	for _, c := range e.Captures {
		if len(c.Value) > MaxCapture {
			return fmt.Errorf("capture of %d bytes; %d are allowed", len(c.Value), MaxCapture)
		}
	}
	_, err := parseID(e.ID)
	return err
}

func (e Quarantined) check() error {
	if e.Event == nil {
		return errNoEvent
	}
	return nil
}

// parseID refuses before the writer sees it what could not even be sent to Postgres.
func parseID(id string) (pgtype.UUID, error) {
	var u pgtype.UUID
	if err := u.Scan(id); err != nil {
		return u, fmt.Errorf("delivery id %q is no UUID", id)
	}
	return u, nil
}

// mustID is for ids that Submit has checked.
func mustID(id string) pgtype.UUID {
	u, err := parseID(id)
	if err != nil {
		panic(err)
	}
	return u
}
