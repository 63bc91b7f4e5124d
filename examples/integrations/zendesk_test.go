//go:build unix

package integrations

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/walpost/walpost/internal/vendormock"
)

func startZendesk(t *testing.T) (*vendormock.Zendesk, *rig) {
	t.Helper()
	mock := vendormock.NewZendesk(t, spec(t, "zendesk"), environments["zendesk"]["ZENDESK_EMAIL"], zendeskToken)
	return mock, start(t, "zendesk", map[string]string{"ZENDESK_URL": mock.URL}, zendeskToken,
		environments["zendesk"]["ZENDESK_EMAIL"]+"/token:"+zendeskToken)
}

func TestZendeskConversation(t *testing.T) {
	t.Parallel()
	mock, r := startZendesk(t)
	r.insert(event("conversation.initiated", sample(t, "conversation.initiated", 0)))
	open := mock.Next()
	if open.Answered != 201 || open.Header.Get("Idempotency-Key") == "" {
		t.Errorf("answered %d to key %q", open.Answered, open.Header.Get("Idempotency-Key"))
	}
	r.until("exists (select from walpost.capture where webhook = 'zendesk_open' and key = '42')")
	for _, topic := range []string{"conversation.message_received", "conversation.teammate_replied", "conversation.note_added"} {
		r.insert(event(topic, sample(t, topic, 0)))
		mock.Next()
	}
	r.insert(event("conversation.closed", sample(t, "conversation.closed", 0)))
	mock.Next()
	r.stop()
	tickets := mock.Tickets()
	if len(tickets) != 1 || tickets[0].Status != "solved" || tickets[0].ExternalID != "42" {
		t.Fatalf("tickets %+v", tickets)
	}
	same(t, "comments", tickets[0].Comments,
		[]string{"My invoice is wrong.", "Ada: Hello?\nAnybody?", "Grace: We are looking into it.", "Grace: VIP"})
}

// What comes before the ticket's number is known waits for it.
func TestZendeskWaitsForTheTicket(t *testing.T) {
	t.Parallel()
	mock, r := startZendesk(t)
	mock.Script("ticket.create", vendormock.Answer{Status: 503})
	r.insert(
		event("conversation.initiated", sample(t, "conversation.initiated", 0)),
		event("conversation.message_received", sample(t, "conversation.message_received", 0)),
		event("conversation.closed", sample(t, "conversation.closed", 0)),
	)
	mock.Next()
	r.state("zendesk_comment", "retrying", 1)
	r.state("zendesk_close", "retrying", 1)
	r.state("zendesk_open", "retrying", 1)
	r.until("count(*) = 2 from walpost.delivery where last_class = 'waiting'")
	if got := len(mock.Requests("ticket.update")); got != 0 {
		t.Errorf("%d updates of a ticket that isn't there", got)
	}
	r.advance(2*time.Minute, 2*time.Minute, mock.Server)
	r.state("zendesk_open", "delivered", 1)
	r.advanceUntil(2*time.Minute, time.Minute, mock.Server,
		"count(*) = 2 from walpost.delivery where webhook in ('zendesk_comment', 'zendesk_close') and state = 'delivered'")
	r.stop()
	got := mock.Tickets()
	if len(got) != 1 || got[0].Status != "solved" {
		t.Fatalf("tickets %+v", got)
	}
	// An attempt that runs while the test moves the clock outlives its lease, and is repeated.
	if comments := slices.Compact(got[0].Comments); len(comments) != 2 {
		t.Errorf("comments %q", comments)
	}
}

// However often the answer is lost, there is one ticket: all attempts are within the two hours that Zendesk keeps the key.
func TestZendeskOpensOneTicket(t *testing.T) {
	t.Parallel()
	mock, r := startZendesk(t)
	lost := vendormock.Answer{Lost: true}
	mock.Script("ticket.create", lost, lost, lost, lost, lost, lost)
	r.insert(event("conversation.initiated", sample(t, "conversation.initiated", 0)))
	total := r.retries("zendesk_open", 1, mock.Server, time.Minute, 5*time.Minute, 15*time.Minute, 30*time.Minute, 45*time.Minute)
	mock.Next()
	r.state("zendesk_open", "failed", 1)
	if total >= 2*time.Hour {
		t.Errorf("the last attempt is %s after the first", total)
	}
	r.stop()
	if got := mock.Tickets(); len(got) != 1 {
		t.Errorf("there are %d tickets", len(got))
	}
	keys := map[string]bool{}
	for _, request := range mock.Requests("ticket.create") {
		keys[request.Header.Get("Idempotency-Key")+string(request.Body)] = true
	}
	if len(mock.Requests("ticket.create")) != 6 || len(keys) != 1 {
		t.Errorf("%d requests with %d keys and bodies", len(mock.Requests("ticket.create")), len(keys))
	}
}

func TestZendeskFailures(t *testing.T) {
	t.Parallel()
	mock, r := startZendesk(t)
	mock.Script("ticket.create", vendormock.Answer{Status: 429, Header: map[string]string{"Retry-After": "600"}})
	r.insert(event("conversation.initiated", sample(t, "conversation.initiated", 2)))
	mock.Next()
	r.until("exists (select from walpost.delivery where state = 'retrying' and due_at > walpost.now() + interval '9 minutes')")
	r.advance(11*time.Minute, 11*time.Minute, mock.Server)
	r.state("zendesk_open", "delivered", 1)

	mock.Script("ticket.update", vendormock.Answer{Status: 409}, vendormock.Answer{Status: 422, Body: map[string]string{"error": "RecordInvalid"}})
	comment := json.RawMessage(`{"conversation": {"id": 44}, "message": {"id": 9, "body": "Hi", "author": null}}`)
	r.insert(event("conversation.message_received", comment))
	mock.Next()
	mock.Next()
	r.state("zendesk_comment", "retrying", 1)
	r.advance(12*time.Minute, time.Minute, mock.Server)
	r.state("zendesk_comment", "failed", 1)
	r.stop()
	same(t, "answers", statuses(mock.Requests("ticket.update")), []int{409, 422})
}
