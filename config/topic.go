package config

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Topic is a thing that happens, and that webhooks can ask for.
type Topic struct {
	Name        string // e.g. "contact.tagged"
	Title       string // for people, e.g. "Contact tagged"
	Description string // when it happens
	// Aggregate is the kind of thing that it happens to, e.g. "contact"; by default
	// the name's first part.
	Aggregate string
	// EventTypes names the event types that give the topic without a rule; by
	// default its own name. Empty: only rules give it.
	EventTypes []string
	Builtin    bool // from the built-in pack
	DeclRange  hcl.Range
}

// MatchTopic reports whether a webhook's topic pattern matches the topic. In a
// pattern, * stands for any run of characters, dots too; the rest is literal.
func MatchTopic(pattern, topic string) bool {
	head, rest, glob := strings.Cut(pattern, "*")
	if !glob {
		return pattern == topic
	}
	topic, ok := strings.CutPrefix(topic, head)
	if !ok {
		return false
	}
	for {
		part, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(topic, part)
		}
		_, after, found := strings.Cut(topic, part)
		if !found {
			return false
		}
		topic, rest = after, next
	}
}
