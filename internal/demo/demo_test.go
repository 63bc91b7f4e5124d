//go:build unix

package demo

import (
	"strings"
	"testing"
)

// The demo does what it is for and says so: this is walpost's whole way, end to end.
func TestOnce(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := Run(t.Context(), Options{Once: true, Out: &out, Width: 80, Version: "1.2.3"}); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
	text := out.String()
	for _, want := range append(names(load(t).Topics),
		"walpost demo 1.2.3", `webhook "flaky" {`, "rolled back, must never arrive", "500 again in 2s", "410 disabled",
		"200 after 1.0 s", "rolled-back rows: 12, arrived: 0", "unaccounted: 0") {
		if !strings.Contains(text, want) {
			t.Errorf("the demo doesn't show %q", want)
		}
	}
	for line := range strings.Lines(text) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 && !strings.Contains(line, "postgres started") {
			t.Errorf("a line has %d columns: %s", n, line)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}
