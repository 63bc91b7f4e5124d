package ledger

import (
	"context"
	"testing"
	"time"
)

// heard listens in the background and gives a channel that tells of each call.
func heard(t *testing.T, f *fixture) <-chan struct{} {
	t.Helper()
	calls := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Listen(ctx, func() { calls <- struct{}{} }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	<-calls // listens
	return calls
}

func TestGoneDisablesAndParks(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	calls := heard(t, f)
	first, second := event(1, 50), event(2, 50)
	waiting := delivery(first, "crm", Pending)
	waiting.DueIn = time.Hour
	f.mustRecord(owed(first, waiting, delivery(first, "hub", Pending)))
	gone := outcome(second, "crm", 1, 0, Parked, "gone")
	gone.Status, gone.Disable = 410, &Reason{By: "endpoint", Why: "answered 410 Gone"}
	f.mustRecord(attempted(gone))
	<-calls

	states, err := f.Webhooks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	crm := states["crm"]
	if crm.Enabled() || crm.Reason != *gone.Disable || !states["hub"].Enabled() {
		t.Errorf("webhooks are %+v", states)
	}
	if d := f.view(gone.ID); d.State != Parked || d.Attempts != 1 || d.LastStatus != 410 || len(d.Log) != 1 {
		t.Errorf("delivery is %+v, want it parked", d)
	}
	if n, err := f.ParkWaiting(t.Context(), "crm"); err != nil || n != 1 {
		t.Errorf("parked %d, %v; want the one that waited", n, err)
	}
	if n, err := f.ParkWaiting(t.Context(), "hub"); err != nil || n != 0 {
		t.Errorf("parked %d, %v of an enabled webhook", n, err)
	}
	if d := f.view(waiting.ID); d.State != Parked {
		t.Errorf("delivery is %+v, want it parked", d)
	}
	again := Reason{By: "operator", Why: "later"}
	if err := f.Disable(t.Context(), "crm", again); err != nil {
		t.Fatal(err)
	}
	<-calls
	if states, err = f.Webhooks(t.Context()); err != nil || states["crm"] != crm {
		t.Errorf("webhook is %+v, want the first reason: %+v", states["crm"], crm)
	}
}

func TestGoneOnRetryParks(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	e := event(1, 50)
	f.mustRecord(owed(e, delivery(e, "crm", Pending)))
	gone := outcome(e, "crm", 1, f.claim("crm", 1)[0].Fence, Parked, "gone")
	gone.Disable = &Reason{By: "endpoint", Why: "answered 410 Gone"}
	f.mustRecord(attempted(gone))
	if d := f.view(gone.ID); d.State != Parked || d.Attempts != 1 {
		t.Errorf("delivery is %+v, want it parked", d)
	}
}

func TestEnableReleasesWithReplay(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	calls := heard(t, f)
	const n = chunk + 500
	f.fill(2 * n)
	if err := f.Disable(t.Context(), "crm", Reason{By: "operator", Why: "maintenance"}); err != nil {
		t.Fatal(err)
	}
	<-calls
	if parked, err := f.ParkWaiting(t.Context(), "crm"); parked != n || err != nil {
		t.Fatal(parked, err)
	}
	if got := value[int](f, "select count(*) from walpost.delivery where state = 'parked'"); got != n {
		t.Fatalf("%d parked, want %d", got, n)
	}

	if released, err := f.Enable(t.Context(), "crm", false); err != nil || released != 0 {
		t.Fatalf("released %d, %v without replay", released, err)
	}
	<-calls
	if got := f.claim("crm", 10); len(got) != 0 {
		t.Errorf("claimed %d, want parked ones to stay", len(got))
	}
	released, err := f.Enable(t.Context(), "crm", true)
	if err != nil || released != n {
		t.Fatalf("released %d, %v; want %d", released, err, n)
	}
	<-calls
	claimed := f.claim("crm", n+1)
	if len(claimed) != n || claimed[0].Attempt != 1 || claimed[0].State != Pending {
		t.Errorf("claimed %d, want all %d", len(claimed), n)
	}
}

// Two daemons: one attempts while the other hears 410. What the attempt achieved counts, whatever else is parked.
func TestOutcomeWhileParked(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	var fences []int64
	for n := range 2 {
		e := event(n, 50)
		f.mustRecord(owed(e, delivery(e, "crm", Pending)))
		fences = append(fences, f.claim("crm", 1)[0].Fence)
	}
	if err := f.Disable(t.Context(), "crm", Reason{}); err != nil {
		t.Fatal(err)
	}
	if n, err := f.ParkWaiting(t.Context(), "crm"); err != nil || n != 2 {
		t.Fatalf("parked %d, %v", n, err)
	}
	delivered := outcome(event(0, 50), "crm", 1, fences[0], Delivered, "delivered")
	failed := outcome(event(1, 50), "crm", 1, fences[1], Retrying, "retry")
	f.mustRecord(attempted(delivered), attempted(failed))
	if d := f.view(delivered.ID); d.State != Delivered {
		t.Errorf("delivery is %+v, want it delivered", d)
	}
	if d := f.view(failed.ID); d.State != Parked || d.Attempts != 1 {
		t.Errorf("delivery is %+v, want it parked still", d)
	}
}

func TestListenConnectsAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	calls := heard(t, f)
	f.db.Exec(t, `select pg_terminate_backend(pid) from pg_stat_activity
		where datname = current_database() and query = 'listen walpost'`)
	<-calls // once after each connect
	if _, err := f.Enable(t.Context(), "crm", false); err != nil {
		t.Fatal(err)
	}
	<-calls
}
