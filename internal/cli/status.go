package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/admin"
	"github.com/walpost/walpost/internal/ledger"
)

func (a *app) statusCommand() *cobra.Command {
	var out output
	var exitCode bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show slot, checkpoint, counters and webhooks",
		Long: `Show the replication slot, the checkpoint, the counters, each webhook with what it
is owed, and what needs attention. Asks the database, so it works while the daemon
is down; counters are as of the checkpoint.`,
		Example: `  walpost status
  walpost status --exit-code || echo look!
  walpost status -o json | jq .webhooks`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withLedger(cmd.Context(), func(ctx context.Context, cfg *config.Config, book *ledger.Ledger) error {
				report, err := readReport(ctx, book, cfg)
				if err != nil {
					return err
				}
				if err := out.write(a.Stdout, report, func() string { return statusText(report) }); err != nil {
					return err
				}
				if exitCode && len(report.Attention) > 0 {
					return &failure{code: exitCheck}
				}
				return nil
			})
		},
	}
	out.addTo(cmd)
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "exit with 4 if something needs attention")
	return cmd
}

// withLedger runs a command on the ledger of the configured database.
func (a *app) withLedger(ctx context.Context, command func(context.Context, *config.Config, *ledger.Ledger) error) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	book, err := ledger.Open(ctx, ledger.Options{ConnString: cfg.Database.URL.Reveal()})
	if err != nil {
		return err
	}
	defer book.Close()
	return command(ctx, cfg, book)
}

// readReport is all that the ledger and the configuration know.
func readReport(ctx context.Context, book *ledger.Ledger, cfg *config.Config) (admin.Report, error) {
	s, err := book.Status(ctx, cfg.Outbox.Slot)
	if err != nil {
		return admin.Report{}, err
	}
	webhooks := make([]admin.Webhook, len(cfg.Webhooks))
	for i, w := range cfg.Webhooks {
		webhooks[i] = admin.Webhook{Name: w.Name, Enabled: w.Enabled}
	}
	return admin.NewReport(sourceOf(cfg), webhooks, s), nil
}

func sourceOf(cfg *config.Config) admin.Source {
	o := cfg.Outbox
	return admin.Source{Slot: o.Slot, Mode: admin.Mode(o.Mode), Table: tableName(o.Table), Interval: o.PollInterval, Messages: o.Messages}
}

// statusText is the report for people.
func statusText(r admin.Report) string {
	var b strings.Builder
	facts := newFacts()
	fact := func(name, format string, args ...any) { facts.add(name, fmt.Sprintf(format, args...)) }
	if r.Source.Mode == admin.Polling {
		fact("polling", "%s, every %s at least", r.Source.Table, seconds(r.Source.IntervalSeconds))
	} else {
		fact("slot", "%s", slotText(r.Slot))
	}
	if r.Source.Messages != "" {
		fact("messages", "prefix %q; not recoverable after the loss of the slot", r.Source.Messages)
	}
	for _, d := range r.Daemons {
		fact(string(d.Role), "%s", daemonText(d, r.At))
	}
	if r.Checkpoint == nil {
		fact("checkpoint", "none: walpost has not run yet")
	} else {
		fact("checkpoint", "%s, %s ago", r.Checkpoint.LSN, age(seconds(r.Checkpoint.AgeSeconds)))
		c := r.Counters
		fact("events", "%d: %d unrouted, %d quarantined", c.Events, c.Unrouted, c.Quarantined)
		if c.Pruned > 0 {
			fact("outbox", "%s deleted", count(c.Pruned, "resolved row"))
		}
		fact("deliveries", "%d delivered, %d retried, %d failed, %d parked", c.Delivered, c.Retried, c.Failed, c.Parked)
	}
	if c := r.Counters.Cancelled; c > 0 {
		fact("cancelled", "%s, parked for too long", count(c, "delivery"))
	}
	b.WriteString(facts.String())

	b.WriteString("\n")
	webhooks := newTable("WEBHOOK", "STATE", ">OWED", "DUE", ">FAILED", ">PARKED", "")
	for _, w := range r.Webhooks {
		webhooks.add(w.Name, string(w.State), number(w.Count(ledger.Pending, ledger.Retrying)), due(w, r.At),
			number(w.Count(ledger.Failed)), number(w.Count(ledger.Parked)), why(w))
	}
	b.WriteString(webhooks.String())

	if len(r.Recovered) > 0 {
		b.WriteString("\nRecovered from, in the last day:\n")
		for _, i := range r.Recovered {
			b.WriteString("  - " + indent(fmt.Sprintf("%s %s, %s to %s: %s", moment(i.At), i.Kind, cdc.LSN(i.LSNFrom), cdc.LSN(i.LSNTo), i.Detail), 4) + "\n")
		}
	}
	if len(r.Attention) == 0 {
		b.WriteString("\nNothing needs attention.\n")
		return b.String()
	}
	b.WriteString("\nNeeds attention:\n")
	for _, sentence := range r.Attention {
		b.WriteString("  - " + indent(sentence, 4) + "\n")
	}
	return b.String()
}

func slotText(s admin.SlotReport) string {
	if !s.Exists {
		return s.Name + ", does not exist"
	}
	active := "nobody reads it"
	if s.Active {
		active = "active"
	}
	return fmt.Sprintf("%s, %s, confirmed %s, %s behind, retains %s of WAL (%s)",
		s.Name, active, s.ConfirmedLSN, bytes(s.LagBytes), bytes(s.RetainedBytes), s.WALStatus)
}

// silence is how long a daemon is not heard of before that is worth a word.
const silence = 3 * time.Second

func daemonText(d admin.DaemonReport, now time.Time) string {
	text := d.Name
	if d.Version != "" {
		text += ", version " + d.Version
	}
	if d.Epoch != 0 {
		text += fmt.Sprintf(", epoch %d", d.Epoch)
	}
	if !d.Since.IsZero() {
		text += ", for " + age(now.Sub(d.Since))
	}
	if silent := seconds(d.SilentSeconds); silent > silence {
		text += ", silent for " + age(silent)
	}
	return text
}

// due says when the next attempt is due.
func due(w admin.WebhookReport, now time.Time) string {
	switch {
	case w.Owed == 0:
		return "-"
	case !w.Due.After(now):
		return "now"
	default:
		return "in " + age(w.Due.Sub(now))
	}
}

// why says who disabled a webhook, or since when its endpoint seems dead.
func why(w admin.WebhookReport) string {
	if len(w.Breakers) > 0 {
		b := w.Breakers[0]
		s := "endpoint seems dead since " + moment(b.Since) + ": " + b.Why
		if more := len(w.Breakers) - 1; more > 0 {
			s += fmt.Sprintf(", to %d daemons", more+1)
		}
		return s
	}
	if w.Disabled == nil {
		return ""
	}
	s := "by " + w.Disabled.By + " at " + moment(w.Disabled.At)
	if w.Disabled.Why != "" {
		s += ": " + w.Disabled.Why
	}
	return s
}

// number shows what is zero as less than what isn't.
func number(count string) string {
	if count == "0" {
		return "-"
	}
	return count
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
