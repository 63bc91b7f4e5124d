package reconcile

import (
	"context"
	"time"

	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/route"
)

// comparison is one run.
type comparison struct {
	Options
	table  *route.Table
	report *Report
	seen   map[id]bool // received ids that a row gives
	debts  []Debt      // missing, not yet repaired
}

// lookup bounds how many deliveries the ledger is asked for at a time.
const lookup = 5000

// routed is a row with the deliveries that it should have.
type routed struct {
	*seen
	deliveries []route.Delivery
	rejected   bool // it can't be read, or a rule fails on it
}

// take compares the rows of one range.
func (c *comparison) take(ctx context.Context, rows []seen) error {
	var batch []routed
	var ids []string
	for i := range rows {
		r := routed{seen: &rows[i], rejected: rows[i].problem != nil}
		if !r.rejected {
			deliveries, problems := c.table.Route(&rows[i].Row)
			r.deliveries, r.rejected = deliveries, len(problems) > 0
		}
		for k := range r.deliveries {
			ids = append(ids, r.deliveries[k].ID)
		}
		batch = append(batch, r)
		if len(ids) >= lookup || i == len(rows)-1 {
			known, err := c.Ledger.Known(ctx, ids)
			if err != nil {
				return err
			}
			for k := range batch {
				c.row(&batch[k], known)
			}
			if err := c.repair(ctx); err != nil {
				return err
			}
			batch, ids = nil, nil
		}
	}
	return nil
}

// row judges one row. A row that can't be routed wholly has its place in quarantine, and its other deliveries go their own
// way.
func (c *comparison) row(r *routed, known map[string]ledger.State) {
	rows := &c.report.Rows
	rows.Seen++
	missing := c.missing(r, known)
	switch {
	case r.rejected:
		rows.Rejected++
	case len(r.deliveries) == 0:
		rows.Unrouted++
	case r.resolved:
		rows.Resolved++
	case len(missing) == 0:
		rows.Recorded++
	case r.CreatedAt.IsZero() || time.Since(r.CreatedAt) < c.Grace:
		rows.Waiting++
	default:
		rows.Late++
		c.gap(Gap{EventID: r.ID, CreatedAt: r.CreatedAt, Why: "not dealt with: it is behind the checkpoint, and in the stream"})
	}
	if c.report.Deliveries != nil && r.resolved {
		c.deliveries(r, missing, known)
	}
}

// missing are deliveries that should have been made, and were not as far as one can tell. What the ledger has as delivered
// and the receiver hasn't is one. A batch arrives under an id of its own.
func (c *comparison) missing(r *routed, known map[string]ledger.State) (missing []route.Delivery) {
	for _, d := range r.deliveries {
		key := parse(d.ID)
		if c.Received[key] {
			c.seen[key] = true
			continue
		}
		state, recorded := known[d.ID]
		contradicted := c.report.Proof == ByReceiver && state == ledger.Delivered
		if r.resolved && c.batched(d.Webhook) || recorded && !contradicted {
			continue
		}
		missing = append(missing, d)
	}
	return missing
}

// batched reports whether the receiver's list can't have the delivery's own id.
func (c *comparison) batched(webhook string) bool {
	if c.report.Proof != ByReceiver {
		return false
	}
	w := c.Config.Webhook(webhook)
	return w != nil && w.Batch != nil
}

// deliveries counts those of a resolved row.
func (c *comparison) deliveries(r *routed, missing []route.Delivery, known map[string]ledger.State) {
	counts := c.report.Deliveries
	for _, d := range r.deliveries {
		state, recorded := known[d.ID]
		switch {
		case c.Received[parse(d.ID)], state == ledger.Delivered && c.report.Proof == ByLedger:
			counts.Delivered++
		case c.batched(d.Webhook) && (!recorded || state == ledger.Delivered):
			counts.Batched++
		case recorded && state != ledger.Delivered:
			counts.Recorded[state]++
		}
	}
	if len(missing) == 0 {
		return
	}
	counts.Missing += int64(len(missing))
	for _, d := range missing {
		why := "the ledger has no record of it"
		switch _, recorded := known[d.ID]; {
		case recorded:
			why = "the ledger has it as delivered, and it has not arrived"
		case c.report.Proof == ByReceiver:
			why = "it has not arrived, and the ledger has no record of it"
		}
		c.gap(Gap{EventID: r.ID, CreatedAt: r.CreatedAt, DeliveryID: d.ID, Topic: d.Topic, Webhook: d.Webhook, Why: why})
	}
	c.debts = append(c.debts, Debt{Row: &r.Row, Deliveries: missing})
}

// repair has what is missing of the rows so far sent.
func (c *comparison) repair(ctx context.Context) error {
	debts := c.debts
	c.debts = nil
	if c.Repair == nil {
		return nil
	}
	if err := c.Repair.Resend(ctx, debts...); err != nil {
		return err
	}
	for _, d := range debts {
		c.report.Deliveries.Repaired += int64(len(d.Deliveries))
	}
	return nil
}

func (c *comparison) gap(g Gap) {
	if len(c.report.Gaps) == c.Limit {
		c.report.More = true
		return
	}
	c.report.Gaps = append(c.report.Gaps, g)
}
