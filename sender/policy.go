package sender

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// Policy is the one table of what an answer means and when to try again (DESIGN §4). It implements retryablehttp's
// CheckRetry and Backoff. A Policy is immutable and safe for concurrent use.
type Policy struct {
	schedule  []time.Duration
	success   []int
	permanent []int
	retryOn   []int
}

// Judge is asked what an answer means where its status does not say it. Its opinion is Delivered, Retry (it is not
// delivered) or Rejected (it never will be); anything else is none, and leaves the verdict to the status. The body is
// as in [Response]; neither it nor the header may be modified.
//
// Delivered stands whatever the status; Rejected unless the status is 410; Retry only takes Delivered away. It is not
// asked about statuses of RetryOn.
type Judge func(status int, header http.Header, body []byte) Verdict

// DefaultRetry returns the schedule of the guide: 5 minutes, 1 hour, 3 hours, each counted from the previous failure.
func DefaultRetry() []time.Duration {
	return []time.Duration{5 * time.Minute, time.Hour, 3 * time.Hour}
}

// Verdict is what an answer means, as [Endpoint.Send] says it. judge may be nil. It is for those who have an answer though
// nothing was sent, such as the tests of a configuration.
func (p *Policy) Verdict(status int, header http.Header, body []byte, judge Judge) Verdict {
	if judge == nil {
		return p.verdict(ClassStatus, status, nil)
	}
	return p.verdict(ClassStatus, status, func() Verdict { return judge(status, header, body) })
}

// verdict is the response table. judge may be nil; it is asked at most once.
func (p *Policy) verdict(class Class, status int, judge func() Verdict) Verdict {
	switch class {
	case ClassInterrupted:
		return Interrupted
	case ClassEgress, ClassInvalidURL, ClassInvalidRequest:
		return Rejected
	case ClassOK, ClassStatus:
	default:
		return Retry
	}
	if slices.Contains(p.retryOn, status) {
		return Retry
	}
	own := p.byStatus(status)
	if judge == nil {
		return own
	}
	switch opinion := judge(); {
	case opinion == Delivered:
		return Delivered
	case own == Gone:
		return Gone
	case opinion == Rejected, own == Rejected:
		return Rejected
	case opinion == Retry:
		return Retry
	default:
		return own
	}
}

// byStatus is what a status alone means. Order matters: an explicit success wins over 410, and 410 over permanent.
func (p *Policy) byStatus(status int) Verdict {
	switch {
	case slices.Contains(p.success, status):
		return Delivered
	case status == http.StatusGone:
		return Gone
	case slices.Contains(p.permanent, status):
		return Rejected
	case len(p.success) == 0 && status >= 200 && status <= 299:
		return Delivered
	default:
		return Retry
	}
}

// CheckRetry tells retryablehttp whether to dial again within the same attempt: only if the connection was refused or
// broke before a byte of the request was written to it, or the endpoint says that it has not processed the request
// (RFC 9113 §8.7), which net/http sends again by itself unless the request has no GetBody. Everything else is an attempt that counts, whose repetition
// [Policy.Next] schedules. The error is always nil, so that the client hands over what net/http said.
func (p *Policy) CheckRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if err == nil || resp != nil || ctx.Err() != nil {
		return false, nil
	}
	c := callOf(ctx)
	if c == nil {
		return false, nil
	}
	if c.wrote() {
		return unprocessed(err), nil
	}
	class := classify(err, c.conn != nil)
	return class == ClassRefused || class == ClassReset, nil
}

// Backoff is the wait after failed attempt attemptNum (from 0): the schedule's, or what a 429 or 503 asked for if that is
// longer, kept within least and most. A client that must not sleep (ours) has a most of 0. Past the schedule its
// last entry holds.
func (p *Policy) Backoff(least, most time.Duration, attemptNum int, resp *http.Response) time.Duration {
	return clamp(p.wait(attemptNum, retryAfter(resp, time.Now())), least, most)
}

// Next says whether a delivery whose attempt (from 1) came to o is tried again, and after which delay from now. An
// interrupted attempt is due at once. After the last retry again is false, and the delivery has failed.
func (p *Policy) Next(attempt int, o Outcome) (delay time.Duration, again bool) {
	switch o.Verdict {
	case Interrupted:
		return 0, true
	case Retry:
		if attempt > len(p.schedule) {
			return 0, false
		}
		return p.wait(attempt-1, o.RetryAfter), true
	default:
		return 0, false
	}
}

// wait is what Backoff and Next agree on.
func (p *Policy) wait(attemptNum int, asked time.Duration) time.Duration {
	if len(p.schedule) == 0 {
		return asked
	}
	i := clamp(attemptNum, 0, len(p.schedule)-1)
	return max(p.schedule[i], asked)
}

func clamp[T int | time.Duration](v, lowest, highest T) T {
	return min(max(v, lowest), highest)
}
