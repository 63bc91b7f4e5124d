package daemon

import (
	"time"

	"github.com/walpost/walpost/cdc"
)

// maxRecalled is for how many deliveries the ledger is asked at once, but for those of one row: a row may have hundreds.
const maxRecalled = 16 << 10

// recall asks the ledger once for all deliveries of a batch that it may have, or of its first rows: of rows that were read from the
// table, and of those that the slot sends again after a kill. A question for each would make a long recovery several times longer,
// and keep a backlog from melting when another daemon takes over. The answer is good for these rows alone, whose number is the
// result: nobody else records what the stream brings, and a row comes once.
func (r *router) recall(batch cdc.Batch) (rows int, err error) {
	r.recalled = nil
	ids, rows := r.doubtful(batch)
	if len(ids) == 0 {
		return rows, nil
	}
	known, err := r.known(ids)
	if err != nil {
		return 0, err
	}
	r.recalled = make(map[string]bool, len(ids))
	for _, id := range ids {
		_, r.recalled[id] = known[id]
	}
	return rows, nil
}

// doubtful are the deliveries of the batch's first rows that the ledger may have.
func (r *router) doubtful(batch cdc.Batch) (ids []string, rows int) {
	p, until := r.plan.Load(), r.recordedUntil()
	for rows < len(batch) && len(ids) < maxRecalled {
		row := &batch[rows]
		rows++
		if certain(row, row.CommitTime, until) {
			continue
		}
		e := event{source: *row}
		if r.parse(p, &e) != nil {
			continue
		}
		deliveries, _ := p.table.Route(&e.row)
		for i := range deliveries {
			ids = append(ids, deliveries[i].ID)
		}
	}
	return ids, rows
}

// maxBacklog is for how many rows the ledger is asked at once.
const maxBacklog = 1024

// backlog adds to a batch what waits behind it, if the ledger is to be asked for it: a stream that is quicker than the ledger's
// answers comes in batches of a row each otherwise.
func (r *router) backlog(batch cdc.Batch, batches <-chan cdc.Batch) cdc.Batch {
	until := r.recordedUntil()
	for len(batch) > 0 && len(batch) < maxBacklog && !certain(&batch[len(batch)-1], batch[len(batch)-1].CommitTime, until) {
		select {
		case more, open := <-batches:
			if !open {
				return batch // the next receive says so again
			}
			batch = append(batch, more...)
		default:
			return batch
		}
	}
	return batch
}

// certain reports whether the ledger can't know anything of a row's deliveries: it was committed after the time until which
// somebody before us may have recorded some.
func certain(row *cdc.Row, committed, until time.Time) bool {
	return !row.Recovered && committed.After(until)
}

// lookUp gives those of the ids that the ledger has, from what was recalled if that has them all.
func (r *router) lookUp(ids []string) (map[string]bool, error) {
	recorded := make(map[string]bool)
	for i, id := range ids {
		has, asked := r.recalled[id]
		if !asked { // the rules have changed since, or nothing was recalled
			break
		}
		if has {
			recorded[id] = true
		}
		if i == len(ids)-1 {
			return recorded, nil
		}
	}
	known, err := r.known(ids)
	clear(recorded)
	for id := range known {
		recorded[id] = true
	}
	return recorded, err
}
