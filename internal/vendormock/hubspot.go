package vendormock

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// HubSpot is a mock HubSpot account.
type HubSpot struct {
	*Server
	token    string
	contacts map[string]map[string]any // properties by email
}

// NewHubSpot starts a mock HubSpot with one private app's token; spec is of HubSpot's folder.
func NewHubSpot(t testing.TB, spec *Spec, token string) *HubSpot {
	h := &HubSpot{Server: newServer(t, spec), token: token, contacts: map[string]map[string]any{}}
	h.vendor = h
	return h
}

// Contact returns the properties of the contact with that email; nil if there is none.
func (h *HubSpot) Contact(email string) map[string]any {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.contacts[email]
}

func (h *HubSpot) authorize(r *Request) *Refusal {
	if r.Header.Get("Authorization") != "Bearer "+h.token {
		return refuse(http.StatusUnauthorized, "the token is wrong")
	}
	return nil
}

// serve upserts a batch. Two inputs with one id fail it all; an input that is invalid alone fails alone if it has an
// objectWriteTraceId, by which the 207's errors name it, and fails all otherwise.
func (h *HubSpot) serve(r *Request) Answer {
	if r.Operation.ID != "contact.batch_upsert" {
		return refusing(http.StatusNotFound, "the mock doesn't do %s", r.Operation.ID)
	}
	inputs, _ := field(r.JSON, "inputs").([]any)
	var results, errors []any
	seen := map[string]bool{}
	for _, input := range inputs {
		id, trace := text(input, "id"), text(input, "objectWriteTraceId")
		switch {
		case text(input, "idProperty") != "email":
			return refusing(http.StatusBadRequest, "an input's idProperty is not email")
		case seen[strings.ToLower(id)]:
			return refusing(http.StatusBadRequest, "Duplicate IDs found in batch input")
		case !strings.Contains(id, "@") && trace == "":
			return refusing(http.StatusBadRequest, "Email address %s is invalid", id)
		case !strings.Contains(id, "@"):
			errors = append(errors, map[string]any{
				"status": "error", "category": "VALIDATION_ERROR", "message": "Email address " + id + " is invalid",
				"context": map[string]any{"objectWriteTraceId": []string{trace}},
			})
		default:
			results = append(results, h.upsert(id, input))
		}
		seen[strings.ToLower(id)] = true
	}
	now := h.now().UTC().Format(time.RFC3339)
	answer := map[string]any{"status": "COMPLETE", "results": results, "startedAt": now, "completedAt": now}
	if len(errors) == 0 {
		return Answer{Status: http.StatusOK, Body: answer}
	}
	answer["numErrors"], answer["errors"] = len(errors), errors
	return Answer{Status: http.StatusMultiStatus, Body: answer}
}

func (h *HubSpot) upsert(email string, input any) map[string]any {
	known := h.contacts[email]
	if known == nil {
		h.contacts[email] = map[string]any{}
	}
	properties, _ := field(input, "properties").(map[string]any)
	for name, value := range properties {
		h.contacts[email][name] = value
	}
	return map[string]any{"id": fmt.Sprint(len(h.contacts)), "new": known == nil, "properties": properties}
}

func (h *HubSpot) refused(refusal *Refusal) any {
	return map[string]string{
		"status": "error", "category": "VALIDATION_ERROR", "correlationId": "00000000-0000-4000-8000-000000000000",
		"message": refusal.Reason,
	}
}
