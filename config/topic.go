package config

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Topic is a thing that happens, and that webhooks can ask for.
type Topic struct {
	Name        string // e.g. "contact.tagged"
	Title       string // for people, e.g. "Contact tagged"; by default Name
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

// topicForm is the form of a topic's name.
var topicForm = regexp.MustCompile(`^[a-z0-9_-]+(\.[a-z0-9_-]+)*$`)

func (l *loader) decodeTopics(blocks []*hclsyntax.Block, builtin bool) {
	for _, src := range blocks {
		b := l.open(src)
		topic := b.decodeTopic(builtin)
		if len(src.Labels) == 0 {
			continue
		}
		if first := l.config.Topic(topic.Name); first != nil {
			b.redeclared(topic, first)
			continue
		}
		l.config.Topics = append(l.config.Topics, topic)
	}
	slices.SortFunc(l.config.Topics, func(a, b *Topic) int { return cmp.Compare(a.Name, b.Name) })
}

func (b *block) redeclared(topic, first *Topic) {
	if !first.Builtin {
		b.duplicate(topic.DeclRange, first.DeclRange, "topic \""+topic.Name+"\"")
		return
	}
	d := problem(topic.DeclRange, "Duplicate topic \""+topic.Name+"\"",
		"The built-in pack has this topic, at %s. Choose another name, or leave the pack out with rules = \"none\".", place(first.DeclRange))
	d.Extra = related{note: "in the built-in pack", at: first.DeclRange}
	b.add(d)
}

func (b *block) decodeTopic(builtin bool) *Topic {
	topic := &Topic{
		Name:       b.name,
		Title:      b.name,
		EventTypes: []string{b.name},
		Builtin:    builtin,
		DeclRange:  b.src.DefRange(),
	}
	topic.Aggregate, _, _ = strings.Cut(b.name, ".")
	if len(b.src.Labels) > 0 && (len(b.name) > 100 || !topicForm.MatchString(b.name)) {
		b.fail(b.src.LabelRanges[0], "Invalid topic name",
			`A topic name has up to 100 lower-case letters, digits, "_" and "-", in parts with dots between, like "invoice.paid".`)
	}
	if title, ok := b.text("title", "Invoice paid"); ok {
		topic.Title = title.value
	}
	if description, ok := b.text("description", "An invoice is paid"); ok {
		topic.Description = description.value
	}
	if aggregate, ok := b.text("aggregate", "invoice"); ok {
		topic.Aggregate = aggregate.value
	}
	types, there, _ := list(b, "event_types", `a list of event types, such as ["invoice.paid"]`, func(expr hclsyntax.Expression) (string, bool) {
		text, ok := b.loader.text(expr, "event_types", `event types in quotes, such as "invoice.paid"`)
		if ok && text == "" {
			b.fail(expr.Range(), "Empty event type", "Write the event type of the rows that give this topic, such as \"invoice.paid\".")
			return "", false
		}
		return text, ok
	})
	if there {
		topic.EventTypes = valuesOf(types)
	}
	return topic
}

// topicNames are the names of all topics, sorted.
func (l *loader) topicNames() []string {
	names := make([]string, len(l.config.Topics))
	for i, topic := range l.config.Topics {
		names[i] = topic.Name
	}
	return names
}

// unknownTopic reports a name that no topic has.
func (l *loader) unknownTopic(name string, at hcl.Range) {
	if l.broken {
		return // it may be declared in what can't be read
	}
	why := didYouMean(suggestTopic(name, l.topicNames()))
	switch {
	case why != "":
	case l.config.Pack == PackNone && strings.Contains(string(gist), `topic "`+name+`"`):
		why = ` It is in the built-in pack, which rules = "none" leaves out.`
	default:
		why = ` "walpost rules gist" lists the built-in ones; declare your own with topic "` + exampleName("topic") + `" { … }.`
	}
	l.fail(at, "Unknown topic", "There is no topic of this name.%s", why)
}
