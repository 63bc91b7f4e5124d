package cli

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The groups of commands in the help text.
const (
	groupSetUp   = "setup"
	groupRules   = "rules"
	groupRun     = "run"
	groupLook    = "look"
	groupControl = "control"
)

// root is the command tree.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "walpost",
		Short: "Tails the WAL, posts the webhook",
		Long: `walpost follows your application's outbox table through PostgreSQL logical
replication, maps each committed row to webhook topics by rules in HCL, and
delivers the webhooks, with retries that survive restarts.`,
		Example: `  walpost demo            # see all of it at work, without any setup
  walpost init            # outbox table, ledger, publication, slot, starter walpost.hcl
  walpost run             # follow and deliver`,
		Version:       buildVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("walpost {{.Version}}\n")
	root.PersistentFlags().StringVarP(&a.configPath, "config", "c", "",
		"configuration `FILE|DIR` (default walpost.hcl, else /etc/walpost; $WALPOST_CONFIG)")
	root.AddGroup(
		&cobra.Group{ID: groupSetUp, Title: "Set up:"},
		&cobra.Group{ID: groupRules, Title: "Write rules:"},
		&cobra.Group{ID: groupRun, Title: "Run:"},
		&cobra.Group{ID: groupLook, Title: "Look:"},
		&cobra.Group{ID: groupControl, Title: "Control:"},
	)
	for _, g := range []struct {
		id       string
		commands []*cobra.Command
	}{
		{groupSetUp, []*cobra.Command{a.initCommand(), a.doctorCommand()}},
		{groupRules, []*cobra.Command{
			a.checkCommand(), a.testCommand(), a.planCommand(), a.replCommand(), a.fmtCommand(), a.rulesCommand(),
		}},
		{groupRun, []*cobra.Command{a.runCommand(), a.demoCommand()}},
		{groupLook, []*cobra.Command{a.statusCommand(), a.deliveriesCommand(), a.whyCommand(), a.reconcileCommand()}},
		{groupControl, []*cobra.Command{a.enableCommand(), a.disableCommand(), a.replayCommand(), a.adoptCommand(), a.sendCommand()}},
		{"", []*cobra.Command{a.versionCommand()}},
	} {
		for _, command := range g.commands {
			command.GroupID = g.id
			root.AddCommand(command)
		}
	}
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "help" {
			cmd.Args = helpTopic
		}
	}
	strict(root)
	return root
}

// helpTopic refuses help on a command that there isn't.
func helpTopic(cmd *cobra.Command, args []string) error {
	found, rest, err := cmd.Root().Find(args)
	if err != nil || found.HasSubCommands() {
		return noSuchCommand(found, rest)
	}
	return nil
}

// strict makes every wrong call a usage failure that says what was meant, of this command and those below it.
func strict(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(flagError)
	if cmd.HasSubCommands() && !cmd.Runnable() {
		cmd.Args = noSuchCommand
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	if accepts := cmd.Args; accepts != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			var said *failure
			err := accepts(cmd, args)
			if err != nil && !errors.As(err, &said) {
				return usage(cmd.CommandPath()+" --help", "%s", err)
			}
			return err
		}
	}
	for _, child := range cmd.Commands() {
		strict(child)
	}
}

// noSuchCommand refuses all arguments of a command that only has others below it.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	fix := cmd.CommandPath() + " --help"
	if meant := cmd.SuggestionsFor(args[0]); len(meant) > 0 {
		for i, name := range meant {
			meant[i] = cmd.CommandPath() + " " + name
		}
		fix = strings.Join(meant, ", or ")
	}
	return usage(fix, "%s has no command %q", cmd.CommandPath(), args[0])
}

// flagError explains a flag that is unknown, or whose value is wrong.
func flagError(cmd *cobra.Command, err error) error {
	help := cmd.CommandPath() + " --help"
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usage(help, "%s", err)
	}
	name := unknown.GetSpecifiedName()
	if unknown.GetSpecifiedShortnames() != "" {
		return usage(help, "%s has no flag -%s", cmd.CommandPath(), name)
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if meant := closest(name, names); meant != "" {
		return usage(cmd.CommandPath()+" --"+meant, "%s has no flag --%s", cmd.CommandPath(), name)
	}
	return usage(help, "%s has no flag --%s", cmd.CommandPath(), name)
}

// noArgs accepts flags only.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(cmd.CommandPath()+" --help", "%s takes no arguments, only flags: what is %q?", cmd.CommandPath(), args[0])
	}
	return nil
}

// oneArg accepts exactly one argument of that name.
func oneArg(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			article := "a"
			if strings.ContainsRune("AEIOU", rune(name[0])) {
				article = "an"
			}
			return usage(cmd.CommandPath()+" "+name, "%s needs %s %s", cmd.CommandPath(), article, name)
		case len(args) > 1:
			return usage(cmd.CommandPath()+" --help", "%s takes one %s: what is %q?", cmd.CommandPath(), name, args[1])
		}
		return nil
	}
}
