package vendormock

import (
	"encoding/json"
	"net/http"
	"strconv"
	"testing"
	"time"
)

// backdate is how far back GA4 takes an event.
const backdate = 72 * time.Hour

// GA4 is a mock of the Google Analytics 4 Measurement Protocol. The real one never says that it drops an event; this one
// refuses, so that a test sees it.
type GA4 struct {
	*Server
	measurement, secret string
}

// NewGA4 starts a mock of one data stream; spec is of GA4's folder.
func NewGA4(t testing.TB, spec *Spec, measurementID, apiSecret string) *GA4 {
	g := &GA4{Server: newServer(t, spec), measurement: measurementID, secret: apiSecret}
	g.vendor = g
	return g
}

func (g *GA4) authorize(r *Request) *Refusal {
	q := r.URL.Query()
	if q.Get("measurement_id") != g.measurement || q.Get("api_secret") != g.secret {
		return refuse(http.StatusUnauthorized, "the event would be dropped: measurement_id or api_secret is wrong")
	}
	return nil
}

func (g *GA4) serve(r *Request) Answer {
	if len(r.Body) > 130_000 {
		return refusing(http.StatusRequestEntityTooLarge, "the body has %d bytes", len(r.Body))
	}
	times := []any{field(r.JSON, "timestamp_micros")}
	events, _ := field(r.JSON, "events").([]any)
	for _, e := range events {
		times = append(times, field(e, "timestamp_micros"))
	}
	for _, at := range times {
		if at == nil {
			continue
		}
		micros, err := strconv.ParseInt(numberText(at), 10, 64)
		age := g.now().Sub(time.UnixMicro(micros))
		if err != nil || age > backdate || age < -time.Hour {
			return refusing(http.StatusBadRequest, "the event would be dropped: timestamp_micros is %v", at)
		}
	}
	if r.Operation.ID == "validate" {
		return Answer{Status: http.StatusOK, Body: map[string]any{"validationMessages": []any{}}}
	}
	return Answer{Status: http.StatusNoContent}
}

// numberText is a JSON number or string as text.
func numberText(v any) string {
	switch v := v.(type) {
	case json.Number:
		return v.String()
	case string:
		return v
	default:
		return ""
	}
}

func (g *GA4) refused(refusal *Refusal) any { return map[string]string{"error": refusal.Reason} }
