package cli

import (
	"testing"
	"time"
)

func TestUnits(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		count(1, "delivery"): "1 delivery", count(0, "delivery"): "0 deliveries", count(2, "webhook"): "2 webhooks",
		bytes(0): "0 B", bytes(1023): "1023 B", bytes(1024): "1.0 KiB", bytes(5 << 20): "5.0 MiB", bytes(1 << 62): "4.0 EiB",
		age(-time.Second): "0s", age(59 * time.Second): "59s", age(61 * time.Second): "1m 1s",
		age(3*time.Hour + 5*time.Minute): "3h 5m", age(49 * time.Hour): "2d 1h",
		moment(time.Time{}): "-", moment(time.Date(2025, 1, 31, 13, 0, 0, 0, time.FixedZone("", 3600))): "2025-01-31 12:00:00Z",
	} {
		if got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

func TestSince(t *testing.T) {
	t.Parallel()
	for text, ago := range map[string]time.Duration{"90s": 90 * time.Second, "2h": 2 * time.Hour, "7d": 7 * 24 * time.Hour, "0s": 0} {
		var f sinceFlag
		before := time.Now()
		if err := f.Set(text); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		// A day may have 23 or 25 hours.
		if d := before.Sub(f.at); d < ago-time.Hour-time.Minute || d > ago+time.Hour {
			t.Errorf("%s is %s ago", text, d)
		}
	}
	for text, want := range map[string]string{
		"2025-01-31": "2025-01-31T00:00:00Z", "2025-01-31T12:00:00+01:00": "2025-01-31T12:00:00+01:00",
	} {
		var f sinceFlag
		if err := f.Set(text); err != nil || f.String() != want {
			t.Errorf("%s gives %s, %v, not %s", text, f.String(), err, want)
		}
	}
	for _, text := range []string{"", "d", "-1d", "-2h", "1.5d", "99999999d", "yesterday", "31.1.2025"} {
		if err := new(sinceFlag).Set(text); err == nil {
			t.Errorf("%q was taken for a time", text)
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	table := newTable("NAME", ">COUNT", "")
	table.add("größer", "7", "x")
	table.add("a", "1234567", "")
	want := "NAME      COUNT\ngrößer        7  x\na       1234567\n"
	if table.String() != want {
		t.Errorf("got\n%s\nnot\n%s", table, want)
	}
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	if got := oneLine("a\x1b[31m\r\n\tb\u009b1mc"); got != "a [31m b 1mc" {
		t.Errorf("got %q", got)
	}
	if got := []rune(oneLine(string(make([]rune, 50)) + "ö" + string(make([]byte, 200)))); len(got) > maxExcerpt+1 {
		t.Errorf("%d characters", len(got))
	}
}

func TestClosest(t *testing.T) {
	t.Parallel()
	names := []string{"crm", "salesforce"}
	for given, want := range map[string]string{"cmr": "crm", "sales_force": "salesforce", "CRM": "crm", "x": "", "billing": ""} {
		if got := closest(given, names); got != want {
			t.Errorf("%s: %q, not %q", given, got, want)
		}
	}
}
