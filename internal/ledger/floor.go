package ledger

import (
	"sync"
	"time"
)

// Where nothing is left to claim, dead entries are left in the index: as many as were claimed since the oldest snapshot
// that anybody on the host holds, for the length of a dump if need be. A claim that begins at the lowest due time walks over all of
// them, so each webhook has a floor, the due time up to which everything was claimed, and a claim begins there.
const (
	// floorAge is how far the floor stays behind the clock: what becomes due is written with the time of its transaction,
	// which may end a while later.
	floorAge = 10 * time.Second
	// floorLasts is how long a floor holds. Then a claim looks at everything again: at leases that their owner let
	// end, and at what was due before it was written, because the ledger was down or its clock was put back.
	floorLasts = 10 * time.Second
)

// floors are the floors of one claimer's webhooks.
type floors struct {
	mu sync.Mutex
	of map[string]floor
}

type floor struct {
	due    time.Time // zero: there is none
	looked time.Time // when everything was looked at last
}

// from gives the due times at which a claim begins now, one for each capacity, in order. A zero time is before all.
func (f *floors) from(capacities []Capacity, now time.Time) []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of = make(map[string]floor)
	}
	from := make([]time.Time, len(capacities))
	for i, c := range capacities {
		at := f.of[c.Webhook]
		if now.Sub(at.looked) >= floorLasts {
			at = floor{looked: now}
			f.of[c.Webhook] = at
		}
		from[i] = at.due
	}
	return from
}

// raise takes what a claim has brought: the due time of a claimed delivery, and the ledger's time.
func (f *floors) raise(webhook string, due, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, known := f.of[webhook]
	if limit := now.Add(-floorAge); due.After(limit) {
		due = limit
	}
	if known && due.After(at.due) {
		at.due = due
		f.of[webhook] = at
	}
}
