package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/admin"
	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/reconcile"
)

// reconcileDocument is the document of walpost reconcile -o json.
type reconcileDocument struct {
	Format int `json:"format"`
	*reconcile.Report
}

func (a *app) reconcileCommand() *cobra.Command {
	r := &reconciliation{app: a}
	cmd := &cobra.Command{
		Use:   "reconcile",
		Short: "Compare outbox rows with what became of them",
		Long: `Compare the rows of the outbox table with what walpost has made of them, and exit
with 4 if there is a gap.

How exactly depends on what is kept. By itself, the checkpoint tells which rows are
dealt with, as a whole. With ledger { record = "all" }, each delivery of each row must
have its record. With --receiver-ids, a file of the webhook-ids that have arrived, one
per line, from the receiver's log or database, each delivery must be there, or in the
ledger as owed, failed, parked or cancelled.

Rows are routed by the rules as they are now, so leave out with --since what was
inserted before the rules were changed, or record was. --repair has deliveries that
are missing sent, under their old ids.`,
		Example: `  walpost reconcile
  walpost reconcile --since 7d --receiver-ids arrived.txt
  walpost reconcile --receiver-ids arrived.txt --repair`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withLedger(cmd.Context(), r.run)
		},
	}
	r.out.addTo(cmd)
	r.since.at = time.Now().Add(-24 * time.Hour)
	flags := cmd.Flags()
	flags.Var(&r.since, "since", "only rows created since `TIME`: 2h, 7d, a date, or an RFC 3339 time")
	flags.Lookup("since").DefValue = "24h"
	flags.DurationVar(&r.grace, "grace", time.Minute, "how long a row may wait before it is a gap")
	flags.StringVar(&r.received, "receiver-ids", "", "`FILE` with the webhook-ids that have arrived, one per line; - is stdin")
	flags.IntVar(&r.limit, "limit", 20, "list so many gaps at most; all are counted")
	flags.BoolVar(&r.repair, "repair", false, "have deliveries that are missing sent")
	return cmd
}

// reconciliation is one run of walpost reconcile.
type reconciliation struct {
	*app
	out      output
	since    sinceFlag
	grace    time.Duration
	received string
	limit    int
	repair   bool
}

func (r *reconciliation) run(ctx context.Context, cfg *config.Config, book *ledger.Ledger) (err error) {
	o := reconcile.Options{Config: cfg, Ledger: book, Since: r.since.at, Grace: r.grace, Limit: r.limit}
	if r.limit < 1 || r.grace <= 0 {
		return usage("walpost reconcile --limit 20 --grace 1m", "--limit and --grace are above 0")
	}
	if r.received != "" {
		if o.Received, err = r.readIDs(); err != nil {
			return err
		}
	}
	if r.repair {
		if o.Received == nil && cfg.Ledger.Record != config.RecordAll {
			return usage("walpost reconcile --repair --receiver-ids FILE",
				"with record = \"failures\" only the receiver can tell which deliveries are missing")
		}
		o.Repair = reconcile.NewSender(book)
		defer func() { err = errors.Join(err, o.Repair.Close()) }()
	}
	report, err := reconcile.Run(ctx, o)
	if errors.Is(err, reconcile.ErrNoCheckpoint) {
		return failed("walpost run", "%s", reconcile.ErrNoCheckpoint)
	}
	if err != nil {
		return err
	}
	if err := r.out.write(r.Stdout, reconcileDocument{admin.Format, report}, func() string { return reconcileText(report) }); err != nil {
		return err
	}
	if report.Failed() {
		return &failure{code: exitCheck}
	}
	return nil
}

// readIDs reads what has arrived.
func (r *reconciliation) readIDs() (ids reconcile.IDs, err error) {
	from := r.Stdin
	if r.received != "-" {
		f, err := os.Open(r.received)
		if err != nil {
			return nil, usage("walpost reconcile --receiver-ids FILE", "%s", err)
		}
		defer func() { _ = f.Close() }() // it was read
		from = f
	}
	if ids, err = reconcile.ReadIDs(from); err != nil {
		return nil, usage("grep for webhook-id in the receiver's log", "%s: %s", r.received, err)
	}
	return ids, nil
}

// proofs say by what a comparison goes.
var proofs = map[reconcile.Proof]string{
	reconcile.BySnapshot: "the checkpoint alone: rows as a whole (record = \"all\" or --receiver-ids tells each delivery)",
	reconcile.ByLedger:   "the ledger's record of each delivery",
	reconcile.ByReceiver: "the webhook-ids that have arrived",
}

// reconcileText is the report for people.
func reconcileText(r *reconcile.Report) string {
	facts := newFacts()
	fact := func(name, text string) { facts.add(name, text) }
	fact("compared by", proofs[r.Proof])
	fact("rows", tallied(r.Rows.Seen,
		part{r.Rows.Resolved, "resolved"}, part{r.Rows.Recorded, "recorded"}, part{r.Rows.Unrouted, "unrouted"},
		part{r.Rows.Rejected, "in quarantine"}, part{r.Rows.Waiting, "waiting"}, part{r.Rows.Late, "late"}))
	if d := r.Deliveries; d != nil {
		parts := []part{{d.Delivered, "delivered"}}
		all := d.Delivered + d.Batched + d.Missing
		for _, s := range ledger.States() {
			all += d.Recorded[s]
			parts = append(parts, part{d.Recorded[s], string(s)})
		}
		parts = append(parts, part{d.Batched, "in batches, which have ids of their own"}, part{d.Missing, "missing"}, part{d.Repaired, "repaired"})
		fact("deliveries", tallied(all, parts...))
	}
	if r.Strangers > 0 {
		fact("strangers", fmt.Sprintf("%d received ids that no such row gives", r.Strangers))
	}
	var b strings.Builder
	b.WriteString(facts.String())
	if len(r.Gaps) == 0 {
		b.WriteString("\nNo gap.\n")
		return b.String()
	}
	b.WriteString("\n")
	gaps := newTable("EVENT", "CREATED", "WEBHOOK", "TOPIC", "DELIVERY", "WHY")
	for _, g := range r.Gaps {
		gaps.add(g.EventID, moment(g.CreatedAt), dash(g.Webhook), dash(g.Topic), dash(g.DeliveryID), g.Why)
	}
	b.WriteString(gaps.String())
	if r.More {
		b.WriteString("… and more: --limit shows them\n")
	}
	b.WriteString("\n" + reconcileAdvice(r) + "\n")
	return b.String()
}

// reconcileAdvice says what closes the gaps.
func reconcileAdvice(r *reconcile.Report) string {
	var advice []string
	if r.Rows.Late > 0 {
		advice = append(advice, "Late rows are still in the stream: walpost status says what holds it up.")
	}
	if d := r.Deliveries; d != nil && d.Missing > d.Repaired {
		advice = append(advice, "--repair has what is missing sent; walpost replay --row EVENT sends all of one row again.")
	}
	if d := r.Deliveries; d != nil && d.Repaired > 0 {
		advice = append(advice, "What was missing is owed now: a running walpost sends it within a second.")
	}
	return strings.Join(advice, "\n")
}

// part is a share of a total.
type part struct {
	n    int64
	what string
}

// tallied is a total with its shares that aren't 0: "5: 3 resolved, 2 late".
func tallied(total int64, parts ...part) string {
	var shares []string
	for _, p := range parts {
		if p.n > 0 {
			shares = append(shares, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	if shares == nil {
		return fmt.Sprint(total)
	}
	return fmt.Sprintf("%d: %s", total, strings.Join(shares, ", "))
}

// dash stands for nothing in a table.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
