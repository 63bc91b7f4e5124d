package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// scenario is one line of the table: a load, how walpost is set up, how the receiver answers, and the scenario to
// whose rate of the same round its own is compared.
type scenario struct {
	name, about string
	whole       bool // all of settings.rows; else a fifth of it
	perTx       int  // rows per transaction
	fan         int  // webhooks per event; 0 is 1
	concurrent  int  // connections of each webhook; 0: walpost's default
	rules, body string
	order       string // order_by of each webhook
	record      string // of the ledger; empty: failures
	daemons     int    // for shared: how many work at a time
	answers     answers
	against     string // name of another scenario; empty: the plain client with the same load
	target      float64
	run         func(*ground, context.Context, *scenario) (figures, error) // nil: drain
}

const (
	riverName    = "river"
	singleName   = "single"
	baselineName = "baseline"
	plainName    = "plain"
)

// slowly is how an endpoint answers that takes 20 ms.
var slowly = answers{delay: 20 * time.Millisecond}

// scenarios are in an order in which neighbours compare.
func scenarios() []scenario {
	return []scenario{
		{name: "decode", about: "pg_recvlogical alone, single-row transactions", whole: true, perTx: 1, against: singleName, run: (*ground).decode},
		{name: singleName, about: "drain, single-row transactions, passed through", whole: true, perTx: 1, target: 0.75},
		{name: riverName, about: "a River worker on the same jobs", perTx: 1, concurrent: 100, against: singleName, run: (*ground).peer, target: -0.33},
		{name: "hundred", about: "drain, 100-row transactions, passed through", whole: true, perTx: 100, target: 0.75},
		{name: "rules", about: "27 rules, a rendered 5-field body, signed", perTx: 1, rules: rules(27), body: renderedBody, target: 0.65},
		{name: baselineName, about: "one webhook, 1 row a transaction, a fifth of the rows", perTx: 1},
		{name: "record-all", about: `record = "all"`, perTx: 1, record: "all", target: 0.5},
		{name: "fan-10", about: "10 webhooks per event", perTx: 1, fan: 10},
		{name: "fan-100", about: "100 webhooks per event", perTx: 1, fan: 100},
		{name: "ordered", about: "order_by = event.aggregate_id, each with an id of its own", perTx: 1, order: "event.aggregate_id", against: baselineName},
		{name: "fan-100-fixed", about: "the same, concurrency = 32", perTx: 1, fan: 100, concurrent: 32, against: "fan-100"},
		{name: "fixed-32", about: "concurrency = 32", perTx: 1, concurrent: 32, against: baselineName},
		{name: "connections-64", about: "64 connections", perTx: 1, concurrent: 64},
		{name: "connections-256", about: "256 connections", perTx: 1, concurrent: 256},
		{name: "failing-1", about: "1 % of the events fail", perTx: 1, answers: answers{failing: 1}, against: baselineName, target: 0.9},
		{name: "failing-20", about: "20 % of the events fail", perTx: 1, answers: answers{failing: 20}, against: baselineName},
		{name: "failing-100", about: "all events fail", perTx: 1, answers: answers{failing: 100}, against: baselineName},
		{name: "ledger-1", about: "due retries from the ledger, one daemon", perTx: 1, daemons: 1, run: (*ground).shared},
		{name: "ledger-2", about: "two daemons", perTx: 1, daemons: 2, against: "ledger-1", run: (*ground).shared},
		{name: "ledger-4", about: "four daemons", perTx: 1, daemons: 4, against: "ledger-1", run: (*ground).shared},
		{name: plainName, about: "plain client, 32 connections", whole: true, perTx: 1, run: (*ground).plain, against: plainName},
		{name: "plain-slow-600", about: "plain client, 20 ms, 600 connections", whole: true, perTx: 1, concurrent: 600, answers: slowly, run: (*ground).plain, against: plainName},
		{name: "plain-slow-1000", about: "plain client, 20 ms, 1000 connections", whole: true, perTx: 1, concurrent: 1000, answers: slowly, run: (*ground).plain, against: plainName},
		{name: "plain-slow-2000", about: "plain client, 20 ms, 2000 connections", whole: true, perTx: 1, concurrent: 2000, answers: slowly, run: (*ground).plain, against: plainName},
		{name: "slow", about: "the endpoint takes 20 ms to answer", whole: true, perTx: 1, answers: slowly, against: singleName, target: 0.9},
	}
}

// rows is how many rows the outbox holds. A fan multiplies the requests, not the rows.
func (s *scenario) rows(g *ground) int {
	n := g.rows
	if !s.whole {
		n /= 5
	}
	return max(n/max(s.fan, 1), 100)
}

func (s *scenario) arrivals(g *ground) int { return s.rows(g) * max(s.fan, 1) }

// connections are the plain client's: as many as walpost has.
func (s *scenario) connections() int {
	if s.concurrent > 0 {
		return s.concurrent
	}
	return defaultConnections
}

// defaultConnections are the plain client's: more don't make it faster. defaultMost is walpost's default of `concurrency_max`.
const defaultConnections, defaultMost = 32, 1000

// hcl is walpost's configuration for it.
func (s *scenario) hcl(url string) string {
	var b strings.Builder
	if s.record != "" {
		fmt.Fprintf(&b, "ledger { record = %q }\n", s.record)
	}
	b.WriteString(s.rules)
	for i := range max(s.fan, 1) {
		fmt.Fprintf(&b, "webhook \"bench_%d\" {\n  topics = [\"*\"]\n  url = \"%s%d\"\n", i, url, i)
		if s.concurrent > 0 {
			fmt.Fprintf(&b, "  concurrency = %d\n", s.concurrent)
		}
		if s.order != "" {
			fmt.Fprintf(&b, "  order_by = %s\n", s.order)
		}
		b.WriteString(s.body + "}\n")
	}
	return b.String()
}

// rules are n rules of which one matches.
func rules(n int) string {
	var b strings.Builder
	b.WriteString("rules = \"none\"\ntopic \"bench.matched\" {}\n")
	for i := range n {
		kind := fmt.Sprintf("never_%d", i)
		if i == n/2 {
			kind = "contact.tagged"
		}
		fmt.Fprintf(&b, `rule "rule_%d" {
  when  = event.type == %q && event.payload.contact.type == "lead"
  topic = "bench.matched"
}
`, i, kind)
	}
	return b.String()
}

// renderedBody has five fields of the payload, and a signature.
const renderedBody = `  body = {
    id    = event.id
    name  = event.data.contact.name
    email = lower(event.data.contact.email)
    type  = event.data.contact.type
    note  = event.data.note
  }
  sign { secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }
`
