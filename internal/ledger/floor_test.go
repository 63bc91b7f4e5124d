package ledger

import (
	"testing"
	"time"
)

// The floor follows what claims bring, the bottom what looks find.
func TestFloorFollowsClaims(t *testing.T) {
	t.Parallel()
	start := time.Now()
	since := 0 * time.Second // the test's time
	now := func() time.Time { return start.Add(since) }
	// The ledger's clock is another.
	dbNow := func() time.Time { return now().Add(-time.Hour) }
	var f floors
	crm := []Capacity{{Webhook: "crm", Limit: 10}}
	looks := func(what string, want ...time.Time) {
		t.Helper()
		got := f.toLook(crm, now())
		if len(got) != len(want) || len(got) == 1 && !got[0].from.Equal(want[0]) {
			t.Errorf("%s: to be looked at: %v, want from %v", what, got, want)
		}
	}
	begins := func(what string, want time.Time) {
		t.Helper()
		if got := f.from(crm)[0]; !got.Equal(want) {
			t.Errorf("%s: claims begin at %s, want %s", what, got, want)
		}
	}
	zero := time.Time{}
	looks("at first", zero)
	old := dbNow().Add(-time.Hour)
	f.looked(claimRange{"crm", zero}, old, dbNow(), now())
	looks("just looked at")
	begins("after a look", old)
	f.claimed("crm", old.Add(time.Minute), true, now())
	begins("after a full claim", old.Add(time.Minute))
	f.claimed("crm", old.Add(2*time.Minute), false, now())
	begins("after one that took all", dbNow().Add(-floorAge))
	since += lookEvery
	f.claimed("crm", dbNow(), true, now())
	floor := dbNow().Add(-floorAge)
	begins("after a full claim of what has just become due", floor)

	looks("after a while", old)
	leased := old.Add(30 * time.Minute)
	f.looked(claimRange{"crm", old}, leased, dbNow(), now())
	begins("the next claim", leased)
	begins("the one after it", floor)
	f.claimed("crm", leased, true, now()) // ended leases
	begins("while there may be more ended leases", leased)
	f.claimed("crm", leased, false, now())
	since += lookEvery
	looks("after the next while", leased)
	f.looked(claimRange{"crm", leased}, zero, dbNow(), now())
	begins("once nothing is owed", dbNow().Add(-bottomAge))
	since += sweepEvery
	looks("after a long while", zero)
	f.looked(claimRange{"crm", zero}, zero, dbNow(), now())
	bottom := dbNow().Add(-bottomAge)
	since += lookEvery
	looks("then", bottom)
	f.looked(claimRange{"crm", bottom}, zero, dbNow().Add(-time.Minute), now())
	looks("when the ledger's clock was put back", zero)
	begins("when the ledger's clock was put back", zero)
}

// later makes the ledger's floors as old as they are after d.
func (f *fixture) later(d time.Duration) {
	for webhook, at := range f.floors.of {
		at.looked, at.swept = at.looked.Add(-d), at.swept.Add(-d)
		f.floors.of[webhook] = at
	}
}

// Dead entries below the floor are not walked over, and what is owed below it is found all the same.
func TestClaimLooksBelowItsFloor(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.fill(1000)
	if got := f.claim("crm", 400); len(got) != 400 {
		t.Fatalf("claimed %d, want 400", len(got))
	}
	f.db.Exec(t, `update walpost.delivery set leased_until = walpost.now() - interval '1 s'
		where id = (select id from walpost.delivery where leased_until is not null order by due_at limit 1)`)
	if got := f.claim("crm", 1000); len(got) != 100 {
		t.Errorf("claimed %d, want the hundred that are left above the floor", len(got))
	}
	f.later(lookEvery)
	if got := f.claim("crm", 1000); len(got) != 1 || got[0].Fence != 2 {
		t.Errorf("claimed %d, want the one whose lease has ended", len(got))
	}
	f.db.Exec(t, `update walpost.delivery set leased_until = null, due_at = walpost.now() - interval '2 hours'
		where id = (select id from walpost.delivery where leased_until is not null limit 1)`)
	f.later(lookEvery)
	if got := f.claim("crm", 1000); len(got) != 0 {
		t.Errorf("claimed %d from below the bottom", len(got))
	}
	f.later(sweepEvery)
	if got := f.claim("crm", 1000); len(got) != 1 || got[0].Fence != 2 {
		t.Errorf("claimed %d, want the one below the bottom", len(got))
	}
}

// However late it is recorded, nothing is due before now.
func TestNothingIsDueBeforeNow(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	late := delivery(event(1, 50), "crm", Pending)
	late.DueIn = -time.Hour
	failed := outcome(event(2, 50), "crm", 1, 0, Retrying, "retry")
	failed.DueIn = -time.Hour
	f.mustRecord(owed(event(1, 50), late), attempted(failed))
	claimed := f.claim("crm", 2)
	if len(claimed) != 2 {
		t.Fatalf("claimed %d", len(claimed))
	}
	for _, c := range claimed {
		again := outcome(c.Event, "crm", c.Attempt, c.Fence, Retrying, "retry")
		again.DueIn = -time.Hour
		f.mustRecord(attempted(again))
	}
	if n := value[int](f, "select count(*) from walpost.delivery where due_at >= created_at"); n != 2 {
		t.Errorf("%d of 2 are due at their time or later", n)
	}
}

// A claim changes no indexed column, so its row versions stay in their pages as long as these have room.
func TestClaimUpdatesInPlace(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.fill(1000)
	hot := `select n_tup_upd > 0 and n_tup_hot_upd = n_tup_upd
		from pg_stat_xact_user_tables where relname = 'delivery'`
	tx, err := f.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context()) //nolint:errcheck // the test is over
	rows, _ := tx.Query(t.Context(), claimSQL, []string{"hub"}, []int32{1}, []time.Duration{time.Minute}, int64(claimMaxBytes), []time.Time{{}},
		[]int32{1}, []int32{1})
	rows.Close()
	var inPlace bool
	if err := tx.QueryRow(t.Context(), hot).Scan(&inPlace); err != nil {
		t.Fatal(err)
	}
	if !inPlace {
		t.Error("the claim has written into indexes")
	}
}
