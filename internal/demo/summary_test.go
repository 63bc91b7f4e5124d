//go:build unix

package demo

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/outbox"
)

// played is a demo's end as it should be: a row per topic, one rolled back.
type played struct {
	cfg   *config.Config
	books *books
	facts *facts
}

func play(t *testing.T) *played {
	t.Helper()
	p := &played{cfg: load(t), facts: &facts{states: map[string]string{}, disabled: map[string]string{gone: "410"}}}
	p.books = newBooks(p.cfg.Webhooks)
	for _, topic := range names(p.cfg.Topics) {
		r := p.open(topic)
		p.books.committing(r)
		p.books.committed(r)
		for _, d := range r.deliveries {
			switch d.webhook {
			case gone:
				p.facts.states[d.id] = "parked"
			case flaky:
				p.request(d, 1, 500)
				p.request(d, 2, 200)
			default:
				p.request(d, 1, 200)
			}
		}
	}
	p.books.rolledBack(p.open("contact.tagged"))
	return p
}

func (p *played) open(topic string) *row {
	aggregate, _, _ := strings.Cut(topic, ".")
	return p.books.open(outbox.Event{ID: uuid.NewString(), AggregateType: aggregate, Type: topic})
}

func (p *played) request(d *delivery, attempt, status int) {
	p.books.arrived(&arrival{id: d.id, webhook: d.webhook, topic: d.topic, attempt: attempt, status: status})
}

// find gives the first delivery of a topic to a webhook whose row has the fate.
func (p *played) find(topic, webhook string, f fate) *delivery {
	for _, r := range p.books.rows {
		for _, d := range r.deliveries {
			if d.topic == topic && d.webhook == webhook && r.fate == f {
				return d
			}
		}
	}
	return nil
}

// The demo's verdict finds each way in which walpost could break its word.
func TestProblems(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*played)
		want  []string // one for each problem, in order
	}{
		"nothing": {func(*played) {}, nil},
		"a topic is lost": {
			func(p *played) { p.find("user.deleted", everything, fateCommitted).requests = nil },
			[]string{`didn't arrive at webhook "everything": user.deleted`, `"everything" got 29 of 30`, "unaccounted for: user.deleted → everything"},
		},
		"a delivery is only owed": {
			func(p *played) {
				d := p.find("conversation.closed", slow, fateCommitted)
				d.requests, p.facts.states[d.id] = nil, "retrying"
			},
			[]string{`"slow" got 8 of 9`},
		},
		"a rolled-back row arrives": {
			func(p *played) { p.request(p.find("contact.tagged", everything, fateRolledBack), 1, 200) },
			[]string{"1 requests arrived for rows that were rolled back"},
		},
		"an unknown id arrives": {
			func(p *played) { p.books.arrived(&arrival{id: "x", webhook: everything, status: 200}) },
			[]string{"1 requests arrived for rows that were rolled back or never inserted"},
		},
		"another webhook's id arrives": {
			func(p *played) {
				p.books.arrived(&arrival{id: p.find("lead.created", crm, fateCommitted).id, webhook: everything, status: 200})
			},
			[]string{"1 requests arrived"},
		},
		"a forged request": {
			func(p *played) { p.books.arrived(&arrival{webhook: crm, forged: true, status: 401}) },
			[]string{"1 requests had no valid signature"},
		},
		"410 is forgotten": {
			func(p *played) { delete(p.facts.disabled, gone) },
			[]string{`"gone" answered 410 and is not disabled`},
		},
		"410 disables another webhook": {
			func(p *played) { p.facts.disabled[crm] = "410" },
			[]string{`"crm" is disabled`},
		},
		"parked deliveries are forgotten": {
			func(p *played) {
				for id, state := range p.facts.states {
					if state == "parked" {
						delete(p.facts.states, id)
					}
				}
			},
			[]string{`"gone" has nothing parked`, "unaccounted for: "},
		},
		"nothing is retried": {
			func(p *played) {
				d := p.find("contact.tagged", flaky, fateCommitted)
				d.requests = d.requests[1:]
			},
			[]string{`"flaky": 3 of 4 deliveries were retried`},
		},
		"a retry has another body": {
			func(p *played) { p.find("contact.tagged", flaky, fateCommitted).requests[1].body = sha256.Sum256(nil) },
			[]string{`"flaky" got 1 deliveries again with another body`},
		},
		"an event is quarantined": {
			func(p *played) { p.facts.quarantined = 1 },
			[]string{"1 events are quarantined"},
		},
		"nothing is rolled back": {
			func(p *played) { p.books.rows = p.books.rows[:len(p.books.rows)-1] },
			[]string{"no row was rolled back"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := play(t)
			c.spoil(p)
			got := summarize(p.books, p.facts).problems(p.cfg)
			if len(got) != len(c.want) {
				t.Fatalf("problems %q, want %q", got, c.want)
			}
			for i, want := range c.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("problem %q, want %q", got[i], want)
				}
			}
		})
	}
}
