package daemon

import "github.com/walpost/walpost/cdc"

// recall asks the ledger once for all deliveries of a batch of recovered rows, any of which it may have; a question for
// each would make a long recovery several times longer. The answer is good for this batch alone.
func (r *router) recall(batch cdc.Batch) error {
	r.recalled = nil
	if len(batch) == 0 || !batch[0].Recovered {
		return nil
	}
	p := r.plan.Load()
	var ids []string
	for i := range batch {
		e := event{source: batch[i]}
		if r.parse(p, &e) != nil {
			continue
		}
		deliveries, _ := p.table.Route(&e.row)
		for i := range deliveries {
			ids = append(ids, deliveries[i].ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	known, err := r.known(ids)
	if err != nil {
		return err
	}
	r.recalled = make(map[string]bool, len(ids))
	for _, id := range ids {
		_, r.recalled[id] = known[id]
	}
	return nil
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
