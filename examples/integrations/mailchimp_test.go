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

func startMailchimp(t *testing.T) (*vendormock.Mailchimp, *rig) {
	t.Helper()
	mock := vendormock.NewMailchimp(t, spec(t, "mailchimp"), mailchimpKey, environments["mailchimp"]["MAILCHIMP_LIST_ID"])
	return mock, start(t, "mailchimp", map[string]string{"MAILCHIMP_URL": mock.URL + "/3.0"}, mailchimpKey, "walpost:"+mailchimpKey)
}

// campaign is a change of a subscription, at Unix seconds.
func campaign(change, email string, at int64) outbox.Event {
	return event("contact.campaign_"+change, json.RawMessage(fmt.Sprintf(
		`{"contact": {"id": 7, "type": "user", "name": "Ada", "email": %q}, "campaign": {"id": 3}, "subscription": {"status": %q, "changed_at": %d}}`,
		email, change, at)))
}

func TestMailchimpFollows(t *testing.T) {
	t.Parallel()
	mock, r := startMailchimp(t)
	for _, change := range []string{"subscribed", "unsubscribed"} {
		r.insert(campaign(change, "Ada@Example.com", time.Now().Unix()))
		mock.Next()
		if got := mock.Status("ada@example.com"); got != change {
			t.Errorf("the member is %s, want %s", got, change)
		}
	}
	r.insert(campaign("subscribed", "grace@example.com", time.Now().Unix()))
	mock.Next()
	r.insert(event("contact.unsubscribed_from_emails", json.RawMessage(`{"contact": {"id": 8, "type": "user", "email": "grace@example.com"}}`)))
	mock.Next()
	r.stop()
	if got := mock.Status("grace@example.com"); got != "unsubscribed" {
		t.Errorf("the member is %s", got)
	}
}

func TestMailchimpFailures(t *testing.T) {
	t.Parallel()
	mock, r := startMailchimp(t)
	mock.Compliance("bounced@example.com")
	r.insert(campaign("subscribed", "bounced@example.com", 1700000000))
	if got := mock.Next(); got.Answered != 400 {
		t.Errorf("answered %d", got.Answered)
	}
	r.state("mailchimp_members", "failed", 1)
	r.until("exists (select from walpost.attempt where excerpt like '%Member In Compliance State%')")

	problem := func(status int, title string) vendormock.Answer {
		return vendormock.Answer{Status: status, Body: map[string]any{"type": "about:blank", "title": title, "status": status, "detail": title, "instance": "1"}}
	}
	mock.Script("member.upsert", problem(400, "Invalid Resource"), problem(403, "Forbidden"))
	r.insert(campaign("subscribed", "wrong@example", 1700000000))
	r.state("mailchimp_members", "failed", 2)
	r.insert(campaign("subscribed", "forbidden@example.com", 1700000000))
	r.state("mailchimp_members", "failed", 3)

	mock.Script("member.upsert", vendormock.Answer{Status: 403, Body: "<html>Access Denied</html>"}, vendormock.Answer{Status: 429})
	r.insert(campaign("subscribed", "ada@example.com", 1700000000))
	r.state("mailchimp_members", "retrying", 1)
	r.advance(301*time.Second, 5*time.Minute, mock.Server)
	r.until("exists (select from walpost.delivery where state = 'retrying' and attempts = 2)")
	r.advance(2*time.Hour, time.Hour, mock.Server)
	r.state("mailchimp_members", "delivered", 1)
	r.stop()
	if got := mock.Status("ada@example.com"); got != "subscribed" {
		t.Errorf("the member is %q", got)
	}
}

// A subscription that is retried after the person has unsubscribed doesn't subscribe them again.
func TestMailchimpNewestEventWins(t *testing.T) {
	t.Parallel()
	mock, r := startMailchimp(t)
	mock.Script("member.upsert", vendormock.Answer{Status: 500})
	r.insert(campaign("subscribed", "ada@example.com", 1700000000))
	mock.Next()
	r.state("mailchimp_members", "retrying", 1)
	r.insert(campaign("unsubscribed", "ada@example.com", 1700000100))
	mock.Next()
	r.until("exists (select from walpost.capture where webhook = 'mailchimp_members')")
	r.advance(301*time.Second, 5*time.Minute, mock.Server)
	if got := mock.Next(); got.Header.Get("Webhook-Attempt") != "2" || got.Answered != 200 {
		t.Errorf("attempt %s is answered %d", got.Header.Get("Webhook-Attempt"), got.Answered)
	}
	r.state("mailchimp_members", "delivered", 1)
	r.stop()
	if got := mock.Status("ada@example.com"); got != "unsubscribed" {
		t.Errorf("the member is %s", got)
	}
}

func TestMailchimpTenAtOnce(t *testing.T) {
	t.Parallel()
	mock, r := startMailchimp(t)
	mock.Gate(10)
	var events []outbox.Event
	for n := range 40 {
		events = append(events, campaign("subscribed", fmt.Sprintf("user%d@example.com", n), 1700000000))
	}
	r.insert(events...)
	for range events {
		mock.Next()
	}
	r.stop()
	if got := mock.MostAtOnce(); got != 10 {
		t.Errorf("%d requests at once", got)
	}
}
