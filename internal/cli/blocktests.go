package cli

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/admin"
	"github.com/walpost/walpost/internal/ruletest"
)

func (a *app) testCommand() *cobra.Command {
	t := &testRun{app: a}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Run the configuration's test blocks",
		Long: `Run the test blocks of the configuration: each event goes through the rules, and the
requests that come of it are compared with those that the test expects. Sends and
connects to nothing. Exits with 4 if a test fails, with 3 if the configuration is
invalid. Bodies are compared as JSON; what a test doesn't name isn't compared.`,
		Example: `  walpost test
  walpost test -run 'crm|slack'
  walpost test --junit report.xml       # for CI
  walpost test -json | jq '.tests[] | select(.passed | not)'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				t.out = outputJSON
			}
			return t.run(cmd.Context())
		},
	}
	t.out.addTo(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "the same as -o json")
	cmd.Flags().StringVar(&t.junit, "junit", "", "also write a JUnit report into this `FILE`")
	cmd.Flags().StringVar(&t.pattern, "run", "", "only the tests whose name matches this `REGEXP`")
	cmd.Flags().BoolVarP(&t.verbose, "verbose", "v", false, "also list the tests that pass")
	return cmd
}

// testRun is one run of walpost test.
type testRun struct {
	*app
	out            output
	junit, pattern string
	verbose        bool
}

// testsDocument is the document of walpost test -o json.
type testsDocument struct {
	Format int               `json:"format"`
	Passed int               `json:"passed"`
	Failed int               `json:"failed"`
	Tests  []ruletest.Result `json:"tests"` // in file order
}

func (t *testRun) run(ctx context.Context) error {
	pattern, err := regexp.Compile(t.pattern)
	if err != nil {
		return usage("walpost test --run 'crm|slack'", "--run is no regular expression: %v", err)
	}
	cfg, err := t.load()
	if err != nil {
		return err
	}
	began := time.Now()
	results, diagnostics := ruletest.Run(ctx, cfg, pattern.MatchString)
	if diagnostics.HasErrors() {
		return t.refuse(cfg.Files, diagnostics)
	}
	if err := t.someRan(cfg, results); err != nil {
		return err
	}
	document := testsDocument{Format: admin.Format, Tests: results}
	for _, r := range results {
		if r.Passed {
			document.Passed++
		} else {
			document.Failed++
		}
	}
	if t.junit != "" {
		if err := writeJUnit(t.junit, document, time.Since(began)); err != nil {
			return err
		}
	}
	if err := t.out.write(t.Stdout, document, func() string { return t.text(document, time.Since(began)) }); err != nil {
		return err
	}
	if document.Failed > 0 {
		return &failure{code: exitCheck}
	}
	return nil
}

// someRan refuses to call it a success when nothing was tested.
func (t *testRun) someRan(cfg *config.Config, results []ruletest.Result) error {
	switch {
	case len(results) > 0:
		return nil
	case len(cfg.Tests) > 0:
		names := make([]string, len(cfg.Tests))
		for i, test := range cfg.Tests {
			names[i] = test.Name
		}
		return usage("walpost test", "no test's name matches %q. They are: %s", t.pattern, strings.Join(names, ", "))
	}
	return failed("write one: test \"a tag reaches the crm\" { event { … } expect \"crm\" { … } }", "the configuration has no test blocks")
}

func (t *testRun) text(d testsDocument, took time.Duration) string {
	var b strings.Builder
	for _, r := range d.Tests {
		if r.Passed && !t.verbose {
			continue
		}
		word := "FAIL"
		if r.Passed {
			word = "ok  "
		}
		fmt.Fprintf(&b, "%s  %s  (%s)\n", word, printable(r.Name), r.Where)
		for _, f := range r.Failures {
			b.WriteString("      " + f.Where + ": " + indent(printable(f.Summary), 6) + "\n")
			if f.Diff != "" {
				b.WriteString("        " + indent(t.paintDiff(printable(f.Diff)), 8) + "\n")
			}
		}
	}
	if d.Failed == 0 {
		fmt.Fprintf(&b, "ok: %s passed in %.2fs\n", count(d.Passed, "test"), took.Seconds())
	} else {
		fmt.Fprintf(&b, "FAIL: %d of %s failed in %.2fs\n", d.Failed, count(len(d.Tests), "test"), took.Seconds())
	}
	return b.String()
}

// paintDiff colors the lines of a unified diff, on a terminal.
func (a *app) paintDiff(diff string) string {
	if no, _ := a.LookupEnv("NO_COLOR"); no != "" || !isTerminal(a.Stdout) {
		return diff
	}
	lines := strings.Split(diff, "\n")
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "-"):
			lines[i] = "\x1b[31m" + line + "\x1b[0m"
		case strings.HasPrefix(line, "+"):
			lines[i] = "\x1b[32m" + line + "\x1b[0m"
		}
	}
	return strings.Join(lines, "\n")
}

// writeJUnit writes the report that CI systems read.
func writeJUnit(path string, d testsDocument, took time.Duration) error {
	text, err := junitReport(d, took)
	if err != nil {
		return fmt.Errorf("write the JUnit report: %w", err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("write the JUnit report: %w", err)
	}
	return nil
}
