package ledger

import (
	"context"
	"errors"
	"testing"
	"time"
)

const slot = "walpost"

func (f *fixture) acquire(mine int64) int64 {
	f.t.Helper()
	epoch, err := f.Acquire(f.t.Context(), slot, "7318", 1, mine)
	if err != nil {
		f.t.Fatal(err)
	}
	return epoch
}

func TestOwnerKeepsItsEpochUntilAnotherAcquires(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	first := f.acquire(0)
	began := f.checkpoint(t).EpochAt
	if again := f.acquire(first); again != first || !f.checkpoint(t).EpochAt.Equal(began) {
		t.Errorf("epoch %d became %d when its owner came back", first, again)
	}
	second := f.acquire(0)
	if second != first+1 || !f.checkpoint(t).EpochAt.After(began) {
		t.Errorf("epoch %d, want %d for another owner, and its time", second, first+1)
	}
	if third := f.acquire(first); third != second+1 {
		t.Errorf("epoch %d for who came back too late, want %d", third, second+1)
	}
}

// What a daemon says of the stream after another has acquired the slot is refused as a whole, whatever it is; what it
// says of deliveries that it has claimed goes through, in the same batch too.
func TestEntriesOfAnOldEpochAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{Slot: slot, Record: RecordAll, BatchDelay: 200 * time.Millisecond})
	mine := event(1, 200)
	f.mustRecord(owed(mine, delivery(mine, "crm", Pending)))
	claimed := f.claim("crm", 1)[0]
	old := f.acquire(0)
	e := event(2, 200)
	f.mustRecord(func(done func(error)) Entry {
		return Owed{Epoch: old, Event: e, Deliveries: []Delivery{delivery(e, "in time", Pending)}, Done: done}
	})
	f.acquire(0)

	of := func(a Attempted) func(func(error)) Entry {
		a.Epoch = old
		return attempted(a)
	}
	gone := outcome(e, "gone", 1, 0, Parked, "gone")
	gone.Disable = &Reason{By: "endpoint", Why: "answered 410 Gone"}
	captured := outcome(e, "captured", 1, 0, Delivered, "delivered")
	captured.Captures = []Capture{{Key: "k", Value: `"late"`}}
	errs := f.record(
		attempted(outcome(mine, "crm", 1, claimed.Fence, Delivered, "delivered")),
		func(done func(error)) Entry {
			return Owed{Epoch: old, Event: e, Deliveries: []Delivery{delivery(e, "late", Pending)}, Done: done}
		},
		of(outcome(e, "retrying", 1, 0, Retrying, "retry")),
		of(outcome(e, "sole", 1, 0, Delivered, "delivered")),
		of(gone), of(captured),
		quarantined(Quarantined{Epoch: old, Event: e, Rule: "r", Diagnostic: "no"}),
	)
	if errs[0] != nil {
		t.Errorf("the outcome of a claim: %v", errs[0])
	}
	for i, err := range errs[1:] {
		if !errors.Is(err, ErrFenced) {
			t.Errorf("entry %d: got %v, want ErrFenced", i+1, err)
		}
	}
	if d := f.view(claimed.ID); d.State != Delivered {
		t.Errorf("the claimed delivery is %s", d.State)
	}
	if d := f.view(deliveryID(e, "in time")); d.State != Pending {
		t.Errorf("what was recorded in time is %s", d.State)
	}
	for table, want := range map[string]int{"delivery": 2, "attempt": 1, "webhook": 0, "quarantine": 0, "capture": 0} {
		if n := f.count(table); n != want {
			t.Errorf("%d rows in %s, want %d", n, table, want)
		}
	}
}

// A new owner sees all that the one before has recorded, also what was just being committed.
func TestAcquireWaitsForWhatIsBeingRecorded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{Slot: slot})
	old := f.acquire(0)
	e := event(1, 200)
	late := delivery(e, "crm", Pending)
	ctx := t.Context()
	tx, err := f.pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // committed below
	var rows deliveryRows
	rows.add(e, &late, 0)
	if _, err := tx.Exec(ctx, owedInsertSQL, rows.args()...); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, fenceSQL, slot, old); err != nil {
		t.Fatal(err)
	}
	known := make(chan map[string]State, 1)
	go func() {
		defer close(known)
		if _, err := f.Acquire(ctx, slot, "7318", 1, 0); err != nil {
			t.Errorf("acquire: %v", err)
		}
		states, err := f.Known(ctx, []string{late.ID})
		if err != nil {
			t.Errorf("look up: %v", err)
		}
		known <- states
	}()
	for !value[bool](f, `select exists (select from pg_locks where not granted and pid in
		(select pid from pg_stat_activity where datname = current_database()))`) {
		value[bool](f, "select pg_sleep(0.01) is null")
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if states := <-known; states[late.ID] != Pending {
		t.Errorf("the new owner knows %v", states)
	}
}

// Entries of two epochs are not of one transaction: what is refused takes nothing with it.
func TestEpochsDoNotMix(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{Slot: slot, BatchDelay: 200 * time.Millisecond})
	old := f.acquire(0)
	f.mustRecord(owed(event(1, 200), delivery(event(1, 200), "crm", Pending))) // the next ones wait for each other
	now := f.acquire(0)
	var entries []func(func(error)) Entry
	for i := range 6 {
		e, epoch := event(10+i, 200), []int64{old, now}[i%2]
		entries = append(entries, func(done func(error)) Entry {
			return Owed{Epoch: epoch, Event: e, Deliveries: []Delivery{delivery(e, "crm", Pending)}, Done: done}
		})
	}
	for i, err := range f.record(entries...) {
		if refused := errors.Is(err, ErrFenced); refused != (i%2 == 0) {
			t.Errorf("entry %d: %v", i, err)
		}
	}
	if n := f.count("delivery"); n != 4 {
		t.Errorf("%d deliveries, want 4", n)
	}
}

func TestEpochNeedsASlot(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	if err := f.Submit(t.Context(), Owed{Epoch: 1, Event: event(1, 1)}); err == nil {
		t.Error("an epoch of no slot was taken")
	}
}

// A 410 that a frozen daemon brings after its claim has ended says nothing about the endpoint of now.
func TestOldAnswerDisablesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	e := event(1, 200)
	f.mustRecord(owed(e, delivery(e, "crm", Pending)))
	old := f.claim("crm", 1)[0]
	f.shift(time.Minute) // its lease ends
	claim := f.claim("crm", 1)[0]
	gone := outcome(e, "crm", 1, old.Fence, Parked, "gone")
	gone.Disable = &Reason{By: "endpoint", Why: "answered 410 Gone"}
	if err := f.record(attempted(gone))[0]; !errors.Is(err, ErrFenced) {
		t.Errorf("got %v, want ErrFenced", err)
	}
	if n := f.count("webhook where disabled_at is not null"); n != 0 {
		t.Error("the old answer has disabled the webhook")
	}
	gone.Fence = claim.Fence
	f.mustRecord(attempted(gone))
	if n := f.count("webhook where disabled_at is not null"); n != 1 {
		t.Error("the answer of now has not disabled the webhook")
	}
}
