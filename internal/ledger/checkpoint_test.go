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
