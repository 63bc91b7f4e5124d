package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/internal/ruletest"
)

// text is the document for people.
func (d *whyDocument) text(now time.Time) string {
	var b strings.Builder
	e := d.Event
	fmt.Fprintf(&b, "event %s: %s %s, %s, created %s, as it is in the %s\n",
		e.ID, e.AggregateType, e.AggregateID, e.Type, moment(e.CreatedAt), e.Source)
	d.writeRules(&b)
	d.writeTopics(&b)
	d.writeLedger(&b, now)
	return printable(b.String())
}

func (d *whyDocument) writeRules(b *strings.Builder) {
	if len(d.Rules) == 0 {
		return
	}
	b.WriteString("\nRules:\n")
	for _, r := range d.Rules {
		fmt.Fprintf(b, "  %s %s, topic %s: %s  (%s)\n", mark(r.Result), r.Name, r.Topic, r.Result, r.Where)
		writeDetails(b, 6, r.Reads, r.Problem)
	}
}

func (d *whyDocument) writeTopics(b *strings.Builder) {
	if len(d.Topics) == 0 {
		fmt.Fprintf(b, "\nNo topic: no rule matches, and no topic has the event type %s.\n", strings.Join(d.EventTypes, " or "))
		return
	}
	b.WriteString("\nTopics:\n")
	for _, t := range d.Topics {
		by := "event type " + t.EventType
		if t.Rule != "" {
			by = "rule " + t.Rule
		}
		fmt.Fprintf(b, "  %s, by %s\n", t.Name, by)
		switch {
		case t.Data == nil:
			b.WriteString("      lost: the rule fails\n")
		case len(t.Webhooks) == 0:
			b.WriteString("      no webhook takes it\n")
		}
		for _, w := range t.Webhooks {
			fmt.Fprintf(b, "    %s %s: %s  (%s)\n", mark(w.Result), w.Name, d.becomes(w), w.Where)
			writeDetails(b, 8, w.Reads, w.Problem)
		}
	}
}

// mark makes results easy to find.
func mark(r route.Result) string {
	switch r {
	case route.Matched:
		return "+"
	case route.Failed:
		return "!"
	default:
		return "-"
	}
}

// becomes says what a webhook makes of a topic.
func (d *whyDocument) becomes(w route.ExplainedWebhook) string {
	switch w.Result {
	case route.Matched:
		return "delivery " + w.Delivery + d.recorded(w.Delivery)
	case route.NotMatched:
		return "its when is not true"
	case route.Disabled:
		return "it has enabled = false"
	default:
		return string(w.Result)
	}
}

// recorded says what it means that the ledger doesn't have a delivery.
func (d *whyDocument) recorded(id string) string {
	for _, r := range d.Recorded {
		if r.ID == id {
			return ", " + string(r.State)
		}
	}
	if d.recordsAll {
		return ", not in the ledger: walpost hasn't come to it"
	}
	return ", not in the ledger: delivered at the first attempt, or walpost hasn't come to it"
}

func writeDetails(b *strings.Builder, by int, reads []route.Reading, problem *route.Problem) {
	space := strings.Repeat(" ", by)
	for _, line := range ruletest.Readings(reads) {
		b.WriteString(space + line + "\n")
	}
	if problem != nil {
		b.WriteString(space + indent(problem.Error(), by) + "\n")
	}
}

func (d *whyDocument) writeLedger(b *strings.Builder, now time.Time) {
	if len(d.Recorded)+len(d.Quarantined) == 0 {
		return
	}
	b.WriteString("\nWhat happened:\n")
	for i := range d.Recorded {
		r := &d.Recorded[i]
		fmt.Fprintf(b, "  delivery %s to %s, %s: %s\n", r.ID, r.Webhook, r.Topic, stateText(r, now))
		for _, at := range r.Log {
			fmt.Fprintf(b, "      %s  attempt %d: %s, %s after %s", moment(at.At), at.Number, at.Verdict,
				lastText(at.Class, at.Status), at.Duration.Round(time.Millisecond))
			if at.Excerpt != "" {
				b.WriteString(": " + oneLine(at.Excerpt))
			}
			b.WriteString("\n")
		}
	}
	for _, q := range d.Quarantined {
		fmt.Fprintf(b, "  quarantined at %s\n      %s\n", moment(q.At), indent(q.Diagnostic, 6))
	}
}

// stateText is the state of a delivery, with what comes next.
func stateText(r *ledger.DeliveryDetail, now time.Time) string {
	if r.HeldBehind != "" {
		return string(r.State) + ", held behind " + r.HeldBehind
	}
	if r.DueAt.IsZero() {
		return string(r.State)
	}
	return string(r.State) + ", due " + dueText(&r.DeliveryView, now)
}
