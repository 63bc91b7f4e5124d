package vendormock

import (
	"crypto/md5" // #nosec G501 -- Mailchimp's subscriber hash
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// mailchimpConcurrency is how many requests of a user Mailchimp handles at a time.
const mailchimpConcurrency = 10

// Mailchimp is a mock Mailchimp audience.
type Mailchimp struct {
	*Server
	key        string
	list       string
	members    map[string]string // status by hash
	compliance map[string]bool
}

// NewMailchimp starts a mock Mailchimp with one audience; spec is of Mailchimp's folder.
func NewMailchimp(t testing.TB, spec *Spec, apiKey, listID string) *Mailchimp {
	m := &Mailchimp{
		Server: newServer(t, spec), key: apiKey, list: listID,
		members: map[string]string{}, compliance: map[string]bool{},
	}
	m.vendor = m
	return m
}

// Status returns the member's status; "" if there is no such member.
func (m *Mailchimp) Status(email string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.members[subscriberHash(email)]
}

// Compliance puts an address into the state that only its owner can leave: it can't be subscribed by API.
func (m *Mailchimp) Compliance(email string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.compliance[subscriberHash(email)] = true
}

func subscriberHash(email string) string {
	sum := md5.Sum([]byte(strings.ToLower(email))) // #nosec G401 -- see the import
	return hex.EncodeToString(sum[:])
}

func (m *Mailchimp) authorize(r *Request) *Refusal {
	req := http.Request{Header: r.Header}
	_, key, ok := req.BasicAuth()
	if !ok || key != m.key {
		return refuse(http.StatusUnauthorized, "API Key Invalid")
	}
	return nil
}

func (m *Mailchimp) serve(r *Request) Answer {
	if m.running > mailchimpConcurrency {
		return refusing(http.StatusTooManyRequests, "Too Many Requests: %d at once", m.running)
	}
	if r.Params["list_id"] != m.list {
		return refusing(http.StatusNotFound, "Resource Not Found: there is no list %s", r.Params["list_id"])
	}
	if r.Operation.ID != "member.upsert" {
		return refusing(http.StatusNotFound, "the mock doesn't do %s", r.Operation.ID)
	}
	email, hash := text(r.JSON, "email_address"), r.Params["subscriber_hash"]
	if hash != subscriberHash(email) {
		return refusing(http.StatusBadRequest, "Invalid Resource: the hash is not that of %s", email)
	}
	status := text(r.JSON, "status")
	if _, member := m.members[hash]; !member || status == "" {
		status = text(r.JSON, "status_if_new")
	}
	if m.compliance[hash] && status == "subscribed" {
		return Answer{Status: http.StatusBadRequest, Body: problem(http.StatusBadRequest, "Member In Compliance State",
			"The address was unsubscribed by its owner, and has to sign up itself.")}
	}
	m.members[hash] = status
	return Answer{Status: http.StatusOK, Body: map[string]any{
		"id": hash, "email_address": email, "status": status, "list_id": m.list,
	}}
}

// problem is a body as of RFC 9457.
func problem(status int, title, detail string) map[string]any {
	return map[string]any{
		"type": "https://mailchimp.com/developer/marketing/docs/errors/", "title": title, "status": status, "detail": detail,
		"instance": fmt.Sprintf("00000000-0000-4000-8000-%012d", status),
	}
}

func (m *Mailchimp) refused(refusal *Refusal) any {
	title, detail, _ := strings.Cut(refusal.Reason, ": ")
	return problem(refusal.Status, title, detail)
}
