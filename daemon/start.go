package daemon

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/walpost/walpost/internal/ledger"
)

// The wait for a database that is down at the start doubles from the one to the other.
const (
	startPauseMin = 250 * time.Millisecond
	startPauseMax = 15 * time.Second
)

// awaitLedger brings the ledger's schema up to date and learns which webhooks are disabled, before anything is sent. A
// database that is down, starts, or is no primary yet is waited for: an outage at the start is none that a later one
// isn't. What waiting doesn't cure is an error at once.
func (d *Daemon) awaitLedger(ctx context.Context) error {
	trouble := trouble{log: d.log, what: "open the ledger"}
	for pause := startPauseMin; ; pause = min(2*pause, startPauseMax) {
		err := d.ledger.Migrate(ctx)
		if err == nil {
			err = d.syncWebhooks(ctx, d.plan.Load())
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !ledger.Passing(err) {
			return err
		}
		trouble.note(err)
		if err == nil {
			return nil
		}
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}
