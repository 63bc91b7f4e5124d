package daemon

import (
	"errors"
	"testing"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/internal/ledger"
)

// A failover leaves one incident, and it is settled, also where the first connections to the new primary get no further than to
// take the checkpoint over: from then on that says that it is of the new timeline.
func TestFailoverIsRecordedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	d := r.start()
	r.insert(tagged("1"))
	r.receiver.want("1")
	r.until("select exists (select from walpost.checkpoint where lsn > '0/0' and snapshot is not null)")
	c := d.checkpointer
	saved, err := d.ledger.Checkpoint(t.Context(), c.slot)
	if err != nil {
		t.Fatal(err)
	}
	d.mustStop()

	book, err := ledger.Open(t.Context(), ledger.Options{ConnString: r.db.URL, Slot: c.slot})
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	next := &checkpointer{
		pipeline: &pipeline{ledger: book, log: c.log}, slot: c.slot, outbox: c.outbox, source: c.source,
	}
	if _, err := next.resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	promoted := cdc.Identity{SystemID: saved.SystemID, Timeline: saved.Timeline + 1, Start: cdc.LSN(saved.LSN), Coverage: "changed just now"}
	for range 2 {
		if err := next.acquired(t.Context(), promoted); !errors.Is(err, errChanged) {
			t.Fatalf("it gets further than it should: %v", err)
		}
		if _, err := next.resume(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	r.until("select count(*) = 1 and bool_and(kind = 'failover' and resolved_at is not null) from walpost.incident")
}
