package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/admin"
	"github.com/walpost/walpost/internal/ledger"
)

func (a *app) deliveriesCommand() *cobra.Command {
	var out output
	var filter filterFlags
	var quarantined bool
	cmd := &cobra.Command{
		Use:   "deliveries [ID]",
		Short: "List deliveries, or show one with its attempts",
		Long: `List the deliveries that the ledger has, newest first, or show one with its
attempts. Those that were delivered at the first attempt are not in the ledger,
unless the configuration says ledger { record = "all" }. --quarantined lists
instead the events that no delivery could be made of, with the reason.`,
		Example: `  walpost deliveries
  walpost deliveries --state failed --webhook crm --since 2h
  walpost deliveries 0b7e6d5c-8d0c-5f4e-9f6a-3f1c2b4a5d6e
  walpost deliveries --quarantined -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(cmd.CommandPath()+" --help", "walpost deliveries shows one ID: what is %q?", args[1])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withLedger(cmd.Context(), func(ctx context.Context, cfg *config.Config, book *ledger.Ledger) error {
				switch {
				case len(args) == 1:
					return a.showDelivery(ctx, book, args[0], out)
				case quarantined:
					return a.listQuarantined(ctx, book, filter.filter(), out)
				default:
					return a.listDeliveries(ctx, cfg, book, filter.filter(), out)
				}
			})
		},
	}
	filter.addTo(cmd, a)
	cmd.Flags().IntVar(&filter.limit, "limit", 50, "list at most so many")
	cmd.Flags().BoolVar(&quarantined, "quarantined", false, "list quarantined events instead")
	out.addTo(cmd)
	return cmd
}

// deliveriesDocument is the document of walpost deliveries -o json.
type deliveriesDocument struct {
	Format     int                   `json:"format"`
	Deliveries []ledger.DeliveryView `json:"deliveries"` // newest first
	More       bool                  `json:"more"`       // the limit has cut the list off
}

func (a *app) listDeliveries(ctx context.Context, cfg *config.Config, book *ledger.Ledger, f ledger.Filter, out output) error {
	limit := f.Limit
	f.Limit++ // one more tells whether there are more
	views, err := book.Deliveries(ctx, f)
	if err != nil {
		return err
	}
	if len(views) == 0 && f.Webhook != "" {
		if err := mustKnow(cfg, f.Webhook); err != nil {
			return err
		}
	}
	document := deliveriesDocument{Format: admin.Format, Deliveries: views, More: len(views) > limit}
	document.Deliveries = append([]ledger.DeliveryView{}, views[:min(limit, len(views))]...)
	return out.write(a.Stdout, document, func() string {
		if len(document.Deliveries) == 0 {
			return noDeliveries(cfg)
		}
		return deliveriesText(document.Deliveries, document.More, time.Now())
	})
}

// noDeliveries says what an empty list means.
func noDeliveries(cfg *config.Config) string {
	if cfg.Ledger.Record == config.RecordAll {
		return "No such deliveries in the ledger.\n"
	}
	return "No such deliveries in the ledger, which keeps only what was not delivered at the first attempt.\n"
}

func deliveriesText(views []ledger.DeliveryView, more bool, now time.Time) string {
	t := newTable("ID", "RECORDED", "TOPIC", "WEBHOOK", "STATE", ">ATTEMPTS", "LAST", "DUE", "EVENT")
	for i := range views {
		v := &views[i]
		t.add(v.ID, moment(v.CreatedAt), v.Topic, v.Webhook, string(v.State), strconv.Itoa(v.Attempts),
			lastText(v.LastClass, v.LastStatus), dueText(v, now), v.EventID)
	}
	text := t.String()
	if more {
		text += fmt.Sprintf("\nThere are more than these %d: --limit shows them.\n", len(views))
	}
	return text
}

// lastText is the class of an attempt, with the status if there was a response.
func lastText(class string, status int) string {
	switch {
	case class == "":
		return "-"
	case status == 0:
		return class
	default:
		return fmt.Sprintf("%s %d", class, status)
	}
}

func dueText(v *ledger.DeliveryView, now time.Time) string {
	switch {
	case v.HeldBehind != "":
		return "held behind " + v.HeldBehind
	case v.DueAt.IsZero():
		return "-"
	case !v.DueAt.After(now):
		return "now"
	default:
		return "in " + age(v.DueAt.Sub(now))
	}
}

// deliveryDocument is the document of walpost deliveries ID -o json.
type deliveryDocument struct {
	Format   int                    `json:"format"`
	Delivery *ledger.DeliveryDetail `json:"delivery"`
}

func (a *app) showDelivery(ctx context.Context, book *ledger.Ledger, id string, out output) error {
	if err := validID(id); err != nil {
		return err
	}
	detail, err := book.Delivery(ctx, id)
	if err != nil {
		return err
	}
	if detail == nil {
		return failed("walpost deliveries", "the ledger has no delivery %s: it was delivered at the first attempt, or pruned, or never made", id)
	}
	return out.write(a.Stdout, deliveryDocument{admin.Format, detail}, func() string { return deliveryText(detail, time.Now()) })
}

func deliveryText(d *ledger.DeliveryDetail, now time.Time) string {
	facts := newFacts()
	facts.add("delivery", d.ID)
	facts.add("event", d.EventID)
	facts.add("topic", d.Topic)
	facts.add("webhook", d.Webhook)
	if d.OrderKey != "" {
		facts.add("order key", d.OrderKey)
	}
	facts.add("state", string(d.State))
	facts.add("due", dueText(&d.DeliveryView, now))
	facts.add("recorded", moment(d.CreatedAt))
	facts.add("finished", moment(d.FinishedAt))
	if len(d.Log) == 0 {
		return facts.String() + "\nNo attempt is recorded.\n"
	}
	t := newTable(">ATTEMPT", "AT", "VERDICT", "CLASS", ">TOOK", "ANSWER")
	for _, at := range d.Log {
		t.add(strconv.Itoa(at.Number), moment(at.At), at.Verdict, lastText(at.Class, at.Status),
			at.Duration.Round(time.Millisecond).String(), oneLine(at.Excerpt))
	}
	return facts.String() + "\n" + t.String()
}

// maxExcerpt is how many characters of an answer fit a line.
const maxExcerpt = 100

// oneLine is the beginning of a text, as it can stand in a table.
func oneLine(s string) string {
	line := strings.Join(strings.Fields(printable(s)), " ")
	if runes := []rune(line); len(runes) > maxExcerpt {
		return string(runes[:maxExcerpt]) + "…"
	}
	return line
}

// printable is a text that others wrote, without what could move the cursor or change the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}
