package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/ledger"
)

// maxPlanned is the largest --last.
const maxPlanned = 1_000_000

func (a *app) planCommand() *cobra.Command {
	p := &planning{app: a}
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what changed rules would do to the last real rows",
		Long: `Run two configurations over the last rows of the outbox table and show what the
changed one, -c, would send, no longer send, or send differently than the running
one, --against: grouped by webhook and topic, with an example of each. Reads the
table in one read-only transaction, locks and sends nothing, exits with 0.

A running walpost keeps its configuration to itself, so --against names the file or
folder that it runs with; by default ` + configFolder + `, if -c names another place.

Both see the rows as they are in the table: event.committed_at is the row's
created_at, and event.lsn is 0/0. A batch is planned as a request for each event.`,
		Example: `  walpost plan --against /etc/walpost
  git show HEAD:walpost.hcl > /tmp/running.hcl && walpost plan --against /tmp/running.hcl
  walpost plan -c draft.hcl --against walpost.hcl --last 10000 -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.run(cmd.Context()) },
	}
	p.out.addTo(cmd)
	cmd.Flags().StringVar(&p.against, "against", "", "the running configuration, `FILE|DIR` (default "+configFolder+")")
	cmd.Flags().IntVar(&p.last, "last", 1000, "so many of the newest rows")
	return cmd
}

// planning is one run of walpost plan.
type planning struct {
	*app
	out     output
	against string
	last    int
}

func (p *planning) run(ctx context.Context) error {
	if p.last < 1 || p.last > maxPlanned {
		return usage("walpost plan --last 1000", "--last is %d, not 1 to %d", p.last, maxPlanned)
	}
	changed, running, err := p.loadBoth()
	if err != nil {
		return err
	}
	rows, err := newestRows(ctx, changed, p.last)
	if err != nil {
		return err
	}
	book, err := ledger.Open(ctx, ledger.Options{ConnString: changed.Database.URL.Reveal()})
	if err != nil {
		return err
	}
	defer book.Close()
	before, err := p.newSide(running, book)
	if err != nil {
		return err
	}
	after, err := p.newSide(changed, book)
	if err != nil {
		return err
	}
	document := newPlanDocument(rows)
	for _, row := range rows.events {
		if err := ctx.Err(); err != nil {
			return err
		}
		was, err := before.outcomes(ctx, row)
		if err != nil {
			return err
		}
		is, err := after.outcomes(ctx, row)
		if err != nil {
			return err
		}
		document.add(row, was, is)
	}
	document.sort()
	return p.out.write(p.Stdout, document, func() string { return p.text(document) })
}

// loadBoth reads the changed and the running configuration.
func (p *planning) loadBoth() (changed, running *config.Config, err error) {
	path, err := p.locate()
	if err != nil {
		return nil, nil, err
	}
	if p.against == "" {
		if p.against, err = runningPath(path); err != nil {
			return nil, nil, err
		}
	}
	if changed, err = p.load(); err != nil {
		return nil, nil, err
	}
	running, diagnostics := config.Load(p.against, p.env())
	if diagnostics.HasErrors() {
		return nil, nil, p.refuse(running.Files, diagnostics)
	}
	if running.Outbox.Table != changed.Outbox.Table {
		p.stderr.print("Warning: the configurations name different outbox tables; the rows are those of " + tableName(changed.Outbox.Table) + "\n")
	}
	return changed, running, nil
}

// runningPath is where the running configuration is, if -c names another place.
func runningPath(changed string) (string, error) {
	fix := "git show HEAD:walpost.hcl > /tmp/running.hcl && walpost plan --against /tmp/running.hcl"
	_, err := os.Stat(configFolder)
	if errors.Is(err, fs.ErrNotExist) {
		return "", usage(fix, "walpost plan needs --against, the configuration that walpost runs with")
	}
	if same, _ := filepath.Abs(changed); same == configFolder || filepath.Dir(same) == configFolder {
		return "", usage(fix, "walpost plan needs --against: %s would be compared with itself", changed)
	}
	return configFolder, nil
}

// text is the plan for people.
func (p *planning) text(d *planDocument) string {
	var text string
	for _, c := range d.Changes {
		text += c.text(p.paintDiff) + "\n"
	}
	text += fmt.Sprintf("%s of the outbox: %s", count(d.Rows, "row"), count(d.Same, "delivery")+" as before")
	for _, total := range d.totals() {
		text += fmt.Sprintf(", %d %s", total.n, total.kind)
	}
	text += "\n"
	if d.Unreadable > 0 {
		text += fmt.Sprintf("%s can't be read, and would be quarantined by both.\n", count(d.Unreadable, "more row"))
	}
	if d.Cut {
		text += fmt.Sprintf("These are the newest ones, %s in all.\n", bytes(rowBudget))
	}
	return text
}
