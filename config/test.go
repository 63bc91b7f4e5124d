package config

import (
	"encoding/json"
	"net/http"

	"github.com/hashicorp/hcl/v2"

	"github.com/walpost/walpost/outbox"
)

// Test is a `test` block: what becomes of an event, without sending anything.
type Test struct {
	Name string // the block's label, any text

	// Events has the row of each `event` block, as the outbox would give it: at least
	// one; several only in a test of batches. What a block doesn't say is made up, the
	// same each time.
	Events []*outbox.Row
	// Captured is what captured(webhook, key) answers, as JSON: Captured[webhook][key].
	Captured map[string]map[string]json.RawMessage
	// Response is what the endpoints answer; nil: nothing is judged.
	Response *TestResponse

	Expects []*Expect // requests that must be made
	// ExpectNone names webhooks that must not get the events.
	ExpectNone []string

	DeclRange hcl.Range
}

// TestResponse is the answer that a test gives.
type TestResponse struct {
	Status int
	Header http.Header // canonical names
	Body   []byte      // JSON text of `json`, or the text of `body`

	DeclRange hcl.Range
}

// Expect is an `expect` block: what the request of one webhook must be. What is not
// named is not compared; a name that stands for nil must not be there.
type Expect struct {
	Webhook string
	Topic   string             // "": not compared
	Method  string             // "": not compared
	URL     string             // "": not compared; compared without the query if it has none
	Query   map[string]*string // nil: not compared
	Headers map[string]*string // lower-case names; nil: not compared
	Form    map[string]*string // nil: not compared
	Body    json.RawMessage    // nil: not compared. It is compared as JSON.

	// What follows is about the answer, and there only with a Response.
	Verdict Verdict                    // "": not compared
	Capture map[string]json.RawMessage // what is kept, by key; nil: not compared
	Failed  []string                   // ids of the events that the batch's answer did not accept; nil: not compared

	DeclRange hcl.Range
}

// Verdict is what a test expects an attempt to mean (DESIGN §4).
type Verdict string

// The verdicts that a test can expect.
const (
	VerdictDelivered Verdict = "delivered"
	VerdictRetry     Verdict = "retry"
	VerdictRejected  Verdict = "rejected"
	VerdictGone      Verdict = "gone"
)
