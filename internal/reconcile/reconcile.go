// Package reconcile compares the rows of the outbox with what walpost has made of them.
//
// How much can be known depends on what is kept. The checkpoint's snapshot says of every transaction below its lower end
// that its rows are resolved; with record = "failures" that is all there is, for a delivery that succeeds at the first
// attempt leaves no trace. With record = "all", each delivery has its row in the ledger. And whoever has the webhook-ids that
// arrived, from the receiver's log, can tell exactly.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/route"
)

// Proof is by what a row or a delivery is known to be dealt with.
type Proof string

const (
	// BySnapshot is the checkpoint's word, for whole rows.
	BySnapshot Proof = "snapshot"
	// ByLedger is a record of each delivery, with record = "all".
	ByLedger Proof = "ledger"
	// ByReceiver is the receiver's list of what has arrived.
	ByReceiver Proof = "receiver"
)

// Options say what to compare.
type Options struct {
	// Config is the checked configuration: its rules, as they are now, say which deliveries a row should have. Required.
	Config *config.Config
	// Ledger is that of the configured database. Required.
	Ledger *ledger.Ledger
	// Since leaves out rows that were created before; zero: none. It takes a column created_at.
	Since time.Time
	// Grace is how long a row may wait to be resolved before it is a gap. Default: one minute.
	Grace time.Duration
	// Received are the webhook-ids that have arrived. Nil: not known.
	Received IDs
	// Limit is how many gaps are listed; all are counted. Default: 20.
	Limit int
	// Repair has deliveries that are missing sent. Nil: nothing is changed.
	Repair *Sender
}

// Gap is a delivery that should have been made and wasn't, or a row that nobody has dealt with.
type Gap struct {
	EventID    string    `json:"event_id"`
	CreatedAt  time.Time `json:"created_at,omitzero"`
	DeliveryID string    `json:"delivery_id,omitempty"` // empty: it is about the row as a whole
	Topic      string    `json:"topic,omitempty"`
	Webhook    string    `json:"webhook,omitempty"`
	Why        string    `json:"why"`
}

// Rows counts rows.
type Rows struct {
	Seen     int64 `json:"seen"`
	Resolved int64 `json:"resolved"` // by the checkpoint's snapshot
	Recorded int64 `json:"recorded"` // not surely resolved by it, but all deliveries are in the ledger or have arrived
	Unrouted int64 `json:"unrouted"` // nobody wants it
	Rejected int64 `json:"rejected"` // they can't be read or routed: what is in quarantine, or would be
	Waiting  int64 `json:"waiting"`  // not dealt with yet, and younger than the grace, or of an unknown age
	Late     int64 `json:"late"`     // not dealt with, and older
}

// Deliveries counts those of resolved rows, as far as the proof tells.
type Deliveries struct {
	Delivered int64                  `json:"delivered"` // by the receiver's list, or the ledger
	Recorded  map[ledger.State]int64 `json:"recorded"`  // others that the ledger has, by state
	Batched   int64                  `json:"batched"`   // they arrived, or not, under the id of a batch
	Missing   int64                  `json:"missing"`
	Repaired  int64                  `json:"repaired"`
}

// Report is what the comparison gave.
type Report struct {
	Proof      Proof       `json:"proof"`
	Since      time.Time   `json:"since,omitzero"`
	Rows       Rows        `json:"rows"`
	Deliveries *Deliveries `json:"deliveries,omitempty"` // nil by BySnapshot
	Gaps       []Gap       `json:"gaps"`                 // the first ones
	More       bool        `json:"more"`                 // there are more gaps than listed
	// Strangers are received ids that no row gives: of rows that were deleted or created before Since, of other rules, or
	// of samples.
	Strangers int64 `json:"strangers"`
}

// Failed reports whether there is a gap that was not repaired.
func (r *Report) Failed() bool {
	return r.Rows.Late > 0 || r.Deliveries != nil && r.Deliveries.Missing > r.Deliveries.Repaired
}

// ErrNoCheckpoint says that walpost has not dealt with anything yet.
var ErrNoCheckpoint = errors.New("the slot has no checkpoint: walpost has not run yet")

// Run compares. It reads the table in short statements, which take no lock but that of every reader.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Config == nil || o.Ledger == nil {
		return nil, errors.New("reconcile: Config and Ledger are required")
	}
	if o.Grace == 0 {
		o.Grace = time.Minute
	}
	if o.Limit == 0 {
		o.Limit = 20
	}
	table, diagnostics := route.Compile(o.Config)
	if diagnostics.HasErrors() {
		return nil, fmt.Errorf("reconcile: %w", diagnostics)
	}
	c := &comparison{Options: o, table: table, seen: map[id]bool{}, report: &Report{Proof: proof(o), Since: o.Since, Gaps: []Gap{}}}
	if c.report.Proof != BySnapshot {
		c.report.Deliveries = &Deliveries{Recorded: map[ledger.State]int64{}}
	}
	r, err := openReader(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("reconcile: %w", err)
	}
	defer r.close(ctx)
	if err := r.walk(ctx, c.report.Proof == BySnapshot, c.take); err != nil {
		return nil, fmt.Errorf("reconcile: %w", err)
	}
	c.report.Rows.Resolved += r.counted
	c.report.Rows.Seen += r.counted
	c.report.Strangers = int64(len(o.Received) - len(c.seen))
	return c.report, nil
}

// proof is the best that there is.
func proof(o Options) Proof {
	switch {
	case o.Received != nil:
		return ByReceiver
	case o.Config.Ledger.Record == config.RecordAll:
		return ByLedger
	default:
		return BySnapshot
	}
}
