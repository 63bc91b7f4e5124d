package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/walpost/walpost/internal/admin"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/sender"
)

// sendDocument is the document of walpost send -o json.
type sendDocument struct {
	Format   int         `json:"format"`
	Webhook  string      `json:"webhook"`
	Topic    string      `json:"topic"`
	Event    string      `json:"event_id"`
	Delivery string      `json:"delivery_id"`
	Note     string      `json:"note,omitempty"` // why a row like this would not be sent by walpost run
	Request  string      `json:"request"`        // as text, without secrets
	Result   *sendResult `json:"result"`         // null: nothing was sent
}

// sendResult is what came of the request.
type sendResult struct {
	Verdict  string        `json:"verdict"`
	Class    string        `json:"class"`
	Status   int           `json:"status,omitempty"`
	Duration time.Duration `json:"duration_ns"`
	Why      string        `json:"why,omitempty"` // it is not delivered
	Excerpt  string        `json:"excerpt,omitempty"`
	Captured []kept        `json:"captured,omitempty"` // what would be kept of the answer
}

type kept struct {
	Key   string `json:"key"`
	Value string `json:"value"` // JSON
}

func newSendDocument(d *route.Delivery) sendDocument {
	return sendDocument{Format: admin.Format, Webhook: d.Webhook, Topic: d.Topic, Event: d.Row.ID, Delivery: d.ID}
}

func newSendResult(o sender.Outcome, j route.Judgement, problem *route.Problem) *sendResult {
	r := &sendResult{
		Verdict: o.Verdict.String(), Class: o.Class.String(), Status: o.Status, Duration: o.Duration, Excerpt: string(o.Excerpt),
	}
	switch {
	case problem != nil:
		r.Why = "the answer can't be judged: " + problem.Error()
	case len(j.Failed) > 0 && o.Verdict == sender.Delivered:
		r.Verdict, r.Why = sender.Retry.String(), "the answer does not accept the event: the batch's failed names it"
	case o.Err != nil:
		r.Why = o.Err.Error()
	}
	if o.Verdict == sender.Delivered {
		for _, c := range j.Captures {
			r.Captured = append(r.Captured, kept{c.Key, string(c.Value)})
		}
	}
	return r
}

// text is the document for people.
func (d sendDocument) text() string {
	text := printable(d.Request) + "\n"
	if d.Note != "" {
		text += "Note: " + indent(printable(d.Note), 6) + "\n\n"
	}
	if d.Result == nil {
		return text + "Nothing was sent: this is a dry run.\n"
	}
	return text + d.Result.text()
}

func (r *sendResult) text() string {
	var b strings.Builder
	b.WriteString(r.Verdict + ": ")
	if r.Status != 0 {
		fmt.Fprintf(&b, "%d", r.Status)
	} else {
		b.WriteString(r.Class)
	}
	fmt.Fprintf(&b, " after %s", r.Duration.Round(time.Millisecond))
	if r.Why != "" {
		b.WriteString(": " + printable(r.Why))
	}
	b.WriteString("\n")
	if r.Excerpt != "" {
		b.WriteString("  " + indent(printable(r.Excerpt), 2) + "\n")
	}
	for _, c := range r.Captured {
		fmt.Fprintf(&b, "captured under %q: %s\n", c.Key, printable(c.Value))
	}
	return b.String()
}
