package daemon

import (
	"context"
	"sync/atomic"
	"time"
)

// budget bounds the bytes of events in memory, whatever the number of queues that share them.
//
// Payloads of deliveries that were claimed from the ledger have a bound of their own, of a quarter as much: those of endpoints that
// don't answer must not keep the stream's events out.
type budget struct {
	limit int64
	used  atomic.Int64
	freed chan struct{} // capacity 1: signalled when bytes are released

	claimed atomic.Int64 // bytes of claimed payloads, waiting and being attempted
	tight   atomic.Bool  // a claim brought less than there was, for want of room
}

func newBudget(limit int64) *budget {
	return &budget{limit: limit, freed: make(chan struct{}, 1)}
}

func (b *budget) take(n int64) { b.used.Add(n) }

func (b *budget) release(n int64) {
	b.used.Add(-n)
	signal(b.freed)
}

// claimMost bounds the bytes of claimed payloads, but for one payload.
func (b *budget) claimMost() int64 { return b.limit / 4 }

// claimRoom is how many of them a claim may bring.
func (b *budget) claimRoom() int64 { return b.claimMost() - b.claimed.Load() }

// hold counts bytes of claimed payloads that came into memory or, as a negative number, left it. It reports whether somebody
// waits for what is free now. A queue without a budget, as in tests, counts nothing.
func (b *budget) hold(n int64) (wanted bool) {
	if b == nil || n == 0 {
		return false
	}
	b.claimed.Add(n)
	return n < 0 && b.tight.Load()
}

// empties waits until no event is in memory, so that each that was taken is resolved or left, and reports whether that was
// within the grace. Nobody may take more meanwhile.
func (b *budget) empties(ctx context.Context, grace time.Duration) bool {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	for b.used.Load() > 0 {
		select {
		case <-b.freed:
		case <-timer.C:
			return b.used.Load() == 0
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// memory says how much room for events there is, and so how much of it a queue may take.
type memory uint8

const (
	// enough: each queue keeps to its bounds.
	enough memory = iota
	// short: each queue keeps to its part of a small rest, so that one flood doesn't send everybody's deliveries into the ledger.
	short
	// ample: a queue may have more than its number of deliveries, where others wait for it to have room.
	ample
)

// pressure is enough or short.
func (b *budget) pressure() memory {
	if b.used.Load() >= b.limit {
		return short
	}
	return enough
}

// ample reports whether less than half is used.
func (b *budget) ample() bool { return b.used.Load() < b.limit/2 }

// signal wakes whoever waits on a channel of capacity 1, now or at its next look.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
