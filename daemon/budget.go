package daemon

import (
	"context"
	"sync/atomic"
	"time"
)

// budget bounds the bytes of events in memory, whatever the number of queues that share them.
type budget struct {
	limit int64
	used  atomic.Int64
	freed chan struct{} // capacity 1: signalled when bytes are released
}

func newBudget(limit int64) *budget {
	return &budget{limit: limit, freed: make(chan struct{}, 1)}
}

func (b *budget) take(n int64) { b.used.Add(n) }

func (b *budget) release(n int64) {
	b.used.Add(-n)
	signal(b.freed)
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

func (b *budget) full() bool { return b.used.Load() >= b.limit }

// signal wakes whoever waits on a channel of capacity 1, now or at its next look.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
