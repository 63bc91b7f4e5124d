package daemon

import (
	"context"
	"time"
)

const (
	watchEvery = time.Second
	// leaseMargin is what a lease grants beyond the attempt's timeout.
	leaseMargin = 15 * time.Second
)

// watch moves deliveries that grow old from the WAL to the ledger, so that no endpoint holds WAL for longer than
// parkAfter: waiting ones become owed, running ones are recorded under a lease while they go on.
func (p *pipeline) watch(ctx context.Context, parkAfter time.Duration) error {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			for _, q := range p.plan.Load().queues {
				p.recordLate(q, now, parkAfter)
			}
		}
	}
}

func (p *pipeline) recordLate(q *queue, now time.Time, parkAfter time.Duration) {
	q.recording.Lock()
	defer q.recording.Unlock()
	waiting, running := q.late(now, parkAfter)
	p.lent(q, running)
	p.oweInOrder(q, waiting)
}
