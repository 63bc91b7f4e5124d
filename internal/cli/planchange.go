package cli

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/walpost/walpost/internal/admin"
	"github.com/walpost/walpost/internal/ruletest"
	"github.com/walpost/walpost/outbox"
)

// changeKind is how a delivery differs between two configurations.
type changeKind string

const (
	changeSent      changeKind = "sent"
	changeNotSent   changeKind = "no longer sent"
	changeDifferent changeKind = "sent differently"
	changeFails     changeKind = "failing"
	changeMended    changeKind = "no longer failing"
)

// changeKinds are in the order in which they are shown, with the mark of each.
var changeKinds = []struct {
	kind changeKind
	mark string
}{
	{changeFails, "!"}, {changeNotSent, "-"}, {changeSent, "+"}, {changeDifferent, "~"}, {changeMended, "✓"},
}

// planDocument is the document of walpost plan -o json.
type planDocument struct {
	Format     int           `json:"format"`
	Rows       int           `json:"rows"`            // compared
	Unreadable int           `json:"unreadable_rows"` // not compared
	Cut        bool          `json:"cut"`             // there are more of the last rows, too large to read at once
	Newest     time.Time     `json:"newest,omitzero"`
	Oldest     time.Time     `json:"oldest,omitzero"`
	Same       int           `json:"same"` // deliveries that both make alike
	Changes    []*planChange `json:"changes"`
}

// planChange is what changes for a webhook and a topic.
type planChange struct {
	Kind    changeKind  `json:"kind"`
	Webhook string      `json:"webhook,omitempty"` // empty: a rule fails, so for all webhooks of the topic
	Topic   string      `json:"topic"`
	Count   int         `json:"count"`
	Example planExample `json:"example"`
}

// planExample is the newest of the events that a change is about.
type planExample struct {
	Event   string `json:"event_id"`
	Request string `json:"request,omitempty"` // that would be sent, or no longer sent
	Diff    string `json:"diff,omitempty"`    // from running to changed
	Problem string `json:"problem,omitempty"` // why it fails
}

func newPlanDocument(r rows) *planDocument {
	d := &planDocument{Format: admin.Format, Rows: len(r.events), Unreadable: r.unreadable, Cut: r.cut, Changes: []*planChange{}}
	if len(r.events) > 0 {
		d.Newest, d.Oldest = r.events[0].CreatedAt, r.events[len(r.events)-1].CreatedAt
	}
	return d
}

// add compares what both configurations make of a row.
func (d *planDocument) add(row *outbox.Row, before, after map[target]outcome) {
	targets := maps.Clone(before)
	maps.Copy(targets, after)
	for t := range targets {
		was, wasThere := before[t]
		is, isThere := after[t]
		kind := changeOf(was, wasThere, is, isThere)
		if kind == "" {
			d.Same++
			continue
		}
		d.change(kind, t, func() planExample {
			example := planExample{Event: row.ID, Problem: cmp.Or(is.problem, was.problem)}
			switch kind {
			case changeSent:
				example.Request = is.shown
			case changeNotSent:
				example.Request = was.shown
			case changeDifferent:
				if example.Diff = ruletest.Diff("running", was.shown, "changed", is.shown); example.Diff == "" {
					example.Diff = "what differs is a secret, which is not shown\n"
				}
			}
			return example
		})
	}
}

// changeOf says how two outcomes differ; empty: they don't.
func changeOf(was outcome, wasThere bool, is outcome, isThere bool) changeKind {
	switch failed, fails := was.problem != "", is.problem != ""; {
	case fails && failed:
		return ""
	case fails:
		return changeFails
	case failed:
		return changeMended
	case !wasThere:
		return changeSent
	case !isThere:
		return changeNotSent
	case was.request != is.request:
		return changeDifferent
	}
	return ""
}

func (d *planDocument) change(kind changeKind, t target, example func() planExample) {
	for _, c := range d.Changes {
		if c.Kind == kind && c.Webhook == t.webhook && c.Topic == t.topic {
			c.Count++
			return
		}
	}
	d.Changes = append(d.Changes, &planChange{Kind: kind, Webhook: t.webhook, Topic: t.topic, Count: 1, Example: example()})
}

// sort puts what needs attention first.
func (d *planDocument) sort() {
	slices.SortFunc(d.Changes, func(a, b *planChange) int {
		return cmp.Or(cmp.Compare(a.Kind.order(), b.Kind.order()), cmp.Compare(a.Webhook, b.Webhook), cmp.Compare(a.Topic, b.Topic))
	})
}

func (k changeKind) order() int {
	for i, known := range changeKinds {
		if known.kind == k {
			return i
		}
	}
	return len(changeKinds)
}

type planTotal struct {
	kind changeKind
	n    int
}

// totals are the counts of each kind of change that there is.
func (d *planDocument) totals() []planTotal {
	var totals []planTotal
	for _, known := range changeKinds {
		n := 0
		for _, c := range d.Changes {
			if c.Kind == known.kind {
				n += c.Count
			}
		}
		if n > 0 {
			totals = append(totals, planTotal{known.kind, n})
		}
	}
	return totals
}

// text is the change for people.
func (c *planChange) text(paint func(string) string) string {
	to := c.Webhook
	if to == "" {
		to = "all webhooks"
	}
	text := fmt.Sprintf("%s %s  %s: %s %s, for example event %s\n",
		changeKinds[c.Kind.order()].mark, to, c.Topic, count(c.Count, "delivery"), c.Kind, c.Example.Event)
	detail := c.Example.Problem
	switch c.Kind {
	case changeSent:
		detail = prefixed("+ ", c.Example.Request)
	case changeNotSent:
		detail = prefixed("- ", c.Example.Request)
	case changeDifferent:
		detail = c.Example.Diff
	}
	return text + "    " + indent(paint(printable(detail)), 4) + "\n"
}

// prefixed begins each line with a mark.
func prefixed(mark, text string) string {
	return mark + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+mark)
}

// sorted gives the entries of a map by their keys.
func sorted[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if !yield(key, m[key]) {
				return
			}
		}
	}
}
