package ledger

import (
	"fmt"
	"strings"
	"testing"
)

// Counting ends at CountLimit, which the count says, and reads no more than it counts.
func TestStatusCountsAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	for state, n := range map[State]int{Pending: 2 * CountLimit, Parked: CountLimit - 1, Failed: 2 * CountLimit, Delivered: 3} {
		f.db.Exec(t, `insert into walpost.delivery (id, event_id, topic, webhook, state, due_at, created_at, updated_at, finished_at)
			select gen_random_uuid(), i, 't', 'crm', $1, now(), now(), now(), case when $1 in ('failed', 'delivered') then now() end
			from generate_series(1, $2::int) i`, state, n)
	}
	f.db.Exec(t, `insert into walpost.delivery (id, event_id, topic, webhook, state, due_at, created_at, updated_at)
		values (gen_random_uuid(), 1, 't', 'hub', 'retrying', now(), now(), now())`)
	f.db.Exec(t, `insert into walpost.delivery
			(id, event_id, topic, webhook, state, due_at, created_at, updated_at, order_key, order_lsn, order_n, held)
		values (gen_random_uuid(), 1, 't', 'hub', 'pending', 'infinity', now(), now(), 'k', '0/1', 1, true)`)
	f.db.Exec(t, "vacuum analyze walpost.delivery")
	s, err := f.Status(t.Context(), "none")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range s.Webhooks {
		got = append(got, fmt.Sprint(w.Webhook, " ", w.States, w.Uncounted))
	}
	want := "crm map[delivered:3 failed:10000 parked:9999 pending:10000] map[failed:true pending:true], hub map[pending:1 retrying:1] map[]"
	if strings.Join(got, ", ") != want {
		t.Errorf("counts are\n%s\nwant\n%s", strings.Join(got, ", "), want)
	}
	plan := explain(t, f.pool, statusWebhooksSQL, CountLimit)
	for _, index := range []string{"delivery_due", "delivery_parked", "delivery_finished"} {
		if !strings.Contains(plan, " "+index) {
			t.Errorf("index %s is not used", index)
		}
	}
	if strings.Contains(plan, "Seq Scan on delivery") {
		t.Errorf("the table is read whole:\n%s", plan)
	}
}
