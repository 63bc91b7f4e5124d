package ledger

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestFloorFollowsClaims(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f floors
		capacities := []Capacity{{Webhook: "crm"}, {Webhook: "hub"}}
		expect := func(what string, crm, hub time.Time) {
			t.Helper()
			if from := f.from(capacities, time.Now()); !from[0].Equal(crm) || !from[1].Equal(hub) {
				t.Errorf("%s: claims begin at %s, want %s and %s", what, from, crm, hub)
			}
		}
		none, now := time.Time{}, time.Now() // the ledger's clock may be another, as here, where it stands still
		expect("at first", none, none)
		f.raise("crm", now.Add(-time.Hour), now)
		expect("after a claim of old deliveries", now.Add(-time.Hour), none)
		f.raise("crm", now.Add(-2*time.Hour), now)
		expect("after one that ended late", now.Add(-time.Hour), none)
		f.raise("hub", now, now)
		expect("after a claim of what is due now", now.Add(-time.Hour), now.Add(-floorAge))
		time.Sleep(floorLasts)
		expect("after a while", none, none)
	})
}

// Dead entries below the floor are not walked over, and what becomes due below it is found all the same.
func TestClaimLooksBelowItsFloor(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.fill(1000)
	if got := f.claim("crm", 400); len(got) != 400 {
		t.Fatalf("claimed %d, want 400", len(got))
	}
	f.db.Exec(t, `update walpost.delivery set leased_until = null, due_at = walpost.now() - interval '2 hours'
		where id = (select id from walpost.delivery where leased_until is not null limit 1)`)
	if got := f.claim("crm", 1000); len(got) != 100 {
		t.Errorf("claimed %d, want the hundred that are left above the floor", len(got))
	}
	f.floors.of["crm"] = floor{looked: time.Now().Add(-floorLasts)} // as if time had passed
	if got := f.claim("crm", 1000); len(got) != 1 || got[0].Fence != 2 {
		t.Errorf("claimed %d, want the one below the floor", len(got))
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
