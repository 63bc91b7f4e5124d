package daemon

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/walpost/walpost/internal/ledger"
)

// breakerNotes has the ledger know which breakers are open, for those who ask it and not this daemon. It compares what is with
// what was said, so no way in which a breaker opens, closes or leaves needs to know of it.
type breakerNotes struct {
	said []ledger.OpenBreaker
	at   time.Time // when; zero: never
}

// sayAgain is how often what hasn't changed is said.
const sayAgain = time.Hour

// note says it, if there is something to say.
func (n *breakerNotes) note(ctx context.Context, p *plan, book *ledger.Ledger, tag string) error {
	var open []ledger.OpenBreaker
	for name, q := range p.queues {
		q.mu.Lock()
		if b := q.pace.breaker; b != nil && b.open {
			open = append(open, ledger.OpenBreaker{Webhook: name, Since: b.opened, Why: b.why})
		}
		q.mu.Unlock()
	}
	slices.SortFunc(open, func(a, b ledger.OpenBreaker) int { return strings.Compare(a.Webhook, b.Webhook) })
	if slices.Equal(open, n.said) && (len(open) == 0 || time.Since(n.at) < sayAgain) {
		return nil
	}
	if err := book.SaveBreakers(ctx, tag, open); err != nil {
		return err
	}
	n.said, n.at = open, time.Now()
	return nil
}
