package daemon

import (
	"context"
	"fmt"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/internal/ledger"
)

// messagesLost is the kind of an incident that no recovery ends: logical messages are nowhere but in the WAL.
const messagesLost = "messages_lost"

// messagesLost records which part of the WAL a lost slot had not sent, where messages are events. Somebody has to find out
// what was in it, so the incident stays open until that somebody ends it.
func (c *checkpointer) messagesLost(ctx context.Context, r *cdc.Recovery) error {
	if c.messages == "" {
		return nil
	}
	recorded, err := c.ledger.OpenIncident(ctx, c.slot, []string{messagesLost}, uint64(r.Position)-1)
	if err != nil || recorded != nil {
		return err
	}
	var from cdc.LSN
	if saved := c.resumed.Load(); saved != nil {
		from = cdc.LSN(saved.LSN)
	}
	if from >= r.Position { // the slot was kept, and with it all that follows the checkpoint
		return nil
	}
	_, err = c.ledger.RecordIncident(ctx, ledger.Incident{
		Slot: c.slot, Kind: messagesLost, LSNFrom: uint64(from), LSNTo: uint64(r.Position),
		Detail: fmt.Sprintf("logical messages with prefix %q that were committed between %s and %s are gone with the slot, and no table has them; "+
			"when that is dealt with: update walpost.incident set resolved_at = now() where kind = '%s' and resolved_at is null;",
			c.messages, from, r.Position, messagesLost),
	})
	return err
}
