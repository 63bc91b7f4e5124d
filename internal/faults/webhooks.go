//go:build unix

package faults

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// webhook is one that the suite's configuration has.
type webhook struct {
	name    string
	topics  string // a name or "*"
	options string // in HCL
	timeout time.Duration
	// usual is the status that a healthy endpoint answers with.
	usual func(delivery, *request) int
	// hopeless says that every delivery ends as failed.
	hopeless bool
}

// many is a schedule that outlasts every fault.
var many = "[" + strings.TrimSuffix(strings.Repeat(`"1s", `, 100), ", ") + "]"

var webhooks = []webhook{
	{
		name: "good", topics: "*", timeout: 10 * time.Second, usual: always(http.StatusOK),
		options: `retry = ` + many,
	},
	{ // a fifth of the deliveries arrives at the second attempt only, and its queue is short
		name: "flaky", topics: "*", timeout: 10 * time.Second,
		usual: func(_ delivery, q *request) int {
			if q.attempt == 1 && q.id[0] < '3' {
				return http.StatusInternalServerError
			}
			return http.StatusAccepted
		},
		options: "concurrency = 8\nqueue = 20\nretry = " + many,
	},
	{ // gives up soon on an endpoint that hangs
		name: "hasty", topics: "contact.tagged", timeout: time.Second, usual: always(http.StatusNoContent),
		options: "timeout = \"1s\"\nretry = " + many,
	},
	{
		name: "hopeless", topics: "contact.untagged", timeout: 10 * time.Second, usual: always(http.StatusInternalServerError),
		options: `retry = ["1s"]`, hopeless: true,
	},
}

func always(status int) func(delivery, *request) int {
	return func(delivery, *request) int { return status }
}

func webhookNamed(name string) *webhook {
	for i := range webhooks {
		if webhooks[i].name == name {
			return &webhooks[i]
		}
	}
	return &webhook{name: name, usual: always(http.StatusNotFound)}
}

// takes reports whether the webhook is sent a topic.
func (w *webhook) takes(topic string) bool { return w.topics == "*" || w.topics == topic }

// configuration is the HCL of the suite's walpost.
func configuration(receiver, slot string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "database { url = env(\"DATABASE_URL\") }\noutbox {\n  slot = %q\n  publication = %q\n}\n", slot, publication)
	for _, w := range webhooks {
		fmt.Fprintf(&s, "webhook %q {\ntopics = [%q]\nurl = \"%s/%s\"\n%s\n}\n", w.name, w.topics, receiver, w.name, w.options)
	}
	return s.String()
}

// kind is a sort of outbox row.
type kind struct {
	aggregate, event string
	topics           []string // that the gist pack gives it
	quarantined      bool     // the row is no good
}

var kinds = []kind{
	{aggregate: "contact", event: "tagged", topics: []string{"contact.tagged"}},
	{aggregate: "contact", event: "contact.tagged", topics: []string{"contact.tagged"}},
	{aggregate: "contact", event: "lead.created", topics: []string{"lead.created", "contact.created"}},
	{aggregate: "contact", event: "contact.untagged", topics: []string{"contact.untagged"}},
	{aggregate: "contact", event: "audited"},                           // unrouted
	{aggregate: "contact", event: "contact.tagged", quarantined: true}, // its payload is an array
}

// deliveries are those that an event of this kind gives.
func (k *kind) deliveries(event string) (list []delivery) {
	for _, topic := range k.topics {
		for i := range webhooks {
			if webhooks[i].takes(topic) {
				list = append(list, delivery{event, topic, webhooks[i].name})
			}
		}
	}
	return list
}
