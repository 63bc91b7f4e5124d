package cli

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/walpost/walpost/internal/demo"
)

func (a *app) demoCommand() *cobra.Command {
	o := demo.Options{Version: buildVersion()}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See all of it at work, without any setup",
		Long: `Start a throw-away Postgres, a sample application that inserts traffic for all 27
topics, a receiver that answers well, slowly, with 500 and with 410, and walpost
between them; show what arrives. Ctrl-C ends it and leaves nothing behind.`,
		Example: `  walpost demo
  walpost demo --once      # ends by itself, with a table; exits with 4 if anything is missing`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out, o.Color, o.Width = a.Stdout, isTerminal(a.Stdout), terminalWidth(a.Stdout)
			err := demo.Run(cmd.Context(), o)
			var incomplete *demo.IncompleteError
			if errors.As(err, &incomplete) {
				return &failure{
					code:    exitCheck,
					problem: "the demo is incomplete:\n" + strings.Join(incomplete.Problems, "\n"),
					fix:     "walpost demo --once --verbose shows walpost's log",
				}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&o.Once, "once", false, "end by itself, with a table of what arrived")
	cmd.Flags().BoolVar(&o.Verbose, "verbose", false, "show walpost's log, too")
	cmd.Flags().StringVar(&o.LogFile, "log-file", "", "keep walpost's log, in JSON, in this `FILE`")
	return cmd
}
