package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/ledger"
)

func (a *app) disableCommand() *cobra.Command {
	var why string
	cmd := &cobra.Command{
		Use:   "disable WEBHOOK",
		Short: "Stop delivering to a webhook, and park what comes",
		Long: `Stop delivering to a webhook until walpost enable. What it is owed, and what comes,
is parked and not lost. A running daemon notices within a second; attempts that run
already may end.`,
		Example:           `  walpost disable crm --why "maintenance until 18:00"`,
		Args:              oneArg("WEBHOOK"),
		ValidArgsFunction: a.completeWebhooks,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withLedger(cmd.Context(), func(ctx context.Context, cfg *config.Config, book *ledger.Ledger) error {
				return a.disable(ctx, cfg, book, args[0], why)
			})
		},
	}
	cmd.Flags().StringVar(&why, "why", "", "reason to show in walpost status")
	return cmd
}

func (a *app) disable(ctx context.Context, cfg *config.Config, book *ledger.Ledger, name, why string) error {
	if err := mustKnow(cfg, name); err != nil {
		return err
	}
	states, err := book.Webhooks(ctx)
	if err != nil {
		return err
	}
	if s := states[name]; !s.Enabled() {
		_, err := fmt.Fprintf(a.Stdout, "%s: was disabled already, by %s at %s\n", name, s.Reason.By, moment(s.DisabledAt))
		return err
	}
	if err := book.Disable(ctx, name, ledger.Reason{By: "command", Why: why}); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Stdout, "%s: disabled; what comes is parked until: walpost enable %s --replay\n", name, name)
	return err
}
