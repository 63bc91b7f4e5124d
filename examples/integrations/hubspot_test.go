//go:build unix

package integrations

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/walpost/walpost/internal/vendormock"
	"github.com/walpost/walpost/outbox"
)

func startHubSpot(t *testing.T) (*vendormock.HubSpot, *rig) {
	t.Helper()
	mock := vendormock.NewHubSpot(t, spec(t, "hubspot"), hubspotToken)
	return mock, start(t, "hubspot", map[string]string{"HUBSPOT_URL": mock.URL}, hubspotToken)
}

// user is a new user with that email.
func user(id int, email string) outbox.Event {
	return event("user.created", json.RawMessage(fmt.Sprintf(`{"contact": {"id": %d, "type": "user", "name": "Ada Lovelace", "email": %q}}`, id, email)))
}

// inputs are how many contacts each request had.
func inputs(t *testing.T, requests []*vendormock.Request) (all []int) {
	t.Helper()
	for _, r := range requests {
		var body struct{ Inputs []any }
		if err := json.Unmarshal(r.Body, &body); err != nil {
			t.Fatal(err)
		}
		all = append(all, len(body.Inputs))
	}
	return all
}

func TestHubSpotBatches(t *testing.T) {
	t.Parallel()
	mock, r := startHubSpot(t)
	var events []outbox.Event
	for n := range 250 {
		events = append(events, user(n, fmt.Sprintf("user%d@example.com", n)))
	}
	r.insert(events...)
	for sum := 0; sum < len(events); {
		sum += inputs(t, []*vendormock.Request{mock.Next()})[0]
	}
	r.stop()
	got := inputs(t, mock.Requests("contact.batch_upsert"))
	if len(got) > 10 {
		t.Errorf("250 contacts came in %d requests: %v", len(got), got)
	}
	for n := range 250 {
		if contact := mock.Contact(fmt.Sprintf("user%d@example.com", n)); contact["gist_onboarding"] != "started" || contact["gist_id"] != fmt.Sprint(n) {
			t.Fatalf("contact %d: %v", n, contact)
		}
	}
	r.until("count(*) = 0 from walpost.delivery")
}

// A 207 has taken all but one: that one is tried again, alone.
func TestHubSpotPartly(t *testing.T) {
	t.Parallel()
	mock, r := startHubSpot(t)
	r.insert(user(1, "ada@example.com"), user(2, "nobody"), user(3, "ADA@example.com"), user(4, "grace@example.com"))
	first := mock.Next()
	if got := inputs(t, []*vendormock.Request{first}); first.Answered != 207 || got[0] != 3 {
		t.Errorf("answered %d to %d contacts", first.Answered, got[0])
	}
	r.state("hubspot_contacts", "retrying", 1)
	r.until("count(*) = 1 from walpost.event where payload like '%nobody%'")
	r.advance(61*time.Second, time.Minute, mock.Server)
	second := mock.Next()
	if got := inputs(t, []*vendormock.Request{second}); second.Answered != 207 || got[0] != 1 {
		t.Errorf("answered %d to %d contacts", second.Answered, got[0])
	}
	r.stop()
	if mock.Contact("ada@example.com")["gist_id"] != "3" || mock.Contact("grace@example.com") == nil {
		t.Error("the contacts are not those of the last events")
	}
}

func TestHubSpotFailures(t *testing.T) {
	t.Parallel()
	mock, r := startHubSpot(t)
	limit := vendormock.Answer{Status: 429, Body: map[string]string{
		"status": "error", "errorType": "RATE_LIMIT", "policyName": "DAILY", "message": "You have reached your daily limit.",
	}}
	mock.Script("contact.batch_upsert", limit, vendormock.Answer{Status: 500}, vendormock.Answer{Status: 401})
	r.insert(user(1, "ada@example.com"), user(2, "grace@example.com"))
	r.retries("hubspot_contacts", 2, mock.Server, time.Minute, 10*time.Minute, time.Hour)
	r.state("hubspot_contacts", "delivered", 2)
	mock.Script("contact.batch_upsert", vendormock.Answer{Status: 400, Body: map[string]string{
		"status": "error", "category": "VALIDATION_ERROR", "message": "Property gist_onboarding does not exist", "correlationId": "1",
	}})
	r.insert(user(3, "alan@example.com"))
	r.state("hubspot_contacts", "failed", 1)
	r.stop()
	if mock.Contact("ada@example.com") == nil || mock.Contact("grace@example.com") == nil || mock.Contact("alan@example.com") != nil {
		t.Error("the wrong contacts are there")
	}
}
