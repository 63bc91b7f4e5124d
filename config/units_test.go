package config

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"10s": 10 * time.Second, "5m": 5 * time.Minute, "24h": 24 * time.Hour, "7d": 168 * time.Hour,
		"1h30m": 90 * time.Minute, "1d12h": 36 * time.Hour, "250ms": 250 * time.Millisecond, "0": 0, "5 m": 5 * time.Minute,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "10", "s", "-5s", "1.5h", "5 minutes", "1w", "99999999999999999999s", "200000d", "106751d106751d", "5s " + "x"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"16MiB": 16 << 20, "1 GiB": 1 << 30, "512KiB": 512 << 10, "10kB": 10_000, "10KB": 10_000, "2MB": 2e6, "1GB": 1e9, "7B": 7,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "16", "MiB", "1.5MiB", "16mib", "1MiB2KiB", "-1B", "9999999999GiB", "99999999999999999999B"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestUnitsRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, 1e12).Draw(t, "milliseconds")) * time.Millisecond
		if got, err := parseDuration(formatDuration(d)); err != nil || got != d {
			t.Fatalf("%s: %v, %v", formatDuration(d), got, err)
		}
		n := rapid.Int64Range(0, 1<<50).Draw(t, "bytes")
		if got, err := parseSize(formatSize(n)); err != nil || got != n {
			t.Fatalf("%s: %v, %v", formatSize(n), got, err)
		}
	})
}

func TestSuggest(t *testing.T) {
	t.Parallel()
	topics := []string{"contact.created", "contact.tagged", "lead.created", "user.created", "contact.unsubscribed_from_emails"}
	for given, want := range map[string]string{
		"lead.creatd":                     "lead.created",
		"Lead.Created":                    "lead.created",
		"tagged":                          "contact.tagged",
		"created.lead":                    "lead.created",
		"contact-tagged":                  "contact.tagged",
		"contact.unsubscribed_from_email": "contact.unsubscribed_from_emails",
		"something.else":                  "",
		"":                                "",
	} {
		if got := suggestTopic(given, topics); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
	for given, want := range map[string]string{"tpye": "type", "ip": "id", "typ": "type", "xy": ""} {
		if got := suggest(given, []string{"id", "type", "lsn"}); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
}
