package config

import (
	"testing"
	"time"
)

func TestParseRate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Rate{
		"1/s":      {1, time.Second},
		"100/s":    {100, time.Second},
		"90/m":     {90, time.Minute},
		"100000/h": {100_000, time.Hour},
	} {
		got, err := parseRate(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s is %v, %q, %v", text, got, got.String(), err)
		}
	}
	for _, text := range []string{"", "100", "/s", "0/s", "-1/s", "1.5/s", "100001/s", "1/d", "1/ s", "1 /s", "1/sec", "1/S", "99999999999999999999/s"} {
		if got, err := parseRate(text); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
	if s := (Rate{}).String(); s != "" {
		t.Errorf("no rate is %q", s)
	}
}

func TestPacingOfDefaultsHoldsUnlessTheWebhookSaysOtherwise(t *testing.T) {
	t.Parallel()
	cfg := parseOne(t, `
		database { url = env("DATABASE_URL") }
		defaults {
			concurrency     = "auto"
			concurrency_max = 64
			rate_limit      = "10/s"
			breaker         = true
		}
		webhook "same" {
			topics = ["*"]
			url    = "https://example.com/"
		}
		webhook "other" {
			topics      = ["*"]
			url         = "https://example.com/"
			concurrency = 7
			rate_limit  = "1/m"
			breaker     = false
		}`)
	type pacing struct {
		Concurrency int
		Auto        bool
		RateLimit   Rate
		Breaker     bool
	}
	of := func(w *Webhook) pacing { return pacing{w.Concurrency, w.Auto, w.RateLimit, w.Breaker} }
	equal(t, "same", of(cfg.Webhook("same")), pacing{64, true, Rate{10, time.Second}, true})
	equal(t, "other", of(cfg.Webhook("other")), pacing{7, false, Rate{1, time.Minute}, false})
}
