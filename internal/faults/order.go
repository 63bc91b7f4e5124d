//go:build unix

package faults

import (
	"cmp"
	"slices"
	"time"
)

// The webhook "ordered" has a key that several rows share: the beginning of their ids.
const orderBy = `substr(event.id, 0, 2)`

func orderKey(event string) string { return event[:2] }

// ordered is a delivery of which the place in its key is known to some degree.
type ordered struct {
	delivery
	row       row
	began     time.Time // when it surely had no place in the order yet
	ended     time.Time // when its transaction was surely committed
	arrived   time.Time // when it came first
	succeeded time.Time // when it was accepted first
}

// checkOrder: no event of a key arrives before every earlier one was accepted. That one is earlier is known within a
// transaction, and of two transactions if one's COMMIT was answered before the other began to insert; with polling, before the
// other had written anything (docs/ordering.md). What was read from the table by blocks has no order, nor what was replayed.
func (c *checker) checkOrder() {
	keys := map[string][]*ordered{}
	for d, all := range c.receiver.book {
		if d.webhook != "ordered" || len(all) == 0 {
			continue
		}
		if o := c.ordered(d, all); o != nil {
			keys[orderKey(d.event)] = append(keys[orderKey(d.event)], o)
		}
	}
	for _, list := range keys {
		c.checkWithin(list)
		c.checkBetween(list)
	}
}

func (c *checker) ordered(d delivery, all []request) *ordered {
	r, ok := c.workload.rows[d.event]
	t := c.workload.transactions[r.transaction]
	if !ok || c.wasCancelled(all[0].id) || c.fromTable(&r, t) || c.readByBlocks(&r, all) {
		return nil
	}
	o := &ordered{delivery: d, row: r, began: r.made, arrived: all[0].received}
	if t != nil && t.fate == committed {
		o.ended = t.ended
	}
	if t != nil && !c.source.inserts {
		o.began = t.begun
	}
	for i := range all {
		if all[i].received.Before(o.arrived) {
			o.arrived = all[i].received
		}
		if all[i].succeeded() && (o.succeeded.IsZero() || all[i].answered.Before(o.succeeded)) {
			o.succeeded = all[i].answered
		}
	}
	return o
}

// gap is a time in which rows were committed that may have been read from the table.
type gap struct {
	from, to time.Time // to is zero while it is open
}

// unordered are the gaps of the incidents.
func (c *checker) unordered() []gap {
	if c.tableGaps == nil {
		c.tableGaps = make([]gap, len(c.incidents))
		for i, incident := range c.incidents {
			g := gap{from: c.lostSince(c.marks.below(incident.LSNFrom))}
			if incident.LSNTo != 0 {
				g.to = c.marks.reached(incident.LSNTo)
			}
			c.tableGaps[i] = g
		}
	}
	return c.tableGaps
}

// fromTable reports whether a row may have been read from the table: it was not surely committed before a gap, nor made
// after it.
func (c *checker) fromTable(r *row, t *transaction) bool {
	return slices.ContainsFunc(c.unordered(), func(g gap) bool {
		before := t != nil && t.fate == committed && t.ended.Before(g.from)
		after := !g.to.IsZero() && r.made.After(g.to.Add(gapMargin))
		return !before && !after
	})
}

// noticedWithin is how long a publication that was put right may have gone unnoticed: until the next connection, or look.
const noticedWithin = 30 * time.Second

// lostSince is when a gap began of which the checkpoint was at or before a time when it was noticed: a publication that hides rows
// goes unnoticed for a while, in which the stream, and the checkpoint, pass them.
func (c *checker) lostSince(noticed time.Time) time.Time {
	for _, s := range c.journal.during(noticed.Add(-noticedWithin), noticed) {
		if s.loses && s.from.Before(noticed) {
			noticed = s.from
		}
	}
	return noticed
}

// rereadMargin is for rows that are committed after polling's column was made anew, and before the table was read for it.
const rereadMargin = 15 * time.Second

// readByBlocks reports whether polling's column was made anew before a row was accepted.
func (c *checker) readByBlocks(r *row, all []request) bool {
	return slices.ContainsFunc(c.journal.all(), func(s *spell) bool {
		accepted := func(q request) bool { return q.succeeded() && q.answered.Before(s.from) }
		return s.rereads && r.made.Before(s.to.Add(rereadMargin)) && !slices.ContainsFunc(all, accepted)
	})
}

// gapMargin is for rows that the table and the new slot have both.
const gapMargin = 5 * time.Second

func (c *checker) checkWithin(list []*ordered) {
	transactions := map[int64][]*ordered{}
	for _, o := range list {
		transactions[o.row.transaction] = append(transactions[o.row.transaction], o)
	}
	for _, rows := range transactions {
		slices.SortFunc(rows, func(a, b *ordered) int {
			if !c.source.inserts {
				return cmp.Compare(a.event, b.event)
			}
			return cmp.Compare(a.row.number, b.row.number)
		})
		for i := range rows[1:] {
			c.inOrder(rows[i], rows[i+1])
		}
	}
}

func (c *checker) checkBetween(list []*ordered) {
	ended := slices.DeleteFunc(slices.Clone(list), func(o *ordered) bool { return o.ended.IsZero() })
	slices.SortFunc(ended, func(a, b *ordered) int { return a.ended.Compare(b.ended) })
	slices.SortFunc(list, func(a, b *ordered) int { return a.began.Compare(b.began) })
	var latest *ordered // of those that ended before, the one that was accepted last
	for _, o := range list {
		for len(ended) > 0 && ended[0].ended.Before(o.began) {
			if latest == nil || ended[0].succeeded.After(latest.succeeded) {
				latest = ended[0]
			}
			ended = ended[1:]
		}
		if latest != nil {
			c.inOrder(latest, o)
		}
	}
}

func (c *checker) inOrder(before, after *ordered) {
	if before.succeeded.IsZero() || !after.arrived.Before(before.succeeded) {
		return
	}
	c.problem("order: %v arrived %s before %v was accepted, which was committed earlier:\n%s%s", after.delivery,
		before.succeeded.Sub(after.arrived), before.delivery, c.story(before.event), c.story(after.event))
}
