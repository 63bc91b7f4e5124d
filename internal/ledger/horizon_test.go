package ledger

import (
	"testing"
	"time"
)

// advance saves a checkpoint whose snapshot has this lower end.
func (f *fixture) advance(slot, xmin string) {
	f.t.Helper()
	epoch, err := f.Acquire(f.t.Context(), slot, "system-1", 1, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	snapshot := ""
	if xmin != "" {
		snapshot = xmin + ":" + xmin + ":"
	}
	if err := f.SaveCheckpoint(f.t.Context(), Checkpoint{Slot: slot, Timeline: 1, Epoch: epoch, LSN: 1, Snapshot: snapshot}); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) note(retention time.Duration) {
	f.t.Helper()
	if err := f.NoteHorizon(f.t.Context(), "s", retention); err != nil {
		f.t.Fatal(err)
	}
}

// expectHorizon asks for that of slot "s".
func (f *fixture) expectHorizon(when string, retention time.Duration, want int64) {
	f.t.Helper()
	got, err := f.Horizon(f.t.Context(), "s", retention)
	if err != nil || got != want {
		f.t.Errorf("%s: horizon %d, %v; want %d", when, got, err, want)
	}
}

func TestHorizonIsWhereTheCheckpointWasARetentionAgo(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.note(day)
	f.expectHorizon("without a checkpoint", day, 0)
	f.advance("s", "")
	f.note(day)
	f.expectHorizon("without a snapshot", day, 0)
	f.advance("s", "100")
	f.note(day)
	f.expectHorizon("just now", day, 0)
	f.shift(23 * time.Hour)
	f.advance("s", "200")
	f.note(day)
	f.note(day) // it stands still
	f.expectHorizon("a day later, nearly", day, 0)
	f.expectHorizon("with another retention", time.Hour, 100)
	f.shift(25 * time.Hour)
	f.advance("s", "300")
	f.note(day)
	f.expectHorizon("a day later", day, 100)
	f.shift(48 * time.Hour)
	f.note(day)
	f.expectHorizon("two days later", day, 200)
	if n := f.count("horizon"); n != 2 {
		t.Errorf("%d samples are kept, want the newest old one and the one after it", n)
	}
	f.shift(30 * day)
	f.note(day)
	f.expectHorizon("at last", day, 300)
	if n := f.count("horizon"); n != 1 {
		t.Errorf("%d samples are kept", n)
	}
}

func TestHorizonIsNothingWhileInDoubt(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.advance("s", "100")
	f.note(day)
	f.shift(2 * day)
	f.expectHorizon("in peace", day, 100)

	id, err := f.RecordIncident(t.Context(), Incident{Slot: "s", Kind: "slot_lost"})
	if err != nil {
		t.Fatal(err)
	}
	f.expectHorizon("with an open incident", day, 0)
	if err := f.ResolveIncident(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	f.expectHorizon("when it is resolved", day, 100)

	f.advance("other", "50")
	f.expectHorizon("with a checkpoint whose slot is gone", day, 100)
	f.db.Exec(t, "update walpost.checkpoint set slot = '"+f.db.Name+"' where slot = 'other'")
	f.db.Exec(t, "select pg_create_physical_replication_slot('"+f.db.Name+"')")
	f.expectHorizon("with another reader, which isn't as far", day, 50)
	f.db.Exec(t, "update walpost.checkpoint set snapshot = null where slot = '"+f.db.Name+"'")
	f.expectHorizon("with another reader that has resolved nothing yet", day, 0)
	f.db.Exec(t, "update walpost.checkpoint set slot = 'poller', snapshot = '60:60:', coverage = 'polled' where slot = '"+f.db.Name+"'")
	f.expectHorizon("with another one that polls, and has no slot", day, 60)
	f.db.Exec(t, "update walpost.checkpoint set slot = '"+f.db.Name+"' where slot = 'poller'")
	f.db.Exec(t, "delete from walpost.checkpoint where slot = '"+f.db.Name+"'")

	f.db.Exec(t, "update walpost.checkpoint set system_id = 'system-2'")
	f.expectHorizon("on another system", day, 0)
	f.db.Exec(t, "update walpost.checkpoint set system_id = 'system-1'")
	f.expectHorizon("back on its own", day, 100)
	f.db.Exec(t, "update walpost.horizon set xid = 1125899906842724; update walpost.checkpoint set snapshot = '1125899906842724:1125899906842724:'")
	f.expectHorizon("of a future that this server hasn't seen", day, 0)
}

func TestCancelHeld(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	old := event(1, 50)
	f.mustRecord(owed(old, delivery(old, "gone", Parked), delivery(old, "crm", Pending)))
	f.shift(6 * day)
	if n, err := f.CancelHeld(t.Context(), 7*day); err != nil || n != 0 {
		t.Errorf("too soon: %d, %v", n, err)
	}
	f.shift(8 * day)
	young := event(2, 50)
	f.mustRecord(owed(young, delivery(young, "gone", Parked)))
	if n, err := f.CancelHeld(t.Context(), 7*day); err != nil || n != 1 {
		t.Errorf("got %d, %v", n, err)
	}
	for id, want := range map[string]State{
		deliveryID(old, "gone"): Cancelled, deliveryID(old, "crm"): Pending, deliveryID(young, "gone"): Parked,
	} {
		if got := f.view(id).State; got != want {
			t.Errorf("%s is %s, want %s", id, got, want)
		}
	}
	if class := value[string](f, "select last_class from walpost.delivery where state = 'cancelled'"); class != ClassHeld {
		t.Errorf("class %q", class)
	}
	if f.prune(7 * day); f.view(deliveryID(old, "gone")).State != Cancelled {
		t.Error("it is gone already")
	}
	if n, err := f.Replay(t.Context(), Filter{IDs: []string{deliveryID(old, "gone")}}); err != nil || n != 1 {
		t.Errorf("replay: %d, %v", n, err)
	}
}
