package ledger

import (
	"context"
	_ "embed" // a statement
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed sql/lowest.sql
var lowestSQL string

// Where nothing is left to claim, dead entries are left in the index: as many as were claimed since the oldest snapshot
// that anybody on the host holds, for the length of a dump if need be. A claim that begins at the lowest due time walks over all of
// them. So each webhook has a floor, where its claims begin, and a bottom, below which nothing is owed. A look finds the
// bottom from the one before, so that it passes each dead entry about once, and a claim from there. Whatever the ledger
// writes is due at the start of its transaction or later, so nothing comes to be owed far below the clock.
const (
	// floorAge is how far the floor stays behind the clock: transactions end a while after their start.
	floorAge = 2 * time.Second
	// bottomAge is how far the bottom does: for transactions that had to wait.
	bottomAge = 20 * time.Second
	// lookEvery is the time between two looks, which find what lies between bottom and floor: leases that their owner let
	// end, and what was written late.
	lookEvery = 10 * time.Second
	// sweepEvery is the time between looks from the very beginning: for what should not be below the bottom, as a
	// transaction that took longer than bottomAge, or somebody's own update, may have written it.
	sweepEvery = 10 * time.Minute
)

// floors are the floors of one claimer's webhooks.
type floors struct {
	mu sync.Mutex
	of map[string]floor
}

type floor struct {
	due, bottom time.Time // by the ledger's clock; zero is before all
	looking     bool      // the next claim begins at the bottom
	// When the last look and the last one from the beginning were, by our clock, and the look by the ledger's.
	looked, swept, now time.Time
}

// claimRange is where a webhook's claim begins.
type claimRange struct {
	webhook string
	from    time.Time
}

// toLook gives the webhooks that are to be looked at now, each with its bottom.
func (f *floors) toLook(capacities []Capacity, now time.Time) (look []claimRange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range capacities {
		at := f.of[c.Webhook]
		switch {
		case at.swept.IsZero() || now.Sub(at.swept) >= sweepEvery:
			look = append(look, claimRange{webhook: c.Webhook})
		case now.Sub(at.looked) >= lookEvery:
			look = append(look, claimRange{c.Webhook, at.bottom})
		}
	}
	return look
}

// looked takes what a look from somewhere on has found: the lowest due time of what is owed (zero: nothing is), at a time of the
// ledger. If its clock was put back, what it has written since may be below the bottom: the next look begins anew.
func (f *floors) looked(at claimRange, lowest, ledgerNow, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of = make(map[string]floor)
	}
	was := f.of[at.webhook]
	is := floor{due: was.due, bottom: ledgerNow.Add(-bottomAge), looking: true, looked: now, swept: was.swept, now: ledgerNow}
	if !lowest.IsZero() && lowest.Before(is.bottom) {
		is.bottom = lowest
	}
	switch {
	case at.from.IsZero():
		is.swept = now
	case ledgerNow.Before(was.now):
		is = floor{}
	}
	f.of[at.webhook] = is
}

// from gives the due times at which a claim begins, one for each capacity, in order.
func (f *floors) from(capacities []Capacity) []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	from := make([]time.Time, len(capacities))
	for i, c := range capacities {
		at := f.of[c.Webhook]
		from[i] = at.due
		if at.looking {
			from[i], at.looking = at.bottom, false
			f.of[c.Webhook] = at
		}
	}
	return from
}

// claimed takes what a claim has brought: the due time of the last one, and whether there may be more that was due.
func (f *floors) claimed(webhook string, last time.Time, more bool, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, known := f.of[webhook]
	if !known {
		return
	}
	limit := at.now.Add(now.Sub(at.looked) - floorAge)
	switch {
	case !more && limit.After(at.due):
		at.due = limit
	case more && last.Before(limit):
		at.due = last
	case more:
		at.due = limit
	}
	f.of[webhook] = at
}

// look finds the bottoms of webhooks where it is time to.
func (l *Ledger) look(ctx context.Context, capacities []Capacity) error {
	look := l.floors.toLook(capacities, time.Now())
	if len(look) == 0 {
		return nil
	}
	webhooks, from := make([]string, len(look)), make([]time.Time, len(look))
	for i := range look {
		webhooks[i], from[i] = look[i].webhook, look[i].from
	}
	rows, _ := l.pool.Query(ctx, lowestSQL, webhooks, from)
	var n int
	var lowest *time.Time
	var now time.Time
	_, err := pgx.ForEachRow(rows, []any{&n, &lowest, &now}, func() error {
		l.floors.looked(look[n-1], timeOf(lowest), now, time.Now())
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for the lowest due time: %w", err)
	}
	return nil
}
