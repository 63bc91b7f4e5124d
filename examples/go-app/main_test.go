//go:build unix

package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/walpost/walpost/internal/pgtest"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestContactsTellOfThemselves(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	c, err := openContacts(t.Context(), db.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	id, err := c.add(t.Context(), "Ada")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.tag(t.Context(), id, "vip"); err != nil {
		t.Fatal(err)
	}
	if err := c.tag(t.Context(), id+1, "vip"); err == nil {
		t.Error("a contact that isn't there was tagged")
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.add(cancelled, "Grace"); err == nil {
		t.Error("a contact was added under a context that has ended")
	}

	rows, err := db.Pool(t).Query(t.Context(), `select event_type || ' ' || (payload #>> '{contact,name}') from outbox order by created_at`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []string
	for rows.Next() {
		var event string
		if err := rows.Scan(&event); err != nil {
			t.Fatal(err)
		}
		got = append(got, event)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if want := []string{"lead.created Ada", "tagged Ada"}; !slices.Equal(got, want) {
		t.Errorf("the outbox has %q, want %q", got, want)
	}
}

func TestReceiver(t *testing.T) {
	t.Parallel()
	r, err := newReceiver(secret)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	r.received = func(topic string, body []byte) { got = append(got, topic+" "+string(body)) }

	sign, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	send := func(id, body, signed string) int {
		now := time.Now()
		signature, err := sign.Sign(id, now, []byte(signed))
		if err != nil {
			t.Fatal(err)
		}
		req := httptest.NewRequest(http.MethodPost, "/webhooks", strings.NewReader(body))
		req.Header.Set("webhook-id", id)
		req.Header.Set("webhook-topic", "lead.created")
		req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
		req.Header.Set("webhook-signature", signature)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		return w.Code
	}
	for _, c := range []struct {
		id, body, signed string
		code             int
	}{
		{"1", `{"a":1}`, `{"a":1}`, http.StatusNoContent},
		{"1", `{"a":1}`, `{"a":1}`, http.StatusNoContent}, // again
		{"2", `{"a":2}`, `{"a":1}`, http.StatusUnauthorized},
		{"3", strings.Repeat("x", maxBody+1), "", http.StatusBadRequest},
	} {
		if code := send(c.id, c.body, c.signed); code != c.code {
			t.Errorf("delivery %s: status %d, want %d", c.id, code, c.code)
		}
	}
	if want := []string{`lead.created {"a":1}`}; !slices.Equal(got, want) {
		t.Errorf("received %q, want %q", got, want)
	}
}
