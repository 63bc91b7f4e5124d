package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/ledger"
)

func (a *app) enableCommand() *cobra.Command {
	var replay bool
	cmd := &cobra.Command{
		Use:   "enable WEBHOOK",
		Short: "Deliver to a disabled webhook again",
		Long: `Deliver again to a webhook that a 410, or walpost disable, has disabled. What was
parked meanwhile stays parked, unless --replay sends it, oldest first. A running
daemon notices within a second.`,
		Example: `  walpost enable crm
  walpost enable crm --replay`,
		Args:              oneArg("WEBHOOK"),
		ValidArgsFunction: a.completeWebhooks,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withLedger(cmd.Context(), func(ctx context.Context, cfg *config.Config, book *ledger.Ledger) error {
				return a.enable(ctx, cfg, book, args[0], replay)
			})
		},
	}
	cmd.Flags().BoolVar(&replay, "replay", false, "also send what was parked")
	return cmd
}

func (a *app) enable(ctx context.Context, cfg *config.Config, book *ledger.Ledger, name string, replay bool) error {
	if err := mustKnow(cfg, name); err != nil {
		return err
	}
	states, err := book.Webhooks(ctx)
	if err != nil {
		return err
	}
	released, err := book.Enable(ctx, name, replay)
	if err != nil {
		return err
	}
	line := "enabled"
	if states[name].Enabled() {
		line = "was enabled already"
	}
	if replay {
		line += "; " + count(released, "parked delivery") + " due now"
	} else {
		report, err := readReport(ctx, book, cfg)
		if err != nil {
			return err
		}
		for _, w := range report.Webhooks {
			if w.Name == name && w.Parked > 0 {
				line += fmt.Sprintf("; %s: send with: walpost enable %s --replay", count(w.Parked, "parked delivery"), name)
			}
		}
	}
	if _, err := fmt.Fprintf(a.Stdout, "%s: %s\n", name, line); err != nil {
		return err
	}
	if !cfg.Webhook(name).Enabled {
		a.stderr.print("Warning: the configuration says enabled = false, so nothing is delivered until that is changed\n")
	}
	return nil
}

// completeWebhooks completes the name of a webhook, if the configuration can be read.
func (a *app) completeWebhooks(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	cfg, _, err := a.read()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return webhookNames(cfg), cobra.ShellCompDirectiveNoFileComp
}
