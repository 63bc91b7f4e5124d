package vendormock

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"
)

// idempotencyLife is how long Zendesk keeps an Idempotency-Key.
const idempotencyLife = 2 * time.Hour

// Zendesk is a mock Zendesk account.
type Zendesk struct {
	*Server
	user    string
	tickets []*Ticket
	keys    map[string]idempotent
}

// Ticket is a ticket of a mock Zendesk.
type Ticket struct {
	ID         int
	ExternalID string
	Status     string
	Comments   []string
}

// idempotent is a POST that was done with an Idempotency-Key.
type idempotent struct {
	at     time.Time
	body   string
	answer Answer
}

// NewZendesk starts a mock Zendesk with one agent's API token; spec is of Zendesk's folder.
func NewZendesk(t testing.TB, spec *Spec, email, token string) *Zendesk {
	z := &Zendesk{
		Server: newServer(t, spec),
		user:   "Basic " + base64.StdEncoding.EncodeToString([]byte(email+"/token:"+token)),
		keys:   map[string]idempotent{},
	}
	z.vendor = z
	return z
}

// Tickets returns copies of all tickets, the oldest first.
func (z *Zendesk) Tickets() (all []Ticket) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, t := range z.tickets {
		all = append(all, *t)
	}
	return all
}

func (z *Zendesk) authorize(r *Request) *Refusal {
	if r.Header.Get("Authorization") != z.user {
		return refuse(http.StatusUnauthorized, "Couldn't authenticate you")
	}
	return nil
}

func (z *Zendesk) serve(r *Request) Answer {
	switch r.Operation.ID {
	case "ticket.create":
		return z.create(r)
	case "ticket.update":
		return z.update(r)
	case "ticket.find_by_external_id":
		return z.find(r.URL.Query().Get("external_id"))
	default:
		return refusing(http.StatusNotFound, "the mock doesn't do %s", r.Operation.ID)
	}
}

// create opens a ticket, or answers once more what it has answered to the same key within two hours.
func (z *Zendesk) create(r *Request) Answer {
	key := r.Header.Get("Idempotency-Key")
	if len(key) > 255 {
		return refusing(http.StatusBadRequest, "the Idempotency-Key is longer than 255 characters")
	}
	if before, ok := z.keys[key]; ok && z.now().Sub(before.at) < idempotencyLife {
		if before.body != string(r.Body) {
			return refusing(http.StatusBadRequest, "IdempotentRequestError: the parameters don't match the given idempotency key")
		}
		before.answer.Header = map[string]string{"X-Idempotency-Lookup": "hit"}
		return before.answer
	}
	ticket := &Ticket{
		ID: 1001 + len(z.tickets), ExternalID: text(r.JSON, "ticket", "external_id"), Status: "new",
		Comments: []string{text(r.JSON, "ticket", "comment", "body")},
	}
	z.tickets = append(z.tickets, ticket)
	answer := Answer{Status: http.StatusCreated, Body: map[string]any{"ticket": ticket.json()}}
	if key != "" {
		z.keys[key] = idempotent{at: z.now(), body: string(r.Body), answer: answer}
		answer.Header = map[string]string{"X-Idempotency-Lookup": "miss"}
	}
	return answer
}

// update adds a comment, sets the status, or both. A closed ticket can't be changed.
func (z *Zendesk) update(r *Request) Answer {
	id, err := strconv.Atoi(r.Params["ticket_id"])
	if err != nil || id <= 1000 || id > 1000+len(z.tickets) {
		return refusing(http.StatusNotFound, "RecordNotFound: there is no ticket %s", r.Params["ticket_id"])
	}
	ticket := z.tickets[id-1001]
	if ticket.Status == "closed" {
		return refusing(http.StatusUnprocessableEntity, "RecordInvalid: closed prevents ticket update")
	}
	if body := text(r.JSON, "ticket", "comment", "body"); body != "" {
		ticket.Comments = append(ticket.Comments, body)
	}
	if status := text(r.JSON, "ticket", "status"); status != "" {
		ticket.Status = status
	}
	return Answer{Status: http.StatusOK, Body: map[string]any{"ticket": ticket.json()}}
}

func (z *Zendesk) find(externalID string) Answer {
	found := []any{}
	for _, t := range z.tickets {
		if t.ExternalID == externalID {
			found = append(found, t.json())
		}
	}
	return Answer{Status: http.StatusOK, Body: map[string]any{"tickets": found, "count": len(found)}}
}

func (t *Ticket) json() map[string]any {
	return map[string]any{
		"id": t.ID, "external_id": t.ExternalID, "status": t.Status,
		"url": fmt.Sprintf("https://mock.zendesk.com/api/v2/tickets/%d.json", t.ID),
	}
}

func (z *Zendesk) refused(refusal *Refusal) any {
	return map[string]string{"error": http.StatusText(refusal.Status), "description": refusal.Reason}
}
