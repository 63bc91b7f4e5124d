package sender

import (
	"net/http"
	"strings"
	"time"
)

// MaxRetryAfter caps what a receiver can ask for by Retry-After.
const MaxRetryAfter = 24 * time.Hour

// retryAfter reads the Retry-After of a 429 or a 503 (RFC 9110 §10.2.3), which is seconds or an HTTP date; 0 if there is
// none, it lies in the past, or it is neither. A date is counted from the response's own Date, so that a receiver
// whose clock is wrong gets the delay that it meant.
func retryAfter(resp *http.Response, now time.Time) time.Duration {
	if resp == nil || resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	value := strings.TrimSpace(resp.Header.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if seconds, ok := deltaSeconds(value); ok {
		return seconds
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		now = date
	}
	return clamp(at.Sub(now), 0, MaxRetryAfter)
}

// deltaSeconds reads a run of digits of any length; strconv would call a long one an error.
func deltaSeconds(value string) (time.Duration, bool) {
	var total time.Duration
	for _, digit := range []byte(value) {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		total = min(total*10+time.Duration(digit-'0')*time.Second, MaxRetryAfter)
	}
	return total, true
}
