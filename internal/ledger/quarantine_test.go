package ledger

import (
	"errors"
	"testing"
	"time"

	"github.com/walpost/walpost/outbox"
)

func (f *fixture) quarantine(filter Filter) []QuarantineView {
	f.t.Helper()
	views, err := f.Quarantine(f.t.Context(), filter)
	if err != nil {
		f.t.Fatal(err)
	}
	return views
}

func (f *fixture) claimQuarantined() []QuarantineClaim {
	f.t.Helper()
	claims, err := f.ClaimQuarantined(f.t.Context(), 10)
	if err != nil {
		f.t.Fatal(err)
	}
	return claims
}

func TestQuarantineListsAndReplays(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	calls := heard(t, f)
	bad := &outbox.Row{ID: "row-1", LSN: 77} // no payload, no type
	good := event(2, 50)
	f.mustRecord(
		quarantined(Quarantined{Event: bad, Diagnostic: "payload is NULL"}),
		quarantined(Quarantined{Event: good, Rule: "vip", Diagnostic: "no such attribute"}),
		quarantined(Quarantined{Event: good, Webhook: "crm", Topic: "contact.tagged", Diagnostic: "no URL"}),
	)
	f.mustRecord(quarantined(Quarantined{Event: good, Rule: "vip", Diagnostic: "still no such attribute"}))
	all := f.quarantine(Filter{})
	if len(all) != 3 {
		t.Fatalf("%d entries, want 3: %+v", len(all), all)
	}
	if page := f.quarantine(Filter{Limit: 1}); len(page) != 1 || page[0] != all[0] {
		t.Errorf("first page is %+v", page)
	}
	if page := f.quarantine(Filter{Before: "3"}); len(page) != 2 || page[0] != all[1] {
		t.Errorf("page before entry 3 is %+v", page)
	}
	if got := f.quarantine(Filter{Webhook: "crm"}); len(got) != 1 || got[0].Diagnostic != "no URL" {
		t.Errorf("of the webhook: %+v", got)
	}
	if e, err := f.Event(t.Context(), "row-1"); err != nil || e == nil || e.Payload != nil || e.LSN != 77 {
		t.Errorf("bad row came back as %+v, %v", e, err)
	}

	if got := f.claimQuarantined(); len(got) != 0 {
		t.Fatalf("claimed %+v without a request", got)
	}
	if _, err := f.ReplayQuarantined(t.Context(), Filter{EventID: "none"}); !errors.Is(err, ErrNoMatch) {
		t.Errorf("got %v, want ErrNoMatch", err)
	}
	if n, err := f.ReplayQuarantined(t.Context(), Filter{EventID: good.ID}); err != nil || n != 2 {
		t.Fatalf("requested %d, %v; want 2", n, err)
	}
	<-calls
	claims := f.claimQuarantined()
	if len(claims) != 2 || claims[0].Event.ID != good.ID || string(claims[0].Event.Payload) != string(good.Payload) {
		t.Fatalf("claimed %+v", claims)
	}
	if got := f.claimQuarantined(); len(got) != 0 {
		t.Errorf("claimed %+v twice", got)
	}
	// One is routed; the other fails again, and stays.
	for _, c := range claims {
		if c.Rule == "vip" {
			f.mustRecord(quarantined(Quarantined{Event: c.Event, Rule: "vip", Diagnostic: "again"}))
			if err := f.ResolveQuarantined(t.Context(), c.ID, c.Fence); !errors.Is(err, ErrFenced) {
				t.Errorf("got %v for a renewed entry, want ErrFenced", err)
			}
			continue
		}
		if err := f.ResolveQuarantined(t.Context(), c.ID, c.Fence); err != nil {
			t.Error(err)
		}
	}
	left := f.quarantine(Filter{EventID: good.ID})
	if len(left) != 1 || left[0].Rule != "vip" || left[0].Diagnostic != "again" || !left[0].ReplayRequestedAt.IsZero() {
		t.Errorf("left is %+v", left)
	}
}

func TestQuarantineClaimIsFenced(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.mustRecord(quarantined(Quarantined{Event: event(1, 50), Rule: "vip", Diagnostic: "bad"}))
	if _, err := f.ReplayQuarantined(t.Context(), Filter{}); err != nil {
		t.Fatal(err)
	}
	first := f.claimQuarantined()[0]
	f.shift(quarantineLease + time.Second)
	second := f.claimQuarantined()[0]
	if err := f.ResolveQuarantined(t.Context(), first.ID, first.Fence); !errors.Is(err, ErrFenced) {
		t.Errorf("got %v for the older claim, want ErrFenced", err)
	}
	if err := f.ResolveQuarantined(t.Context(), second.ID, second.Fence); err != nil {
		t.Error(err)
	}
}
