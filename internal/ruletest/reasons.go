package ruletest

import (
	"fmt"
	"strings"

	"github.com/walpost/walpost/internal/route"
)

// reasons says, in further lines, why a webhook gets nothing of the test's events.
func (r *run) reasons(webhook string) string {
	var b strings.Builder
	for _, event := range r.Events {
		x := r.table.Explain(event)
		var topics []string
		taken := false
		for _, topic := range x.Topics {
			topics = append(topics, topic.Name)
			for _, w := range topic.Webhooks {
				if w.Name == webhook {
					taken = true
					b.WriteString("\n" + reason(topic.Name, w))
				}
			}
		}
		switch {
		case taken:
		case len(topics) == 0:
			fmt.Fprintf(&b, "\nthe event has no topic: no rule matches, and no topic has the event type %s", strings.Join(x.EventTypes, " or "))
		default:
			fmt.Fprintf(&b, "\nthe event has the topic %s, which it doesn't take", strings.Join(topics, " and "))
		}
	}
	return b.String()
}

// reason is what came of the webhook's `when`.
func reason(topic string, w route.ExplainedWebhook) string {
	switch w.Result {
	case route.NotMatched:
		return "its when is not true of " + topic + indent("\n"+strings.Join(Readings(w.Reads), "\n"))
	case route.Disabled:
		return "it has enabled = false"
	case route.Failed:
		return w.Problem.Error()
	default:
		return "it gets " + topic + " in another request"
	}
}

func indent(text string) string { return strings.ReplaceAll(text, "\n", "\n  ") }

// maxReading is how many characters of a value are shown.
const maxReading = 80

// Readings are lines with what a condition has read, such as `event.type = "created"`.
func Readings(reads []route.Reading) []string {
	lines := make([]string, len(reads))
	for i, read := range reads {
		value := string(read.Value)
		switch runes := []rune(value); {
		case read.Secret:
			value = hidden
		case read.Value == nil:
			value = "(fails)"
		case len(runes) > maxReading:
			value = string(runes[:maxReading]) + "…"
		}
		lines[i] = read.Name + " = " + value
	}
	return lines
}
