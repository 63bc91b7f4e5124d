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

func startGA4(t *testing.T, example string) (*vendormock.GA4, *rig) {
	t.Helper()
	mock := vendormock.NewGA4(t, spec(t, "ga4"), environments[example]["GA4_MEASUREMENT_ID"], ga4Secret)
	return mock, start(t, example, map[string]string{"GA4_URL": mock.URL}, ga4Secret)
}

// visit is a page visit of a contact, so long ago.
func visit(contact int, ago time.Duration) outbox.Event {
	return event("contact.page_visited", json.RawMessage(fmt.Sprintf(
		`{"contact": {"id": %d, "type": "user", "user_id": "u-%d"}, "page_visit": {"url": "https://example.com/", "visited_at": %d}}`,
		contact, contact, time.Now().Add(-ago).Unix())))
}

// pageViews reads the client and the number of events of a request.
func pageViews(t *testing.T, r *vendormock.Request) (client string, n int) {
	t.Helper()
	var body struct {
		ClientID string `json:"client_id"`
		Events   []any
	}
	if err := json.Unmarshal(r.Body, &body); err != nil {
		t.Fatal(err)
	}
	return body.ClientID, len(body.Events)
}

func TestGA4(t *testing.T) {
	t.Parallel()
	mock, r := startGA4(t, "ga4")
	mock.Script("collect", vendormock.Answer{Status: 503})
	r.insert(visit(1, 0))
	mock.Next()
	r.state("ga4_page_views", "retrying", 1)
	r.advance(301*time.Second, 5*time.Minute, mock.Server)
	r.state("ga4_page_views", "delivered", 1)
	mock.Next()

	// The one that would be older than 72 hours at its last retry is left out.
	r.insert(visit(2, 68*time.Hour), visit(3, 66*time.Hour))
	if client, _ := pageViews(t, mock.Next()); client != "gist.3" {
		t.Errorf("client %s", client)
	}
	r.stop()
	same(t, "answers", statuses(mock.Requests("collect")), []int{503, 204, 204})
}

func TestGA4Batches(t *testing.T) {
	t.Parallel()
	mock, r := startGA4(t, "ga4/batch")
	var events []outbox.Event
	for n := range 60 {
		events = append(events, visit(n, time.Duration(n)*time.Minute))
	}
	events = append(events, visit(99, 70*time.Hour))
	r.insert(events...)
	sum, requests := 0, 0
	for sum < 60 {
		client, n := pageViews(t, mock.Next())
		if client != "walpost" || n > 25 {
			t.Errorf("%d events of %s", n, client)
		}
		sum += n
		requests++
	}
	r.stop()
	if sum != 60 || requests > 6 {
		t.Errorf("%d events in %d requests", sum, requests)
	}
}
