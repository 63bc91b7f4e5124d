package ledger

import (
	"errors"
	"testing"
)

func TestCheckpoint(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	ctx := t.Context()
	if c, err := f.Checkpoint(ctx, "walpost"); c != nil || err != nil {
		t.Fatalf("got %+v, %v before the first start", c, err)
	}
	epoch, err := f.Acquire(ctx, "walpost", "7318", 1, 0)
	if err != nil || epoch != 1 {
		t.Fatalf("acquired epoch %d, %v", epoch, err)
	}
	saved := Checkpoint{
		Slot: "walpost", LSN: 0xA_0000_BEEF, SystemID: "7318", Timeline: 1, Epoch: 1,
		Snapshot: "10:20:10,14,15", SnapshotLSN: 0xA_0000_B000, Counters: Counters{Events: 1 << 60, Duplicates: 2},
	}
	if err := f.SaveCheckpoint(ctx, saved); err != nil {
		t.Fatal(err)
	}
	got := f.checkpoint(t)
	if got.UpdatedAt.IsZero() || got.EpochAt.IsZero() {
		t.Error("no time")
	}
	saved.UpdatedAt, saved.EpochAt = got.UpdatedAt, got.EpochAt
	if got != saved {
		t.Errorf("got %+v, want %+v", got, saved)
	}

	back := saved
	back.LSN, back.Snapshot, back.Counters.Events = 5, "", 7
	if err := f.SaveCheckpoint(ctx, back); err != nil {
		t.Fatal(err)
	}
	if got = f.checkpoint(t); got.LSN != saved.LSN || got.Snapshot != saved.Snapshot || got.SnapshotLSN != saved.SnapshotLSN {
		t.Errorf("got %+v, want position and snapshot of %+v kept", got, saved)
	}
	if got.Counters.Events != 7 {
		t.Errorf("counters are %+v", got.Counters)
	}
}

func TestCheckpointIsFencedByEpoch(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	ctx := t.Context()
	old := Checkpoint{Slot: "walpost", LSN: 100, Timeline: 1, Epoch: 1}
	if err := f.SaveCheckpoint(ctx, old); !errors.Is(err, ErrFenced) {
		t.Errorf("got %v for a slot that nobody acquired, want ErrFenced", err)
	}
	for want := range int64(2) {
		if epoch, err := f.Acquire(ctx, "walpost", "7318", int32(want)+1, 0); err != nil || epoch != want+1 {
			t.Fatalf("acquired epoch %d, %v; want %d", epoch, err, want+1)
		}
	}
	if err := f.SaveCheckpoint(ctx, old); !errors.Is(err, ErrFenced) {
		t.Errorf("got %v in an old epoch, want ErrFenced", err)
	}
	if c := f.checkpoint(t); c.LSN != 0 || c.Timeline != 2 || c.Epoch != 2 {
		t.Errorf("checkpoint is %+v, want the new owner's", c)
	}
}

// Positions of an old primary mean nothing on the one that was promoted, whose copy of the checkpoint has the same epoch.
func TestCheckpointIsFencedByTimeline(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	const other = 2 // the server has never failed over
	epoch, err := f.Acquire(t.Context(), "walpost", "7318", other, 0)
	if err != nil {
		t.Fatal(err)
	}
	err = f.SaveCheckpoint(t.Context(), Checkpoint{Slot: "walpost", LSN: 100, Timeline: other, Epoch: epoch})
	if !errors.Is(err, ErrFenced) {
		t.Errorf("got %v on another timeline, want ErrFenced", err)
	}
	if c := f.checkpoint(t); c.LSN != 0 {
		t.Errorf("checkpoint is %+v", c)
	}
}

func (f *fixture) checkpoint(t *testing.T) Checkpoint {
	t.Helper()
	c, err := f.Checkpoint(t.Context(), "walpost")
	if err != nil || c == nil {
		t.Fatalf("got %+v, %v", c, err)
	}
	return *c
}

// A recovery is closed by what the ledger has of it: the walk that is over, for the snapshot that is there, and no other loss.
func TestCloseRecovery(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	ctx := t.Context()
	const before, after = "10:20:10,14", "30:30:"
	ended := func(gap, since string) string {
		return `{"gap": "` + gap + `", "since": "` + since + `", "first": "` + after + `", "end": 1000}`
	}
	losses := []string{"slot_lost"}
	mark := Watermark{Snapshot: after, LSN: 1000, Coverage: "16 9"}
	for name, test := range map[string]struct {
		walk   string // that the ledger has
		again  bool   // lost again
		bound  uint64
		closed bool
		open   int
	}{
		"over":                {walk: ended(before, before), bound: 1000, closed: true},
		"over, a second walk": {walk: ended("3:3:", before), bound: 900, closed: true},
		"another gap":         {walk: ended("3:3:", "3:3:"), bound: 1000},
		"another walk":        {walk: `{"gap": "` + before + `", "first": "40:40:"}`, bound: 1000},
		"no end yet":          {walk: ended(before, before), open: 1},
		"lost again":          {walk: ended(before, before), bound: 1000, again: true, open: 1},
	} {
		epoch, err := f.Acquire(ctx, name, "7318", 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		saved := Checkpoint{Slot: name, LSN: 500, Timeline: 1, Epoch: epoch, Snapshot: before, SnapshotLSN: 400, Coverage: "16 8"}
		if err := f.SaveCheckpoint(ctx, saved); err != nil {
			t.Fatal(err)
		}
		saved.Snapshot, saved.Walk = "", test.walk
		if err := f.SaveCheckpoint(ctx, saved); err != nil {
			t.Fatal(err)
		}
		record := func() {
			if _, err := f.RecordIncident(ctx, Incident{Slot: name, Kind: "slot_lost", LSNFrom: 500, Detail: "gone"}); err != nil {
				t.Fatal(err)
			}
		}
		record()
		if test.bound != 0 {
			if err := f.BoundIncidents(ctx, name, losses, test.bound, "7 rows"); err != nil {
				t.Fatal(err)
			}
		}
		if test.again {
			record()
		}
		over := test.walk
		if name == "another walk" {
			over = ended(before, before)
		}
		closed, err := f.CloseRecovery(ctx, name, losses, over, mark)
		if err != nil || closed != test.closed {
			t.Errorf("%s: closed %t, %v", name, closed, err)
		}
		got, err := f.Checkpoint(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		took := got.Snapshot == after && got.SnapshotLSN == 1000 && got.Coverage == mark.Coverage && got.Walk == "" && got.LSN == 500
		stayed := got.Snapshot == before && got.SnapshotLSN == 400 && got.Coverage == "16 8" && got.Walk != ""
		if took != test.closed || stayed == test.closed {
			t.Errorf("%s: the checkpoint is %+v", name, got)
		}
		var open int
		if err := f.pool.QueryRow(ctx, "select count(*) from walpost.incident where slot = $1 and resolved_at is null", name).Scan(&open); err != nil || open != test.open {
			t.Errorf("%s: %d incidents are open, %v", name, open, err)
		}
	}
}
