package vendormock

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Inbound is a mock of a service with one incoming URL: Zapier, Make, n8n, Slack or Segment.
type Inbound struct {
	*Server
	target        string
	authorization string
}

// NewInbound starts a mock of one target of inbound's operations.json. Authorization is the header that it asks for,
// e.g. "Basic …"; "" for none.
func NewInbound(t testing.TB, spec *Spec, target, authorization string) *Inbound {
	i := &Inbound{Server: newServer(t, spec), target: target, authorization: authorization}
	spec.Operation(target) // it exists
	i.vendor = i
	return i
}

func (i *Inbound) authorize(r *Request) *Refusal {
	// Some have paths that others would take as well.
	r.Operation = i.spec.Operation(i.target)
	params, ok := r.Operation.url.params(r.URL)
	if !ok {
		return refuse(http.StatusNotFound, "%s is not at %s", i.target, r.URL.Path)
	}
	r.Params = params
	if i.authorization != "" && r.Header.Get("Authorization") != i.authorization {
		return refuse(http.StatusUnauthorized, "the Authorization header is wrong")
	}
	return nil
}

func (i *Inbound) serve(r *Request) Answer {
	if problem := InboundProblem(i.target, r); problem != "" {
		return refusing(http.StatusBadRequest, "%s", problem)
	}
	answer := Answer{Status: http.StatusOK}
	switch i.target {
	case "slack.incoming_webhook":
		answer.Body = "ok"
	case "make.custom_webhook":
		answer.Body = "Accepted"
	case "segment.http":
		answer.Body = map[string]any{"success": true}
	default:
		answer.Body = map[string]any{"status": "success"}
	}
	return answer
}

// InboundProblem says what body_required of an inbound target finds missing; "" if nothing.
func InboundProblem(target string, r *Request) string {
	if r.JSON == nil {
		return "there is no JSON body"
	}
	switch target {
	case "slack.incoming_webhook":
		if text(r.JSON, "text") == "" && field(r.JSON, "blocks") == nil {
			return "there is neither text nor blocks"
		}
	case "segment.http":
		if !strings.HasSuffix(r.URL.Path, "/batch") {
			return segmentProblem(strings.TrimPrefix(r.URL.Path, "/v1/"), r.JSON)
		}
		batch, _ := field(r.JSON, "batch").([]any)
		if len(batch) == 0 {
			return "there is no batch"
		}
		for n, call := range batch {
			if problem := segmentProblem(text(call, "type"), call); problem != "" {
				return fmt.Sprintf("call %d of the batch: %s", n, problem)
			}
		}
	}
	return ""
}

// segmentProblem checks one call of Segment's.
func segmentProblem(kind string, call any) string {
	switch {
	case kind != "identify" && kind != "track" && kind != "page":
		return "there is no call of type " + kind
	case text(call, "userId") == "" && text(call, "anonymousId") == "":
		return "there is neither userId nor anonymousId"
	case kind == "track" && text(call, "event") == "":
		return "a track call has no event"
	}
	return ""
}

func (i *Inbound) refused(refusal *Refusal) any { return refusal.Reason }
