package ledger

import "testing"

// A loss is open until a checkpoint is at or above its end, and one whose end isn't known stays open.
func TestIncidentsOfASlotEndWithACheckpoint(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	ctx := t.Context()
	open := func(beyond uint64) int64 {
		t.Helper()
		i, err := f.OpenIncident(ctx, "walpost", []string{"slot_lost", "publication_lost"}, beyond)
		if err != nil {
			t.Fatal(err)
		}
		if i == nil {
			return 0
		}
		return i.ID
	}
	record := func(slot, kind string) int64 {
		t.Helper()
		id, err := f.RecordIncident(ctx, Incident{Slot: slot, Kind: kind, LSNFrom: 5, Detail: "gone"})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	bound := func(to uint64) {
		t.Helper()
		if err := f.BoundIncidents(ctx, "walpost", []string{"slot_lost"}, to, "7 rows"); err != nil {
			t.Fatal(err)
		}
	}
	settle := func(upTo uint64) {
		t.Helper()
		if err := f.SettleIncidents(ctx, "walpost", []string{"slot_lost"}, upTo); err != nil {
			t.Fatal(err)
		}
	}
	record("another", "slot_lost")
	record("walpost", "gap")
	if open(0) != 0 || open(100) != 0 {
		t.Error("others' incidents are taken for ours")
	}
	first := record("walpost", "slot_lost")
	settle(1 << 40)
	if open(0) != first || open(1<<40) != first {
		t.Error("an incident without an end was settled")
	}
	bound(1000)
	if open(0) != 0 || open(999) != first || open(1000) != 0 {
		t.Errorf("bounded at 1000: %d, %d, %d", open(0), open(999), open(1000))
	}
	second := record("walpost", "slot_lost") // lost again, before the first was over
	settle(1000)
	if open(0) != second || open(1<<40) != second {
		t.Error("the end of the first settled the second")
	}
	bound(2000)
	settle(1999)
	if open(1999) != second {
		t.Error("settled too early")
	}
	settle(2000)
	all, err := f.Incidents(ctx, false, 0)
	if err != nil || len(all) != 4 || all[0].Detail != "gone; 7 rows" || all[0].ResolvedAt.IsZero() || all[0].Slot != "walpost" {
		t.Errorf("all are %+v, %v", all, err)
	}
	if left, err := f.Incidents(ctx, true, 0); err != nil || len(left) != 2 {
		t.Errorf("open are %+v, %v", left, err)
	}
}

// All that a watermark sees was committed at or below its position.
func TestWatermarkIsAboveWhatItSees(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	ctx := t.Context()
	before, err := f.Watermark(ctx, Outbox{})
	if err != nil || before.LSN == 0 || before.Snapshot == "" {
		t.Fatalf("got %+v, %v", before, err)
	}
	var sees bool
	id, err := f.RecordIncident(ctx, Incident{Kind: "test", Detail: "x"})
	if err != nil {
		t.Fatal(err)
	}
	after, err := f.Watermark(ctx, Outbox{})
	if err != nil || after.LSN <= before.LSN {
		t.Fatalf("got %+v after %+v, %v", after, before, err)
	}
	const visible = "select pg_visible_in_snapshot(xmin::text::xid8, $2::text::pg_snapshot) from walpost.incident where id = $1"
	for mark, want := range map[Watermark]bool{before: false, after: true} {
		if err := f.pool.QueryRow(ctx, visible, id, mark.Snapshot).Scan(&sees); err != nil || sees != want {
			t.Errorf("%+v sees it: %t, %v", mark, sees, err)
		}
	}
}
