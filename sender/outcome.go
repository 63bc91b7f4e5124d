package sender

import (
	"fmt"
	"net/http"
	"time"
)

// Verdict is what an attempt means for its delivery. It is a closed enum: the same value is the metric label, the
// log field and the input of [Policy.Next]. The zero value is no verdict.
type Verdict uint8

// The verdicts, by the table of DESIGN §4.
const (
	// Delivered: the receiver has it.
	Delivered Verdict = iota + 1
	// Retry: it failed, and the schedule says when to try again.
	Retry
	// Gone: the receiver answered 410; nothing more is sent to this webhook until somebody enables it.
	Gone
	// Rejected: it can never succeed as it stands; final.
	Rejected
	// Interrupted: our own shutdown cut it off; due again at once, and not counted.
	Interrupted
)

var verdictNames = [...]string{"", "delivered", "retry", "gone", "rejected", "interrupted"}

// String returns the verdict's label: delivered, retry, gone, rejected or interrupted.
func (v Verdict) String() string {
	if int(v) >= len(verdictNames) {
		return fmt.Sprintf("verdict(%d)", uint8(v))
	}
	return verdictNames[v]
}

// Class says what happened on the wire. Like [Verdict] it is a closed enum, fit for a metric label. The zero value is
// no class.
type Class uint8

// The classes of an outcome.
const (
	// ClassOK: the answer counts as delivered.
	ClassOK Class = iota + 1
	// ClassStatus: any other answer; [Outcome.Status] says which.
	ClassStatus
	// ClassTimeout: no response headers within the timeout.
	ClassTimeout
	// ClassDNS: the host name was not resolved.
	ClassDNS
	// ClassRefused: the connection was refused.
	ClassRefused
	// ClassUnreachable: no connection came about for another reason, e.g. no route to the host.
	ClassUnreachable
	// ClassReset: the connection broke before the response headers were complete.
	ClassReset
	// ClassTLS: the TLS handshake or the verification of the certificate went wrong.
	ClassTLS
	// ClassProtocol: what came back is not HTTP, or its headers exceed [MaxResponseHeader].
	ClassProtocol
	// ClassAuth: there is no token to send, as the token endpoint refused it or was not reached.
	ClassAuth
	// ClassEgress: every address of the host is denied by the [Guard].
	ClassEgress
	// ClassInvalidURL: the URL does not parse, has no host, or is neither http nor https.
	ClassInvalidURL
	// ClassInvalidRequest: the method is not one of those sent, or a header is not allowed in HTTP.
	ClassInvalidRequest
	// ClassInterrupted: the caller's context ended.
	ClassInterrupted
)

var classNames = [...]string{
	"", "ok", "status", "timeout", "dns", "refused", "unreachable", "reset", "tls", "protocol",
	"auth", "egress", "invalid_url", "invalid_request", "interrupted",
}

// String returns the class's label, e.g. "timeout".
func (c Class) String() string {
	if int(c) >= len(classNames) {
		return fmt.Sprintf("class(%d)", uint8(c))
	}
	return classNames[c]
}

// Outcome is what one attempt came to.
type Outcome struct {
	Verdict Verdict
	Class   Class
	// Status is the HTTP status, 0 where there was no answer.
	Status int
	// SentAt is the start of the attempt; its Unix seconds are the webhook-timestamp.
	SentAt time.Time
	// Duration is the time from SentAt to the response headers, or to the failure; what a new token took is in it.
	Duration time.Duration
	// Wait is the part of Duration that the endpoint needed for its answer: from when there was a connection. 0 without one.
	Wait time.Duration
	// RetryAfter is what a 429 or 503 asked for, a token endpoint's too, at most [MaxRetryAfter]; 0 if it asked for nothing.
	RetryAfter time.Duration
	// Excerpt is the beginning of the response body: at most [MaxExcerpt] bytes of valid UTF-8 without NUL.
	Excerpt []byte
	// Response is what was answered, nil if nothing was, or if the attempt had no [Judge].
	Response *Response
	// Err says why the verdict is not Delivered. Its text has neither path, query nor user info of the URL, and no secret.
	Err error
}

// Response is an answer as a [Judge] saw it.
type Response struct {
	// Header are the response headers, without Location.
	Header http.Header
	// Body is the beginning of the response body, at most [MaxBody] bytes: less than all of it if it was longer, broke off or
	// didn't come in time. It is nil if it came compressed, which nobody asked for.
	Body []byte
}

// StatusError is the Err of an answer that does not count as delivered.
type StatusError struct {
	Status int
	// Judged is whether the verdict is the attempt's [Judge]'s, and not that of the status.
	Judged bool
}

// Error names the status.
func (e *StatusError) Error() string {
	switch {
	case e.Judged:
		return fmt.Sprintf("answered %d, which by its content does not count as delivered", e.Status)
	case e.Status >= 300 && e.Status < 400:
		return fmt.Sprintf("answered %d, and redirects are not followed", e.Status)
	default:
		return fmt.Sprintf("answered %d", e.Status)
	}
}
