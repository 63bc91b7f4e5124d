package cli

import (
	"github.com/spf13/cobra"

	"github.com/walpost/walpost/config"
)

func (a *app) rulesCommand() *cobra.Command {
	rules := &cobra.Command{
		Use:     "rules",
		Short:   "Print a built-in rule pack",
		Example: `  walpost rules gist`,
	}
	rules.AddCommand(&cobra.Command{
		Use:   "gist",
		Short: "Print the HCL of the 27 Gist topics",
		Long: `Print the HCL of the 27 Gist topics, which every configuration has unless it says
rules = "none". It is a place to start from for a pack of your own.`,
		Example: `  walpost rules gist
  walpost rules gist > topics.hcl`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.Stdout.Write(config.Gist())
			return err
		},
	})
	return rules
}
