// Command bench measures walpost on this machine and prints a table of the figures that the README quotes:
//
//	go run ./bench
//
// It starts a throw-away Postgres and a receiver, then in each round lets a plain net/http client and walpost, each
// a process of its own, bring the same bodies to the same receiver. Every figure of walpost's drain is shown beside
// the plain client's of the same round: the machine may be noisy, the ratio holds.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

// clientCommand is the argument with which this program runs as the plain client.
const clientCommand = "plain-client"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if len(os.Args) > 1 && os.Args[1] == clientCommand {
		err = runClient(ctx, os.Args[2:])
	} else {
		err = runBench(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

// settings of a run.
type settings struct {
	rows, payload, rounds, rate int
	steady                      time.Duration
	concurrency                 int
	record                      string
}

func parseSettings() settings {
	var s settings
	flag.IntVar(&s.rows, "rows", 20_000, "rows that wait in the outbox when walpost starts")
	flag.IntVar(&s.payload, "payload", 500, "bytes of a payload")
	flag.IntVar(&s.rounds, "rounds", 3, "rounds of plain client and walpost in turn")
	flag.IntVar(&s.rate, "rate", 200, "rows per second of the latency measurement")
	flag.DurationVar(&s.steady, "steady", 15*time.Second, "length of the latency measurement")
	flag.IntVar(&s.concurrency, "concurrency", 32, "requests at a time, of both")
	flag.StringVar(&s.record, "record", "failures", "ledger.record: failures or all")
	flag.Parse()
	return s
}
