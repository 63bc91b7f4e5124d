package config

import (
	"time"

	"github.com/hashicorp/hcl/v2"
)

// Webhook says which topics go to which URL, and how.
type Webhook struct {
	Name   string   // the block's label
	Title  string   // the `name` argument; by default Name
	Topics []string // names and globs, see MatchTopic
	When   hcl.Expression

	Method     string         // GET, HEAD, POST, PUT, PATCH or DELETE; default POST
	URL        hcl.Expression // a string whose scheme and host no event decides
	Headers    []Param        // source order, those of `defaults` first
	BodyParams []Param        // source order
	Body       hcl.Expression // nil: by Envelope
	Envelope   Envelope

	// Timeout, Retry, Success and Permanent are nil or zero where neither the
	// webhook nor `defaults` says anything, except that Load fills in the guide's
	// 10 s and 5 min, 1 h, 3 h. An empty, non-nil Retry means no retries.
	Timeout   time.Duration
	Retry     []time.Duration
	Success   []int // statuses that count as delivered; nil: 2xx
	Permanent []int // statuses that no retry follows; nil: none but 410

	Enabled     bool
	Concurrency int   // requests at a time; default 32
	Queue       int   // deliveries waiting in memory; default 1000
	Sign        *Sign // nil: not signed

	DeclRange hcl.Range
}

// Param is a named expression: a header or a body parameter.
type Param struct {
	Name  string
	Value hcl.Expression
}

// Sign holds the secrets of Standard Webhooks signatures, as "whsec_" and base64
// or as base64 alone.
type Sign struct {
	Secret   Secret
	Previous Secret // the secret that is being rotated out; empty: none
}

// Envelope is the shape of a webhook's default body.
type Envelope string

const (
	// EnvelopeGist is {"id","topic","created_at", …the data's own keys}; the default.
	EnvelopeGist Envelope = "gist"
	// EnvelopeStandard is Standard Webhooks' {"type","timestamp","data"}.
	EnvelopeStandard Envelope = "standard"
	// EnvelopeRaw is the data alone.
	EnvelopeRaw Envelope = "raw"
)
