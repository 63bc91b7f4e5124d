//go:build unix

package faults

import (
	"net/http"
	"strings"
	"time"
)

// outcome of a delivery is what its endpoint's script demands in the end.
type outcome string

const (
	arrives    outcome = "delivered"
	fails      outcome = "failed"      // the schedule comes to its end
	isParked   outcome = "parked"      // nobody enables the webhook again
	isMistaken outcome = "quarantined" // the rules can't make a request of it
)

// webhook is one that the suite's configuration has.
type webhook struct {
	name    string
	topics  string // a name or "*"
	options string // in HCL
	timeout time.Duration
	// usual is the status that a healthy endpoint answers with.
	usual func(delivery, *request) int
	// outcome is what becomes of every delivery.
	outcome outcome
}

// many is a schedule that outlasts every fault. step is its every wait.
var many = "[" + strings.TrimSuffix(strings.Repeat(`"1s", `, 100), ", ") + "]"

const step = time.Second

var webhooks = []webhook{
	{
		name: "good", topics: "*", timeout: 10 * time.Second, usual: always(http.StatusOK), outcome: arrives,
		options: `retry = ` + many,
	},
	{ // a fifth of the deliveries arrives at the second attempt only, and its queue is short
		name: "flaky", topics: "*", timeout: 10 * time.Second, outcome: arrives,
		usual: func(_ delivery, q *request) int {
			if q.attempt == 1 && q.id[0] < '3' {
				return http.StatusInternalServerError
			}
			return http.StatusAccepted
		},
		options: "concurrency = 8\nqueue = 20\nretry = " + many,
	},
	{ // one delivery of a key at a time, of which a fifth is answered well at the third attempt only
		name: "ordered", topics: "contact.tagged", timeout: 10 * time.Second, outcome: arrives,
		usual: func(_ delivery, q *request) int {
			if q.attempt <= 2 && q.id[0] < '3' {
				return http.StatusInternalServerError
			}
			return http.StatusOK
		},
		options: "order_by = " + orderBy + "\nqueue = 50\nretry = " + many,
	},
	{ // gives up soon on an endpoint that hangs
		name: "hasty", topics: "contact.tagged", timeout: time.Second, usual: always(http.StatusNoContent), outcome: arrives,
		options: "timeout = \"1s\"\nretry = " + many,
	},
	{
		name: "hopeless", topics: "contact.untagged", timeout: 10 * time.Second,
		usual: always(http.StatusInternalServerError), outcome: fails,
		options: `retry = ["1s"]`,
	},
	{ // a status that no retry follows
		name: "strict", topics: "contact.untagged", timeout: 10 * time.Second,
		usual: always(http.StatusUnprocessableEntity), outcome: fails,
		options: "permanent = [422]\nretry = " + many,
	},
	{ // disabled by its first delivery, for good
		name: "closed", topics: "contact.created", timeout: 10 * time.Second, usual: always(http.StatusGone), outcome: isParked,
		options: `retry = ` + many,
	},
	{ // the note is no JSON
		name: "mistaken", topics: "lead.created", timeout: 10 * time.Second, usual: always(http.StatusOK), outcome: isMistaken,
		options: "body = " + mistake,
	},
}

// mistake is the body of the webhook "mistaken"; correction makes it good.
const (
	mistake    = `{ contact = event.data.contact, parsed = jsondecode(event.data.contact.note) }`
	correction = `{ contact = event.data.contact }`
)

func always(status int) func(delivery, *request) int {
	return func(delivery, *request) int { return status }
}

func webhookNamed(name string) *webhook {
	for i := range webhooks {
		if webhooks[i].name == name {
			return &webhooks[i]
		}
	}
	return &webhook{name: name, usual: always(http.StatusNotFound), outcome: arrives}
}

// takes reports whether the webhook is sent a topic.
func (w *webhook) takes(topic string) bool { return w.topics == "*" || w.topics == topic }

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
