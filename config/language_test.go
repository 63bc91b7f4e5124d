package config

import "testing"

func TestLoadLanguage(t *testing.T) {
	t.Parallel()
	cfg, diags := Load("testdata/good/language.hcl", withTestEnv())
	requireNone(t, cfg, diags)
}
