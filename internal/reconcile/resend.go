package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/outbox"
)

// Sender has deliveries sent that the stream doesn't bring any more: it records them as owed, under their own ids, so that
// whoever has them already recognizes them. Close it.
type Sender struct {
	ledger *ledger.Ledger
	stop   context.CancelFunc
	ended  chan error
}

// NewSender runs the writer of a ledger, which nobody else may do at the same time, until Close.
func NewSender(book *ledger.Ledger) *Sender {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Sender{ledger: book, stop: cancel, ended: make(chan error, 1)}
	go func() { s.ended <- book.Run(ctx) }()
	return s
}

// Close ends the writer.
func (s *Sender) Close() error {
	s.stop()
	return <-s.ended
}

// Debt is an outbox row with deliveries of it.
type Debt struct {
	Row        *outbox.Row
	Deliveries []route.Delivery
}

// Resend records deliveries as owed: those that the ledger doesn't have, and those that are parked or final there. What is
// owed already stays as it is. A running daemon begins within a second.
func (s *Sender) Resend(ctx context.Context, debts ...Debt) error {
	var ids []string
	recorded := make(chan error, len(debts))
	for _, debt := range debts {
		entry := ledger.Owed{Event: debt.Row}
		for _, d := range debt.Deliveries {
			entry.Deliveries = append(entry.Deliveries, ledger.Delivery{ID: d.ID, Topic: d.Topic, Webhook: d.Webhook, State: ledger.Pending})
			ids = append(ids, d.ID)
		}
		entry.Done = func(err error) {
			if err != nil {
				err = fmt.Errorf("record event %s: %w", debt.Row.ID, err)
			}
			recorded <- err
		}
		if len(debt.Deliveries) == 0 {
			recorded <- nil
		} else if err := s.ledger.Submit(ctx, entry); err != nil {
			return fmt.Errorf("record event %s: %w", debt.Row.ID, err)
		}
	}
	for range debts {
		select {
		case err := <-recorded:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if _, err := s.ledger.Replay(ctx, ledger.Filter{IDs: ids}); err != nil && !errors.Is(err, ledger.ErrNoMatch) {
		return err
	}
	return nil
}
