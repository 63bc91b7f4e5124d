package ledger

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDeliveriesAreFilteredAndPaged(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{Record: RecordAll})
	states := []State{Pending, Retrying, Parked, Failed}
	for n := range 12 {
		e := event(n, 50)
		f.mustRecord(
			owed(e, delivery(e, "crm", states[n%4])), // created_at differs from entry to entry
			attempted(outcome(e, "hub", 1, 0, Delivered, "delivered")),
		)
	}
	list := func(filter Filter) []DeliveryView {
		t.Helper()
		views, err := f.Deliveries(t.Context(), filter)
		if err != nil {
			t.Fatal(err)
		}
		return views
	}
	all := list(Filter{})
	if len(all) != 24 {
		t.Fatalf("%d deliveries, want 24", len(all))
	}
	if !slices.IsSortedFunc(all, func(a, b DeliveryView) int { return b.CreatedAt.Compare(a.CreatedAt) }) {
		t.Error("not newest first")
	}
	var paged []DeliveryView
	for page := list(Filter{Limit: 5}); len(page) > 0; page = list(Filter{Limit: 5, Before: page[len(page)-1].ID}) {
		paged = append(paged, page...)
	}
	if !slices.Equal(paged, all) {
		t.Error("the pages together are not the whole list")
	}
	for _, c := range []struct {
		filter Filter
		want   int
	}{
		{Filter{Webhook: "crm"}, 12},
		{Filter{Webhook: "hub", States: []State{Delivered}}, 12},
		{Filter{States: []State{Failed, Parked}}, 6},
		{Filter{EventID: event(3, 50).ID}, 2},
		{Filter{Topic: "contact.tagged"}, 24},
		{Filter{Topic: "contact.created"}, 0},
		{Filter{IDs: []string{all[3].ID, all[4].ID}}, 2},
		{Filter{Since: all[5].CreatedAt}, 6},
		{Filter{Since: time.Now().Add(time.Hour)}, 0},
	} {
		if got := list(c.filter); len(got) != c.want {
			t.Errorf("%+v gives %d deliveries, want %d", c.filter, len(got), c.want)
		}
	}
	for _, bad := range []Filter{{IDs: []string{"7"}}, {Before: "7"}} {
		if _, err := f.Deliveries(t.Context(), bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	if d, err := f.Delivery(t.Context(), deliveryID(event(99, 50), "crm")); d != nil || err != nil {
		t.Errorf("got %+v, %v for an unknown delivery", d, err)
	}
	if e, err := f.Event(t.Context(), "none"); e != nil || err != nil {
		t.Errorf("got %+v, %v for an unknown event", e, err)
	}
}

// A page of the newest must not cost a sort of all.
func TestDeliveriesUseIndexes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.fill(20_000)
	f.db.Exec(t, `insert into walpost.attempt
			(delivery_id, event_id, topic, webhook, n, at, verdict, class, duration_ms, replica, sole)
		select gen_random_uuid(), 'event-' || i, 'contact.tagged', 'crm', 1, now() - interval '1 microsecond' * i,
			'delivered', 'ok', 1, 'test', true from generate_series(1, 20000) i`)
	f.db.Exec(t, "vacuum analyze")
	list := func(ids []string, event *string) string {
		return explain(t, f.pool, strings.TrimSuffix(deliveriesSQL, "\n"), planned, ids, event, nil, nil, nil, nil, nil, 50)
	}
	id := value[string](f, "select id::text from walpost.delivery limit 1")
	name := "event-77"
	for what, plan := range map[string]string{
		"newest": list(nil, nil), "by id": list([]string{id}, nil), "by event": list(nil, &name),
	} {
		if strings.Contains(plan, "Seq Scan on delivery") || strings.Contains(plan, "Seq Scan on "+partitions(f)[0]) {
			t.Errorf("%s: a table is read whole:\n%s", what, plan)
		}
	}
}

// partitions names the daily partitions of the attempt log.
func partitions(f *fixture) []string {
	f.t.Helper()
	return value[[]string](f, `select coalesce(array_agg(relname::text order by relname), '{}') from pg_class
		where relnamespace = 'walpost'::regnamespace and relkind = 'r' and relname ~ '^attempt_[0-9]+$'`)
}

func TestReplayByFilter(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	calls := heard(t, f)
	ids := make(map[State]string)
	for i, s := range States() {
		ids[s] = f.put(i, s)
	}
	n, err := f.Replay(t.Context(), Filter{Webhook: "crm", States: []State{Failed}})
	if err != nil || n != 1 || f.state(ids[Failed]) != Pending {
		t.Errorf("replayed %d, %v; want the failed one", n, err)
	}
	<-calls
	n, err = f.Replay(t.Context(), Filter{Webhook: "crm"})
	if err != nil || n != 2 || f.state(ids[Parked]) != Pending || f.state(ids[Cancelled]) != Pending {
		t.Errorf("replayed %d, %v; want the parked and the cancelled one", n, err)
	}
	<-calls
	if f.state(ids[Delivered]) != Delivered || f.state(ids[Retrying]) != Retrying {
		t.Error("a delivered or retrying one was replayed without being named")
	}
	for _, filter := range []Filter{
		{Webhook: "crm"}, {Webhook: "none"}, {States: []State{Delivered}}, {IDs: []string{ids[Pending], ids[Retrying]}},
	} {
		if _, err := f.Replay(t.Context(), filter); !errors.Is(err, ErrNoMatch) {
			t.Errorf("%+v: got %v, want ErrNoMatch", filter, err)
		}
	}
	if n, err := f.Replay(t.Context(), Filter{IDs: []string{ids[Delivered]}}); err != nil || n != 1 {
		t.Errorf("replayed %d, %v; want the delivered one that was named", n, err)
	}
	<-calls
}

