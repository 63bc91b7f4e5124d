//go:build unix

package integrations

import (
	"testing"

	"github.com/walpost/walpost/internal/ruletest"
)

// The test blocks of every walpost.hcl pass, as they do with `walpost test`.
func TestBlocks(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, example string) {
		results, diags := ruletest.Run(t.Context(), load(t, example, nil), nil)
		if diags.HasErrors() || len(results) < 2 {
			t.Fatalf("%d tests, %v", len(results), diags)
		}
		for _, r := range results {
			for _, f := range r.Failures {
				t.Errorf("%s: %s: %s\n%s", r.Name, f.Where, f.Summary, f.Diff)
			}
		}
	})
}
