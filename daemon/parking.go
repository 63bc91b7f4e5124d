package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/walpost/walpost/internal/ledger"
)

// parkingShare is which part of the time, at most, is spent on looking for what a disabled webhook still owes.
const parkingShare = 100

// parking says when to look for that again. Little comes to be owed once a webhook is disabled, and while somebody on the host
// holds a snapshot, a look walks over all that the webhook ever owed since.
type parking struct {
	mu sync.Mutex
	of map[string]parkingTurn
}

type parkingTurn struct{ disabled, next time.Time }

// due reports whether it is time for a webhook that was disabled then.
func (p *parking) due(webhook string, disabled, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, known := p.of[webhook]
	return !known || !at.disabled.Equal(disabled) || !now.Before(at.next)
}

// looked takes how long it took.
func (p *parking) looked(webhook string, disabled time.Time, took time.Duration, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil {
		p.of = make(map[string]parkingTurn)
	}
	p.of[webhook] = parkingTurn{disabled, now.Add(parkingShare * took)}
}

// parkWaiting parks what a disabled webhook owes, if it is time to look for it.
func (p *pipeline) parkWaiting(ctx context.Context, webhook ledger.WebhookState) error {
	begin := time.Now()
	if !p.parking.due(webhook.Name, webhook.DisabledAt, begin) {
		return nil
	}
	if _, err := p.ledger.ParkWaiting(ctx, webhook.Name); err != nil {
		return err
	}
	end := time.Now()
	p.parking.looked(webhook.Name, webhook.DisabledAt, end.Sub(begin), end)
	return nil
}