func TestReplayInChunks(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	const n = 2*chunk + 1
	f.fill(n)
	f.db.Exec(t, "update walpost.delivery set state = 'failed', finished_at = walpost.now()")
	if got, err := f.Replay(t.Context(), Filter{States: []State{Failed}}); err != nil || got != n {
		t.Fatalf("replayed %d, %v; want %d", got, err, n)
	}
	if got := value[int](f, "select count(*) from walpost.delivery where state = 'pending' and due_at <= now()"); got != n {
		t.Errorf("%d due, want %d", got, n)
	}
}

func TestViews(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{Record: RecordAll})
	for n, s := range []State{Pending, Parked, Parked, Failed, Delivered} {
		f.put(n, s)
	}
	e := event(9, 50)
	f.mustRecord(attempted(outcome(e, "crm", 1, 0, Retrying, "retry")),
		attempted(outcome(e, "hub", 1, 0, Delivered, "delivered")))
	row := value[string](f, `select format('%s %s %s %s %s %s %s', webhook, pending, retrying, parked, failed, last_class, last_status)
		from walpost.failing`)
	if row != "crm 1 1 2 1 status 500" {
		t.Errorf("walpost.failing is %q", row)
	}
	if n := f.count("deliveries"); n != 7 {
		t.Errorf("%d rows in walpost.deliveries, want 7", n)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	ctx := t.Context()
	s, err := f.Status(ctx, f.db.Name)
	if err != nil {
		t.Fatal(err)
	}
	if s.Checkpoint != nil || s.Slot != nil || len(s.Webhooks) != 0 || s.SchemaVersion != len(migrations) || s.Now.IsZero() {
		t.Errorf("status of an empty ledger is %+v", s)
	}

	f.db.Exec(t, fmt.Sprintf("select pg_create_logical_replication_slot('%s', 'pgoutput')", f.db.Name))
	if _, err := f.Acquire(ctx, f.db.Name, "7318", 1, 0); err != nil {
		t.Fatal(err)
	}
	for n, state := range []State{Pending, Parked, Parked, Failed} {
		f.put(n, state)
	}
	e := event(9, 50)
	f.mustRecord(quarantined(Quarantined{Event: e, Diagnostic: "bad"}))
	if err := f.Disable(ctx, "crm", Reason{By: "operator", Why: "maintenance"}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.RecordIncident(ctx, Incident{Kind: "slot_lost", Detail: "gone"}); err != nil {
		t.Fatal(err)
	}
	if s, err = f.Status(ctx, f.db.Name); err != nil {
		t.Fatal(err)
	}
	if s.Checkpoint == nil || s.Checkpoint.Epoch != 1 {
		t.Errorf("checkpoint is %+v", s.Checkpoint)
	}
	if s.Slot == nil || s.Slot.Active || s.Slot.WALStatus != "reserved" || s.Slot.ConfirmedFlush == 0 || s.Slot.RetainedBytes <= 0 {
		t.Errorf("slot is %+v", s.Slot)
	}
	if len(s.Webhooks) != 1 || fmt.Sprint(s.Webhooks[0].States) != "map[failed:1 parked:2 pending:1]" ||
		!s.Webhooks[0].OldestDue.Equal(s.OldestDue) || s.OldestDue.IsZero() {
		t.Errorf("webhooks are %+v", s.Webhooks)
	}
	if len(s.Disabled) != 1 || s.Disabled[0].Name != "crm" || s.Quarantined != 1 || len(s.Incidents) != 1 {
		t.Errorf("status is %+v", s)
	}
}

func TestIncidents(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	ctx := t.Context()
	var ids []int64
	for _, i := range []Incident{{Kind: "gap", LSNFrom: 5, LSNTo: 1 << 40, Detail: "a"}, {Kind: "slot_lost", Detail: "b"}} {
		id, err := f.RecordIncident(ctx, i)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	for range 2 {
		if err := f.ResolveIncident(ctx, ids[1]); err != nil {
			t.Fatal(err)
		}
	}
	open, err := f.Incidents(ctx, true, 0)
	if err != nil || len(open) != 1 || open[0].ID != ids[0] || open[0].LSNFrom != 5 || open[0].LSNTo != 1<<40 || !open[0].ResolvedAt.IsZero() {
		t.Errorf("open are %+v, %v", open, err)
	}
	all, err := f.Incidents(ctx, false, 0)
	if err != nil || len(all) != 2 || all[0].Kind != "slot_lost" || all[0].LSNFrom != 0 || all[0].ResolvedAt.IsZero() {
		t.Errorf("all are %+v, %v", all, err)
	}
}
