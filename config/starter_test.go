package config

import (
	"strings"
	"testing"
)

func TestStarterLoads(t *testing.T) {
	t.Parallel()
	cfg := parseOne(t, string(Starter()))
	if cfg.Webhooks[0].Enabled {
		t.Error("the starter's webhook would send to example.com")
	}
}

// TestStarterExamplesLoad takes the comment signs off the starter's examples: they
// must be right, too.
func TestStarterExamplesLoad(t *testing.T) {
	t.Parallel()
	var lines []string
	for _, line := range strings.Split(string(Starter()), "\n") {
		text := strings.TrimSpace(line)
		if code, ok := strings.CutPrefix(text, "# "); ok && isCode(code) {
			line = code
		}
		lines = append(lines, line)
	}
	src := strings.Join(lines, "\n")
	// Two things can be said only once.
	src = strings.Replace(src, `url    = "https://example.com/hooks"`, "", 1)
	env := map[string]string{
		"DATABASE_URL": "postgres://a/b", "DATABASE_DIRECT_URL": "postgres://a/b", "EXAMPLE_TOKEN": "x",
		"EXAMPLE_SECRET": environment["CRM_SECRET"], "WALPOST_ADMIN_TOKEN": "x",
	}
	cfg, diags := Parse(map[string][]byte{"starter.hcl": []byte(src)}, WithEnv(func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}))
	requireNone(t, cfg, diags)
	if cfg.Webhooks[0].Sign == nil || cfg.Admin == nil || len(cfg.Rules) != 1 || cfg.Topic("invoice.paid") == nil {
		t.Error("an example was not taken up")
	}
}

func isCode(line string) bool {
	line = strings.TrimSpace(line)
	return strings.Contains(line, " = ") && !strings.HasSuffix(line, ".") || strings.HasSuffix(line, "{") || line == "}"
}
