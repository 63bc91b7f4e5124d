package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// count is a number with its noun: "1 error", "3 errors", "2 deliveries".
func count[N int | int64 | uint64](n N, noun string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, noun)
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok {
		noun = stem + "ie"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// bytes is a size for people, in powers of 1024.
func bytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), 0
	for units := "KMGTPE"; f >= 1024 && unit < len(units); unit++ {
		f /= 1024
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGTPE"[unit-1])
}

// age is a duration for people, to the two largest units.
func age(d time.Duration) string {
	s := int64(max(d, 0) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm %ds", s/60, s%60)
	case s < 24*3600:
		return fmt.Sprintf("%dh %dm", s/3600, s/60%60)
	default:
		return fmt.Sprintf("%dd %dh", s/(24*3600), s/3600%24)
	}
}

// moment is a time for people, in UTC to the second; "-" for none.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// sinceFlag is a point in time: a duration before now (90s, 2h, 7d), a date or an RFC 3339 time.
type sinceFlag struct{ at time.Time }

var errSince = errors.New("give a duration such as 2h or 7d, a date such as 2025-01-31 (UTC), or an RFC 3339 time")

// Set implements pflag.Value.
func (f *sinceFlag) Set(s string) error {
	now := time.Now()
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 36500 {
			return errSince
		}
		f.at = now.AddDate(0, 0, -n)
		return nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		f.at = now.Add(-d)
		return nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			f.at = t
			return nil
		}
	}
	return errSince
}

// String implements pflag.Value.
func (f *sinceFlag) String() string {
	if f.at.IsZero() {
		return ""
	}
	return f.at.Format(time.RFC3339)
}

// Type implements pflag.Value.
func (f *sinceFlag) Type() string { return "TIME" }
