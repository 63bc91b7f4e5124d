package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fuzzExpressions are seeds for what the language can say.
var fuzzExpressions = []string{
	`local.a`, `local["a"]`, `local`, `event`, `events`, `events[0].data.contact.tags[*].name`, `response.headers["x-a"]`,
	`[for e in events : { for k, v in e.data : k => v... }]`, `[for a in range(999) : [for b in range(a) : [for c in range(b) : c]]]`,
	`event.type == "a" && !(event.type != "b") || contains(["x"], event.type)`, `captured("w", event.id)`, `captured("w")`,
	`try(env("A"), file("/etc/hostname"), null)`, `{ (env("A")) = 1 }`, `"${env("A")}-${event.id}"`, `hmac_sha256(env("A"), "b")`,
	`sum([1, "2", null])`, `one(event.data)`, `index([1], event.data)`, `matchkeys([1], [2], [3])`, `transpose({ a = ["b"] })`, `uuidv5("dns", env("A"))`,
	`event.data.contact.emial`, `(event.data).contact`, `[for t in event.data.contact.tags : t.nam]`, `1 == event.aggregate_id`, `false`, `null`, `"Bearer sk_live_51HxQabc"`,
}

// FuzzParse: whatever the source, the loader must not panic, must show no secret and
// must give a configuration exactly if it reports no error.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.hcl", "testdata/good/*/*.hcl", "testdata/bad/*.hcl", "testdata/bad/*/*.hcl", "testdata/odd/*.hcl", "*.hcl", "../examples/*/*.hcl", "../examples/*/*/*.hcl"} {
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
	for _, expression := range fuzzExpressions {
		f.Add([]byte("locals {\n a = " + expression + "\n b = local.a\n}\nwebhook \"w\" {\n topics = [\"*\"]\n url = \"https://example.com/${local.b}\"\n when = " +
			expression + "\n query = { token = " + expression + " }\n success_when = " + expression + "\n batch {\n failed = " + expression + "\n }\n}\n" +
			"test \"t\" {\n event {\n type = \"x\"\n payload = { a = " + expression + " }\n }\n expect_none = [\"w\"]\n}\n"))
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
