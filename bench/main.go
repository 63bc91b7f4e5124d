// Command bench measures walpost on this machine and prints a table of the figures that the README and
// docs/performance.md quote:
//
//	go run ./bench
//
// It starts a throw-away Postgres and a receiver that costs as little as can be. In each round every scenario and its
// limit run in turn, each in a process of its own and from a fresh database: the machine may be noisy, the ratio of two
// neighbours holds. The limits are a plain net/http client that posts the same bodies, and pg_recvlogical, which only
// decodes. A River worker, in a module of its own under bench/peers, does the same job as a user would otherwise do it.
//
//	go run ./bench fairness
//
// measures what endpoints that are dead, slow or flooded do to another one's latency.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"
)

// clientCommand is the argument with which this program runs as the plain client.
const clientCommand = "plain-client"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch command := append(os.Args, "")[1]; command {
	case clientCommand:
		err = runClient(ctx, os.Args[2:])
	case fairnessCommand:
		err = runFairness(ctx, os.Args[2:])
	case profiledCommand:
		err = runProfiled(os.Args[2:])
	default:
		err = runBench(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

// settings of a run.
type settings struct {
	rows, payload, rounds int
	steady                time.Duration
	only                  string
	profile               string
}

func parseSettings() settings {
	var s settings
	flag.IntVar(&s.rows, "rows", 100_000, "rows that wait in the outbox in the two plain drains; a fifth of it in the others")
	flag.IntVar(&s.payload, "payload", 500, "bytes of a payload")
	flag.IntVar(&s.rounds, "rounds", 3, "rounds of all scenarios and their limits in turn")
	flag.DurationVar(&s.steady, "steady", 15*time.Second, "length of a latency measurement")
	flag.StringVar(&s.only, "only", "", "comma-separated beginnings of the scenarios' names; empty: all")
	flag.StringVar(&s.profile, "profile", "", "folder for a CPU profile of walpost in each scenario; empty: none")
	flag.Parse()
	return s
}

// wants reports whether a scenario is asked for.
func (s settings) wants(name string) bool {
	if s.only == "" {
		return true
	}
	for prefix := range strings.SplitSeq(s.only, ",") {
		if strings.HasPrefix(name, strings.TrimSpace(prefix)) {
			return true
		}
	}
	return false
}
