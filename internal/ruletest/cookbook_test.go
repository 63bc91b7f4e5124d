package ruletest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/ruletest"
)

const cookbook = "../../docs/cookbook"

// environment reads the file with the variables of the recipes.
func environment(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(cookbook, "test.env"))
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			env[name] = value
		}
	}
	return env
}

func recipes(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(cookbook, "*.hcl"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d recipes, %v; there are to be 20 at least", len(files), err)
	}
	return files
}

func problems(cfg *config.Config, diagnostics hcl.Diagnostics) string {
	var b strings.Builder
	if err := config.WriteDiagnostics(&b, cfg.Files, diagnostics, false); err != nil {
		return err.Error()
	}
	return b.String()
}

// Every recipe is formatted, has no problem, not even a warning, and passes its own tests, of which each webhook has one.
func TestRecipesWork(t *testing.T) {
	t.Parallel()
	env := environment(t)
	for _, file := range recipes(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			cfg, diagnostics := config.Load(file, config.WithEnv(func(name string) (string, bool) {
				value, ok := env[name]
				return value, ok
			}))
			if diagnostics.HasErrors() {
				t.Fatal(problems(cfg, diagnostics))
			}
			results, more := ruletest.Run(t.Context(), cfg, nil)
			if diagnostics = append(diagnostics, more...); len(diagnostics) > 0 {
				t.Error(problems(cfg, diagnostics))
			}
			if len(results) == 0 {
				t.Error("it has no tests")
			}
			for _, r := range results {
				for _, f := range r.Failures {
					t.Errorf("%s: %s: %s\n%s", r.Name, f.Where, f.Summary, f.Diff)
				}
			}
			for _, w := range cfg.Webhooks {
				if !slices.ContainsFunc(cfg.Tests, func(test *config.Test) bool {
					return slices.ContainsFunc(test.Expects, func(e *config.Expect) bool { return e.Webhook == w.Name })
				}) {
					t.Errorf("no test expects a request of %s", w.Name)
				}
			}
			source := cfg.Files[file].Bytes
			if string(hclwrite.Format(source)) != string(source) {
				t.Error("it is not formatted: walpost fmt docs/cookbook")
			}
		})
	}
}

// The list of recipes is that of the files, with the title that each begins with.
func TestCookbookListsItsRecipes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(cookbook, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var listed, want []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "- [") {
			listed = append(listed, strings.TrimSpace(line))
		}
	}
	for _, file := range recipes(t) {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		title, rest, _ := strings.Cut(string(source), "\n")
		if !strings.HasPrefix(title, "# ") || !strings.HasPrefix(rest, "#\n# ") {
			t.Errorf("%s does not begin with a title and an explanation", file)
		}
		want = append(want, fmt.Sprintf("- [%s](%s)", strings.TrimPrefix(title, "# "), filepath.Base(file)))
	}
	if !slices.Equal(listed, want) {
		t.Errorf("README.md lists\n%s\nnot\n%s", strings.Join(listed, "\n"), strings.Join(want, "\n"))
	}
}
