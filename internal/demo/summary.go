package demo

import (
	"fmt"
	"slices"
	"strings"

	"github.com/walpost/walpost/config"
)

// tally counts the deliveries of a topic or of a webhook.
type tally struct {
	rows      int // committed rows; of a topic
	due       int // deliveries of committed rows
	delivered int // the receiver answered well
	retried   int // more than one request
	owed      int // in the ledger: pending or retrying
	failed    int // in the ledger
	parked    int // in the ledger
	lost      int // nowhere
	changed   int // repeated with another body
}

// summary compares what was committed with what arrived and what the ledger has.
type summary struct {
	topics     map[string]*tally
	webhooks   map[string]*tally
	seen       map[string]int // deliveries at the webhook that gets everything, by topic
	committed  int            // rows
	rolledBack int            // rows
	invented   int            // requests for rows that were rolled back, or that never were
	forged     int            // requests without the right signature
	lost       []string       // deliveries that are nowhere
	facts      *facts
}

// summarize closes the books.
func summarize(b *books, f *facts) *summary {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &summary{
		topics: map[string]*tally{}, webhooks: map[string]*tally{}, seen: map[string]int{},
		invented: len(b.strays), forged: b.forged, facts: f,
	}
	for _, r := range b.rows {
		switch r.fate {
		case fateCommitted:
			s.committed++
			s.enter(r)
		case fateRolledBack:
			s.rolledBack++
			for _, d := range r.deliveries {
				s.invented += len(d.requests)
			}
		}
	}
	return s
}

// enter counts a committed row.
func (s *summary) enter(r *row) {
	for _, topic := range r.topics {
		of(s.topics, topic).rows++
	}
	for _, d := range r.deliveries {
		topic, webhook := of(s.topics, d.topic), of(s.webhooks, d.webhook)
		topic.count(d, s.facts.states[d.id])
		webhook.count(d, s.facts.states[d.id])
		switch {
		case d.delivered() && d.webhook == everything:
			s.seen[d.topic]++
		case !d.delivered() && s.facts.states[d.id] == "":
			s.lost = append(s.lost, d.topic+" → "+d.webhook+" ("+d.id+")")
		}
	}
}

// count enters a delivery whose state in the ledger is given, "" if it isn't there.
func (t *tally) count(d *delivery, state string) {
	t.due++
	if d.retried() {
		t.retried++
		if !d.same() {
			t.changed++
		}
	}
	switch {
	case d.delivered():
		t.delivered++
	case state == "pending", state == "retrying":
		t.owed++
	case state == "parked":
		t.parked++
	case state == "":
		t.lost++
	default: // failed, cancelled; and delivered, which the receiver would have to know
		t.failed++
	}
}

func of(tallies map[string]*tally, name string) *tally {
	t, ok := tallies[name]
	if !ok {
		t = &tally{}
		tallies[name] = t
	}
	return t
}

// show writes the tables.
func (s *summary) show(out *screen, cfg *config.Config) {
	out.title("Topics: rows sent by the application, and their deliveries")
	topics := &table{
		head: []string{"topic", "sent", "due", "delivered", "retried", "parked", "owed"}, text: []string{"topic"},
	}
	for _, topic := range cfg.Topics {
		t := of(s.topics, topic.Name)
		topics.add(topic.Name, t.rows, t.due, t.delivered, t.retried, t.parked, t.owed)
	}
	out.show(topics)

	out.title("Webhooks")
	webhooks := &table{
		head: []string{"webhook", "due", "delivered", "retried", "failed", "parked", "owed", "disabled"},
		text: []string{"webhook", "disabled"},
	}
	for _, w := range cfg.Webhooks {
		t := of(s.webhooks, w.Name)
		webhooks.add(w.Name, t.due, t.delivered, t.retried, t.failed, t.parked, t.owed, s.facts.disabled[w.Name])
	}
	out.show(webhooks)

	out.say("\ncommitted rows: %d", s.committed)
	out.say("rolled-back rows: %d, %s", s.rolledBack, out.styled(cell{fmt.Sprintf("arrived: %d", s.invented), judge(s.invented)}))
	out.say("%s", out.styled(cell{fmt.Sprintf("unaccounted: %d", len(s.lost)), judge(len(s.lost))}))
}

// judge is the style of a count that should be 0.
func judge(bad int) style {
	if bad > 0 {
		return red
	}
	return green
}

// problems says what keeps the demo from having shown what walpost promises; nil if nothing does.
func (s *summary) problems(cfg *config.Config) []string {
	var found []string
	note := func(bad bool, format string, args ...any) {
		if bad {
			found = append(found, fmt.Sprintf(format, args...))
		}
	}
	missing := slices.DeleteFunc(names(cfg.Topics), func(topic string) bool { return s.seen[topic] > 0 })
	note(len(missing) > 0, "topics that didn't arrive at webhook %q: %s", everything, strings.Join(missing, ", "))
	note(s.rolledBack == 0, "no row was rolled back")
	note(s.invented > 0, "%d requests arrived for rows that were rolled back or never inserted", s.invented)
	note(s.forged > 0, "%d requests had no valid signature", s.forged)
	note(s.facts.disabled[gone] == "", "webhook %q answered 410 and is not disabled in the ledger", gone)
	note(of(s.webhooks, gone).parked == 0, "webhook %q has nothing parked in the ledger", gone)
	for _, name := range []string{everything, crm, slow, flaky} {
		t := of(s.webhooks, name)
		note(t.due == 0, "webhook %q was sent nothing", name)
		note(t.delivered < t.due, "webhook %q got %d of %d deliveries", name, t.delivered, t.due)
		note(t.changed > 0, "webhook %q got %d deliveries again with another body", name, t.changed)
		note(s.facts.disabled[name] != "", "webhook %q is disabled", name)
	}
	t := of(s.webhooks, flaky)
	note(t.retried < t.due, "webhook %q: %d of %d deliveries were retried under their webhook-id", flaky, t.retried, t.due)
	note(s.facts.quarantined > 0, "%d events are quarantined", s.facts.quarantined)
	note(len(s.lost) > 0, "unaccounted for: %s", strings.Join(s.lost, ", "))
	return found
}

func names(topics []*config.Topic) []string {
	all := make([]string, len(topics))
	for i, t := range topics {
		all[i] = t.Name
	}
	return all
}
