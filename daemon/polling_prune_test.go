package daemon

import (
	"context"
	"testing"
	"time"

	"github.com/walpost/walpost/outbox"
)

// Rows are pruned a retention after polling has delivered them. One that is committed late, under a low id, is delivered before it goes,
// also by a walpost that starts after others would have gone; the rows of whoever else polls stay as long as it doesn't come.
func TestPollingPrunesWhatItHasDelivered(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	r.poll()
	d := r.start(keeping(time.Second))
	tx, err := r.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background()) //nolint:errcheck // it was committed
	if err := outbox.Insert(t.Context(), tx, tagged("late")); err != nil {
		t.Fatal(err)
	}
	r.insert(tagged("1"))
	r.receiver.want("1")
	d.mustStop()
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	var slept bool
	r.scan("select pg_sleep(1.2) is null", nil, &slept) // more than the retention
	r.start(keeping(time.Second), func(o *Options) { o.ParkAfter = time.Hour })
	r.receiver.want("late")

	r.db.Exec(t, `insert into walpost.checkpoint (slot, lsn, system_id, timeline, epoch, snapshot, snapshot_lsn, coverage, counters, updated_at)
		select 'elsewhere', lsn, system_id, timeline, epoch, pg_current_snapshot(), snapshot_lsn, coverage, counters, updated_at from walpost.checkpoint`)
	r.insert(tagged("unseen elsewhere"))
	r.receiver.want("unseen elsewhere")
	r.prunedWhere("aggregate_id in ('1', 'late')")
	if n := r.count("public.outbox where aggregate_id = 'unseen elsewhere'"); n != 1 {
		t.Error("a row was deleted that somebody else polls, and hasn't seen")
	}
	r.db.Exec(t, "delete from walpost.checkpoint where slot = 'elsewhere'")
	r.prunedWhere("aggregate_id = 'unseen elsewhere'")
}
