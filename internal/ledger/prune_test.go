package ledger

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const day = 24 * time.Hour

func (f *fixture) prune(retention time.Duration) Pruned {
	f.t.Helper()
	p, err := f.Prune(f.t.Context(), retention)
	if err != nil {
		f.t.Fatal(err)
	}
	return p
}

func TestPruneKeepsWhatIsOwedAndWhatItNeeds(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	ids := make(map[State]string)
	for i, s := range States() {
		ids[s] = f.put(i, s)
	}
	shared := event(50, 50) // one delivery finished, one owed
	f.mustRecord(owed(shared, delivery(shared, "crm", Delivered), delivery(shared, "hub", Pending)))
	quarantinedToo := event(51, 50)
	f.mustRecord(owed(quarantinedToo, delivery(quarantinedToo, "crm", Failed)),
		quarantined(Quarantined{Event: quarantinedToo, Rule: "vip", Diagnostic: "bad"}))
	if p := f.prune(7 * day); p != (Pruned{}) {
		t.Errorf("pruned %+v of what is new", p)
	}
	f.shift(8 * day)
	late := event(52, 50)
	f.mustRecord(owed(late, delivery(late, "crm", Failed)))
	p := f.prune(7 * day)
	if p.Deliveries != 5 || p.Events != 3 {
		t.Errorf("pruned %+v, want 5 deliveries and the 3 events that only these needed", p)
	}
	for s, id := range ids {
		want := s
		if s.Final() {
			want = Unrecorded
		}
		if got := f.state(id); got != want {
			t.Errorf("%q one is %q after pruning", s, got)
		}
	}
	for _, e := range []string{shared.ID, quarantinedToo.ID, late.ID} {
		if got, err := f.Event(t.Context(), e); err != nil || got == nil {
			t.Errorf("event %s is gone: %v", e, err)
		}
	}

	if _, err := f.ReplayQuarantined(t.Context(), Filter{}); err != nil {
		t.Fatal(err)
	}
	claim := f.claimQuarantined()[0]
	if err := f.ResolveQuarantined(t.Context(), claim.ID, claim.Fence); err != nil {
		t.Fatal(err)
	}
	f.shift(16 * day)
	if p := f.prune(7 * day); p.Quarantined != 1 || p.Events != 2 || p.Deliveries != 1 {
		t.Errorf("pruned %+v, want the resolved entry, the late delivery and their events", p)
	}
}

// An event that is about to get a delivery again is locked by the writer; pruning must neither wait for nor delete it.
func TestPruneSparesEventInUse(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	e := event(1, 50)
	f.mustRecord(owed(e, delivery(e, "crm", Failed)))
	f.shift(30 * day)
	err := pgx.BeginFunc(t.Context(), f.pool, func(tx pgx.Tx) error {
		b := newBatch([]waiting{{Entry: Owed{Event: e, Deliveries: []Delivery{delivery(e, "hub", Pending)}}}}, "", time.Now())
		if _, err := tx.Exec(t.Context(), eventInsertSQL, b.events.args()...); err != nil {
			return err
		}
		if _, err := f.Prune(t.Context(), 7*day); err == nil {
			t.Error("pruned an event that somebody has locked")
		}
		_, err := tx.Exec(t.Context(), owedInsertSQL, b.owed.args()...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	f.prune(7 * day)
	if got := f.claim("hub", 1); len(got) != 1 || got[0].Event.ID != e.ID {
		t.Errorf("claimed %+v, want the delivery with its event", got)
	}
}

func TestPruneRollsDays(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	attempt := func(n int) {
		t.Helper()
		f.mustRecord(attempted(outcome(event(n, 50), "crm", 1, 0, Retrying, "retry")))
	}
	first := partitions(f)
	if len(first) != partitionsAhead+1 {
		t.Fatalf("partitions are %v, want today's and %d ahead", first, partitionsAhead)
	}
	attempt(1)
	f.shift(6 * day) // pruning was off for longer than there were partitions
	attempt(2)
	if n := f.count("attempt_default"); n != 1 {
		t.Fatalf("%d attempts in the default partition, want the one of day 6", n)
	}
	p := f.prune(2 * day)
	if p.Partitions != len(first) || p.Attempts != 0 {
		t.Errorf("pruned %+v, want the %d days before", p, len(first))
	}
	if got := partitions(f); len(got) != partitionsAhead || slices.Contains(got, first[3]) {
		t.Errorf("partitions are %v, want the days after day 6", got)
	}
	attempt(3)
	f.shift(9 * day)
	attempt(4)
	if p := f.prune(2 * day); p.Attempts != 2 {
		t.Errorf("pruned %+v, want the two of day 6 from the default partition", p)
	}
	if n := f.count("attempt"); n != 1 {
		t.Errorf("%d attempts left, want one", n)
	}
	if n := f.count("delivery"); n != 4 {
		t.Errorf("%d deliveries left, want all that are owed", n)
	}
}

// Retention is never so short that what happens now is deleted.
func TestPruneHasLeastRetention(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.put(1, Failed)
	f.shift(30 * time.Minute)
	if p := f.prune(0); p.Deliveries != 0 {
		t.Errorf("pruned %+v", p)
	}
}

func TestPruneConcurrently(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	var entries []func(func(error)) Entry
	for n := range 500 {
		e := event(n, 50)
		entries = append(entries, owed(e, delivery(e, "crm", Failed)))
	}
	f.mustRecord(entries...)
	f.shift(30 * day)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := f.Prune(t.Context(), 7*day); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if f.count("delivery") != 0 || f.count("event") != 0 {
		t.Errorf("%d deliveries and %d events are left", f.count("delivery"), f.count("event"))
	}
}
