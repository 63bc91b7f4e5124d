package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzParse: whatever the source, the loader must not panic, must show no secret and
// must give a configuration exactly if it reports no error.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.hcl", "testdata/good/*/*.hcl", "testdata/bad/*.hcl", "testdata/bad/*/*.hcl", "*.hcl"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			src, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	const secret = "Zq7-Secret-Of-The-Fuzzer-9xK"
	f.Fuzz(func(t *testing.T, src []byte) {
		env := WithEnv(func(string) (string, bool) { return secret, true })
		cfg, diags := Parse(map[string][]byte{"fuzz.hcl": src}, env, WithFolder(t.TempDir()))
		if text := render(t, cfg, diags); !strings.Contains(string(src), secret) && strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
			t.Errorf("the secret is shown:\n%s", text)
		}
		if encoded, err := DiagnosticsJSON(cfg.Files, diags); err != nil || len(encoded) == 0 {
			t.Errorf("JSON: %v", err)
		}
		if diags.HasErrors() != (cfg.Functions == nil) {
			t.Errorf("errors %v, configuration %v", diags.HasErrors(), cfg)
		}
	})
}
