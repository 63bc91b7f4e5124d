package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/daemon"
	"github.com/walpost/walpost/internal/ledger"
)

func (a *app) adoptCommand() *cobra.Command {
	var start string
	var yes bool
	cmd := &cobra.Command{
		Use:   "adopt",
		Short: "Go on in a database that the checkpoint was not made on",
		Long: `Go on in a database that walpost refuses, because its checkpoint was made on another
system or in another history: after pg_upgrade, a dump and restore, a restored backup,
or on a copy. Shows what it has found and what would be done, and does it with --yes.
Then walpost run makes the slot anew and reads from the table what is to be delivered.

If the files were copied, the checkpoint tells which rows were dealt with, and the
rest is delivered. If rows were copied (a dump, logical replication), nothing does:
--start backlog delivers all rows of the table, with the ids that they always have;
--start now none that are there. Make sure that the old database has no walpost any more.`,
		Example: `  walpost adopt
  walpost adopt --yes
  walpost adopt --start backlog --yes`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if start != "" && start != string(ledger.FromNow) && start != string(ledger.FromBacklog) {
				return usage("walpost adopt --start backlog", "--start is %q, and takes backlog or now", start)
			}
			return a.withLedger(cmd.Context(), func(ctx context.Context, cfg *config.Config, book *ledger.Ledger) error {
				return a.adopt(ctx, cfg, book, ledger.From(start), yes)
			})
		},
	}
	cmd.Flags().StringVar(&start, "start", "", "`backlog` begins with all rows of the table, now with none; default: with what the checkpoint doesn't know, where it can tell")
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	_ = cmd.RegisterFlagCompletionFunc("start", // only fails for a flag that isn't there
		cobra.FixedCompletions([]string{string(ledger.FromBacklog), string(ledger.FromNow)}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) adopt(ctx context.Context, cfg *config.Config, book *ledger.Ledger, from ledger.From, yes bool) error {
	slot := cfg.Outbox.Slot
	if cfg.Outbox.Polled() {
		return failed("walpost run", "walpost adopt is for databases that are streamed from; where the table is polled, walpost goes on by itself")
	}
	saved, err := book.Checkpoint(ctx, slot)
	if err != nil {
		return err
	}
	if saved == nil {
		return failed("walpost run", "there is no checkpoint of slot %q: walpost has not run on this database, and begins as anywhere", slot)
	}
	options := daemon.SourceOptions(cfg, zerolog.Nop())
	options.Resume = func(context.Context) (*cdc.Resume, error) {
		return &cdc.Resume{LSN: cdc.LSN(saved.LSN), SystemID: saved.SystemID, Timeline: saved.Timeline}, nil
	}
	found, different := cdc.Compare(ctx, options)
	if different != nil && !errors.Is(different, cdc.ErrOtherSystem) {
		return different
	}
	shared, err := book.Shared(ctx, slot)
	if err != nil {
		return err
	}
	if err := a.showAdoption(saved, found, different, shared); err != nil {
		return err
	}
	switch {
	case different == nil && from == "":
		_, err := fmt.Fprintln(a.Stdout, "\nNothing to adopt: the checkpoint was made on this server.")
		return err
	case from == "" && !shared:
		return failed("walpost adopt --start backlog, or --start now",
			"rows were copied into this database, so their transactions don't tell which of them were dealt with")
	case from == "":
		from = ledger.FromCheckpoint
	}
	does := map[ledger.From]string{
		ledger.FromCheckpoint: "the rows of " + tableName(cfg.Outbox.Table) + " that the checkpoint's snapshot doesn't see are delivered",
		ledger.FromBacklog:    "all rows of " + tableName(cfg.Outbox.Table) + " are delivered, but for deliveries that the ledger has",
		ledger.FromNow:        "no row of " + tableName(cfg.Outbox.Table) + " that is there now is delivered",
	}[from]
	if !yes {
		again := "walpost adopt --yes"
		if from != ledger.FromCheckpoint {
			again = "walpost adopt --start " + string(from) + " --yes"
		}
		_, err := fmt.Fprintf(a.Stdout, "\nWould do: walpost run makes slot %q anew, and %s.\nNothing is changed yet. To do it: %s\n", slot, does, again)
		return err
	}
	detail := fmt.Sprintf("system %s, timeline %d was adopted in place of system %s, timeline %d: %s",
		found.SystemID, found.Timeline, saved.SystemID, saved.Timeline, does)
	if err := book.Adopt(ctx, slot, found.SystemID, found.Timeline, from, detail); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Stdout, "\nAdopted. Next: walpost run makes slot %q anew, and %s.\n", slot, does)
	return err
}

// showAdoption tells what was found.
func (a *app) showAdoption(saved *ledger.Checkpoint, found cdc.Identity, different error, shared bool) error {
	facts := newFacts()
	facts.add("checkpoint", fmt.Sprintf("system %s, timeline %d, %s, written %s", saved.SystemID, saved.Timeline, cdc.LSN(saved.LSN), moment(saved.UpdatedAt)))
	facts.add("server", fmt.Sprintf("system %s, timeline %d", found.SystemID, found.Timeline))
	if different != nil {
		facts.add("refused", setupProblemOf(different))
	}
	history := "rows were copied, as by a dump: transaction ids say nothing of the checkpoint's"
	if shared {
		history = "the files are the checkpoint's: transaction ids tell which rows were dealt with"
	}
	facts.add("history", history)
	_, err := fmt.Fprint(a.Stdout, facts.String())
	return err
}

func setupProblemOf(err error) string {
	var setup *cdc.SetupError
	if errors.As(err, &setup) {
		return setupProblem(setup)
	}
	return err.Error()
}
