package daemon

import (
	"fmt"
	"strconv"
	"testing"
)

// Where one slot is not enough, the leaves of an outbox that is partitioned by hash are streamed by a daemon each; the
// application goes on to insert into the whole. All share the ledger, and the webhooks' state in it.
func TestShardsOfAPartitionedOutbox(t *testing.T) {
	t.Parallel()
	const shards, events = 2, 100
	webhook := `
webhook "hook" {
  topics = ["*"]
  url    = "{url}/hook"
}
outbox {
  table       = "public.outbox_%d"
  slot        = "%s_%d"
  publication = "shard_%d"
}
`
	r := newRig(t, webhook)
	r.db.Exec(t, `drop publication if exists walpost; drop table outbox;
		create table outbox (id uuid not null default gen_random_uuid(), aggregate_type text not null, aggregate_id text not null,
			event_type text not null, payload jsonb not null, headers jsonb, created_at timestamptz not null default now())
			partition by hash (aggregate_id)`)
	daemons := make([]*running, shards)
	for i := range shards {
		r.db.Exec(t, fmt.Sprintf(`create table outbox_%d partition of outbox for values with (modulus %d, remainder %d)`, i, shards, i))
		r.edit(fmt.Sprintf(webhook, i, r.db.Name, i, i))
		daemons[i] = r.start()
	}
	for i := range events {
		r.insert(tagged(strconv.Itoa(i)))
	}
	seen := map[string]bool{}
	for range events {
		seen[r.receiver.next().id] = true
	}
	if len(seen) != events {
		t.Errorf("%d different events arrived, want %d", len(seen), events)
	}
	for i, d := range daemons {
		d.mustStop()
		if rows := d.Status().Stream.Rows; rows < events/10 || rows > events*9/10 {
			t.Errorf("shard %d streamed %d of %d rows", i, rows, events)
		}
	}
	r.receiver.none()
}
