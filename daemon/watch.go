package daemon

import (
	"context"
	"time"

	"github.com/walpost/walpost/internal/ledger"
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
	waiting, running := q.late(now, parkAfter)
	p.returnOwed(ledger.Pending, waiting)
	for _, d := range running {
		entry := d.entry(ledger.Pending)
		entry.Fence, entry.DueIn = d.fence, q.lease()
		p.counters.parked.Add(1)
		_ = p.submit(ledger.Owed{Epoch: d.event.term.epoch, Event: d.Row, Deliveries: []ledger.Delivery{entry}, Done: p.resolves(d.event, 1)})
		close(d.recording)
	}
}
