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

// Resend records deliveries of a row as owed: those that the ledger doesn't have, and those that are parked or final there. What
// is owed already stays as it is. A running daemon begins within a second.
func (s *Sender) Resend(ctx context.Context, row *outbox.Row, deliveries []route.Delivery) error {
	if len(deliveries) == 0 {
		return nil
	}
	owed := make([]ledger.Delivery, len(deliveries))
	ids := make([]string, len(deliveries))
	for i, d := range deliveries {
		owed[i] = ledger.Delivery{ID: d.ID, Topic: d.Topic, Webhook: d.Webhook, State: ledger.Pending}
		ids[i] = d.ID
	}
	recorded := make(chan error, 1)
	if err := s.ledger.Submit(ctx, ledger.Owed{Event: row, Deliveries: owed, Done: func(err error) { recorded <- err }}); err != nil {
		return fmt.Errorf("record event %s: %w", row.ID, err)
	}
	select {
	case err := <-recorded:
		if err != nil {
			return fmt.Errorf("record event %s: %w", row.ID, err)
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	if _, err := s.ledger.Replay(ctx, ledger.Filter{IDs: ids}); err != nil && !errors.Is(err, ledger.ErrNoMatch) {
		return err
	}
	return nil
}
