//go:build unix

package integrations

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/walpost/walpost/internal/vendormock"
)

// startSalesforce runs one of the two variants against a mock.
func startSalesforce(t *testing.T, example string) (*vendormock.Salesforce, *rig) {
	t.Helper()
	set := environments[example]
	mock := vendormock.NewSalesforce(t, spec(t, "salesforce"), vendormock.SalesforceApp{
		ConsumerKey: set["SALESFORCE_CONSUMER_KEY"], ConsumerSecret: set["SALESFORCE_CONSUMER_SECRET"],
		Certificate: &privateKey.PublicKey, Username: set["SALESFORCE_USERNAME"], Audience: "",
	})
	mock.Audience(mock.URL)
	r := start(t, example, map[string]string{"SALESFORCE_URL": mock.URL, "SALESFORCE_LOGIN_URL": mock.URL},
		salesforceSecret, strings.Split(privateKeyPEM, "\n")[3], "00D-session-")
	return mock, r
}

func TestSalesforceUpserts(t *testing.T) {
	t.Parallel()
	for _, example := range []string{"salesforce", "salesforce/jwt"} {
		t.Run(example, func(t *testing.T) {
			t.Parallel()
			mock, r := startSalesforce(t, example)
			r.insert(event("lead.created", sample(t, "lead.created", 0)))
			if got := mock.Next(); got.Answered != 201 {
				t.Errorf("the lead is answered %d", got.Answered)
			}
			again := json.RawMessage(`{"contact": {"id": 146179, "type": "lead", "name": "Ada King", "email": "ada@example.com"}}`)
			r.insert(event("user.created", sample(t, "user.created", 0)), event("lead.created", again))
			if got := mock.Next(); got.Answered != 200 {
				t.Errorf("the second event is answered %d", got.Answered)
			}
			r.stop()
			if lead := mock.Lead("146179"); lead["LastName"] != "King" || lead["Email"] != "ada@example.com" {
				t.Errorf("lead %v", lead)
			}
			if tokens := mock.Tokens(); tokens != 1 {
				t.Errorf("%d tokens were asked for", tokens)
			}
		})
	}
}

// A token that has ended is renewed, and the request is sent again, in the same attempt.
func TestSalesforceRenewsTokens(t *testing.T) {
	t.Parallel()
	for _, example := range []string{"salesforce", "salesforce/jwt"} {
		t.Run(example, func(t *testing.T) {
			t.Parallel()
			mock, r := startSalesforce(t, example)
			r.insert(event("lead.created", sample(t, "lead.created", 0)))
			mock.Next()
			mock.ExpireTokens()
			r.insert(event("lead.created", sample(t, "lead.created", 2)))
			for _, want := range []int{401, 201} {
				if got := mock.Next(); got.Answered != want || got.Header.Get("Webhook-Attempt") != "1" {
					t.Errorf("answered %d at attempt %s, want %d", got.Answered, got.Header.Get("Webhook-Attempt"), want)
				}
			}
			r.stop()
			if tokens := mock.Tokens(); tokens != 2 {
				t.Errorf("%d tokens were asked for", tokens)
			}
			r.until("count(*) = 0 from walpost.delivery")
		})
	}
}

func TestSalesforceFailures(t *testing.T) {
	t.Parallel()
	mock, r := startSalesforce(t, "salesforce")
	failure := func(status int, code string) vendormock.Answer {
		return vendormock.Answer{Status: status, Body: []map[string]string{{"message": code, "errorCode": code}}}
	}
	mock.Script("lead.upsert",
		failure(403, "REQUEST_LIMIT_EXCEEDED"), failure(400, "UNABLE_TO_LOCK_ROW"), failure(503, "SERVER_UNAVAILABLE"), vendormock.Answer{Lost: true})
	lead := json.RawMessage(`{"contact": {"id": 7, "type": "lead", "name": "Ada"}}`)
	r.insert(event("lead.created", lead))
	r.retries("salesforce_leads", 1, mock.Server, 5*time.Minute, time.Hour, 3*time.Hour, 8*time.Hour)
	mock.Next()
	r.state("salesforce_leads", "delivered", 1)
	requests := mock.Requests("lead.upsert")
	same(t, "answers", statuses(requests), []int{403, 400, 503, 201, 200})

	mock.Script("lead.upsert", failure(400, "FIELD_CUSTOM_VALIDATION_EXCEPTION"), failure(404, "NOT_FOUND"),
		vendormock.Answer{Status: 300, Body: []string{"/services/data/v62.0/sobjects/Lead/00Q1", "/services/data/v62.0/sobjects/Lead/00Q2"}})
	r.insert(event("lead.created", lead), event("lead.created", lead), event("lead.created", lead))
	r.state("salesforce_leads", "failed", 3)
	r.stop()
}

// Without a token nothing is lost: the delivery is tried again.
func TestSalesforceTokenRefused(t *testing.T) {
	t.Parallel()
	mock, r := startSalesforce(t, "salesforce")
	mock.Script("token.client_credentials", vendormock.Answer{Status: 503})
	r.insert(event("lead.created", sample(t, "lead.created", 0)))
	r.until("exists (select from walpost.delivery where state = 'retrying' and last_class = 'auth')")
	r.advance(6*time.Minute, 6*time.Minute, mock.Server)
	if got := mock.Next(); got.Answered != 201 {
		t.Errorf("answered %d", got.Answered)
	}
	r.state("salesforce_leads", "delivered", 1)
	r.stop()
}
