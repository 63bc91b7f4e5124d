package ruletest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/ruletest"
)

const secret = "the-secret-key"

func load(t *testing.T, file string) *config.Config {
	t.Helper()
	cfg, diagnostics := config.Load(file, config.WithEnv(func(string) (string, bool) { return secret, true }))
	if diagnostics.HasErrors() {
		t.Fatal(problems(cfg, diagnostics))
	}
	return cfg
}

// What failing tests say, word for word. Renewed by
//
//	UPDATE=1 go test ./internal/ruletest
func TestFailures(t *testing.T) {
	t.Parallel()
	const golden = "testdata/failures.txt"
	results, diagnostics := ruletest.Run(t.Context(), load(t, "testdata/failures.hcl"), nil)
	if diagnostics.HasErrors() {
		t.Fatal(diagnostics)
	}
	var b strings.Builder
	for _, r := range results {
		fmt.Fprintf(&b, "== %s (%s): passed %t\n", r.Name, r.Where, r.Passed)
		for _, f := range r.Failures {
			fmt.Fprintf(&b, "%s: [%s] %s\n%s", f.Where, f.Webhook, f.Summary, f.Diff)
		}
		if r.Passed != (len(r.Failures) == 0) {
			t.Errorf("%s: passed is %t with %d failures", r.Name, r.Passed, len(r.Failures))
		}
	}
	got := b.String()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := ruletest.Diff("want", string(want), "got", got); diff != "" {
		t.Error(diff)
	}
	for _, form := range []string{secret, "dTp0aGUtc2VjcmV0LWtleQ", "dGhlLXNlY3JldC1rZXk"} {
		if strings.Contains(got, form) {
			t.Errorf("the secret is shown, as %s", form)
		}
	}
}

func TestRunSelects(t *testing.T) {
	t.Parallel()
	results, _ := ruletest.Run(t.Context(), load(t, "testdata/failures.hcl"), func(name string) bool { return name == "a batch" })
	if len(results) != 1 || results[0].Name != "a batch" {
		t.Errorf("got %+v", results)
	}
}

func TestPrettyJSON(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		`{"b":1,"a":[]}`:             "{\n  \"a\": [],\n  \"b\": 1\n}",
		`{}`:                         "{}",
		`[1,{"x":null}]`:             "[\n  1,\n  {\n    \"x\": null\n  }\n]",
		`1.0`:                        "1",
		`1e2`:                        "100",
		`-0`:                         "0",
		`1.50`:                       "1.5",
		`15e-1`:                      "1.5",
		`0.00012e1`:                  "0.0012",
		`12345678901234567890.10`:    "12345678901234567890.1",
		`1e999999999`:                "1e999999999",
		`1E-999999999`:               "1E-999999999",
		`"<&>"`:                      `"<&>"`,
		`"é\u00e9"`:                  `"éé"`,
		`not json`:                   "not json",
		`{"a":1} {"b":2}`:            `{"a":1} {"b":2}`,
		`{"a":1,"a":2}`:              "{\n  \"a\": 2\n}",
		"":                           "",
		`true`:                       "true",
		`{"a":{"b":{}}}`:             "{\n  \"a\": {\n    \"b\": {}\n  }\n}",
		`123456789012345678901234.5`: "123456789012345678901234.5",
	} {
		if got := ruletest.PrettyJSON([]byte(given)); got != want {
			t.Errorf("%s gives %s, not %s", given, got, want)
		}
	}
}

func TestPrettyJSONOfDeepText(t *testing.T) {
	t.Parallel()
	const depth = 9000
	deep := strings.Repeat("[", depth) + "1" + strings.Repeat("]", depth)
	if got := ruletest.PrettyJSON([]byte(deep)); len(got) > depth*300 || strings.Join(strings.Fields(got), "") != deep {
		t.Errorf("%d bytes became %d", len(deep), len(got))
	}
}

// The one form of a value is its own form, and still the same value.
func FuzzPrettyJSON(f *testing.F) {
	for _, seed := range []string{`{"b":1.50,"a":[1e3,-0,"x"]}`, `1e-7`, `[]`, `"\ud800"`, `1.e`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		pretty := ruletest.PrettyJSON(text)
		if again := ruletest.PrettyJSON([]byte(pretty)); again != pretty {
			t.Errorf("%q, then %q", pretty, again)
		}
		if json.Valid(text) && !json.Valid([]byte(pretty)) {
			t.Errorf("%q became %q, which is no JSON", text, pretty)
		}
	})
}
