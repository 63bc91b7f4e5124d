package cli

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/route"
)

func (a *app) checkCommand() *cobra.Command {
	var out output
	var strict bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and show every problem",
		Long: `Check the configuration: syntax, names, types, topics, secrets. Shows all
problems at once, each with its line, and exits with 3 if there is an error;
--strict, for CI, also if there is a warning. Connects to nothing.`,
		Example: `  walpost check
  walpost check --strict
  walpost check -c /etc/walpost -o json`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return a.check(out, strict) },
	}
	out.addTo(cmd)
	cmd.Flags().BoolVar(&strict, "strict", false, "exit with 3 on warnings, too")
	return cmd
}

func (a *app) check(out output, strict bool) error {
	cfg, diagnostics, err := a.read()
	if err != nil {
		return err
	}
	if !diagnostics.HasErrors() {
		_, more := route.Compile(cfg)
		diagnostics = append(diagnostics, more...)
	}
	if out == outputJSON {
		return a.checkJSON(cfg, diagnostics, strict)
	}
	if diagnostics.HasErrors() {
		return a.refuse(cfg.Files, diagnostics)
	}
	if err := config.WriteDiagnostics(a.stderr, cfg.Files, diagnostics, a.colors()); err != nil {
		return err
	}
	_, warnings := tally(diagnostics)
	if strict && warnings > 0 {
		return &failure{
			code: exitConfiguration, problem: "the configuration has " + count(warnings, "warning"), fix: "correct it, or leave --strict out",
		}
	}
	if prefix := cfg.Outbox.Messages; prefix != "" {
		if _, err := fmt.Fprintf(a.Stdout, "note: logical messages with prefix %q are not recoverable after the loss of the slot\n", prefix); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(a.Stdout, "ok: %s, %s, %s%s\n", count(len(cfg.Webhooks), "webhook"),
		count(len(cfg.Topics), "topic"), count(len(cfg.Rules), "rule"), ifAny(warnings, "warning"))
	return err
}

// ifAny is ", 2 warnings", or "" for none.
func ifAny(n int, noun string) string {
	if n == 0 {
		return ""
	}
	return ", " + count(n, noun)
}

func (a *app) checkJSON(cfg *config.Config, diagnostics hcl.Diagnostics, strict bool) error {
	document, err := config.DiagnosticsJSON(cfg.Files, diagnostics)
	if err != nil {
		return err
	}
	if _, err := a.Stdout.Write(document); err != nil {
		return err
	}
	if diagnostics.HasErrors() || strict && len(diagnostics) > 0 {
		return &failure{code: exitConfiguration}
	}
	return nil
}
