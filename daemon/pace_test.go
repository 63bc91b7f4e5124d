package daemon

import (
	"strconv"
	"testing"
	"time"

	"github.com/walpost/walpost/outbox"
)

// TestLimitedWebhookOverflowsAndDrainsAtItsRate: what the rate has no room for goes to the ledger at once, so that neither
// the stream nor another webhook waits, and comes back from there no faster than the rate.
func TestLimitedWebhookOverflowsAndDrainsAtItsRate(t *testing.T) {
	t.Parallel()
	const events, rate = 120, 40
	r := newRig(t, `
webhook "limited" {
  topics     = ["*"]
  url        = "{url}/limited"
  rate_limit = "`+strconv.Itoa(rate)+`/s"
  queue      = 5
}
webhook "other" {
  topics = ["*"]
  url    = "{url}/other"
}
`)
	d := r.start()
	batch := make([]outbox.Event, events)
	for i := range batch {
		batch[i] = tagged(strconv.Itoa(i))
	}
	begin := time.Now()
	r.insert(batch...)
	var others time.Duration
	var limited []time.Duration
	ids := map[string]bool{}
	for seen := 0; seen < 2*events; seen++ {
		got := r.receiver.next()
		if got.path == "/other" {
			others = time.Since(begin)
			continue
		}
		if got.attempt != "1" || ids[got.id] {
			t.Errorf("attempt %s of %s", got.attempt, got.id)
		}
		ids[got.id] = true
		limited = append(limited, time.Since(begin))
	}
	d.mustStop()
	r.receiver.none()
	if n := most(limited, time.Second); n > rate+rate/10 { // they start exactly, and arrive as they can
		t.Errorf("%d arrive within a second, the limit is %d", n, rate)
	}
	whole := limited[len(limited)-1]
	if least := time.Second * (events - 1) / rate; whole < least {
		t.Errorf("%d went out in %s, which takes %s", events, whole, least)
	}
	if others >= whole {
		t.Errorf("the webhook without a limit took %s, the one with %s", others, whole)
	}
	if n := r.count("walpost.delivery where webhook = 'limited' and state = 'delivered'"); n < events/2 {
		t.Errorf("%d went through the ledger", n)
	}
	if n := r.count("walpost.delivery where webhook = 'other'"); n != 0 {
		t.Errorf("%d deliveries of the webhook without a limit are in the ledger", n)
	}
	t.Logf("%d at %d/s in %s, the other webhook's in %s", events, rate, whole, others)
}
