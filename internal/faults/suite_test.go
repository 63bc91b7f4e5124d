//go:build unix

package faults

import (
	"cmp"
	"context"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/walpost/walpost/internal/pgtest"
)

func TestMain(m *testing.M) {
	if child() {
		return
	}
	pgtest.Main(m)
}

// settings of the suite's Postgres.
var settings = map[string]string{"max_prepared_transactions": "50"}

// environment reads how long and what to play: FAULTS_FOR, FAULTS_SEED, FAULTS_ONLY, FAULTS_WORKERS.
func environment(t *testing.T) plan {
	t.Helper()
	p := plan{
		seed: uint64(time.Now().UnixNano()), lasts: 15 * time.Second, workers: 4, pace: 60 * time.Millisecond, stretch: 0.4,
		settle: 3 * time.Minute,
	}
	var err error
	if text := os.Getenv("FAULTS_FOR"); text != "" {
		p.stretch, p.pace = 1, 150*time.Millisecond
		if p.lasts, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
		p.settle += p.lasts // a backlog of that time may be left
	}
	if text := os.Getenv("FAULTS_SEED"); text != "" {
		if p.seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	if text := os.Getenv("FAULTS_WORKERS"); text != "" {
		if p.workers, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	if p.only, err = regexp.Compile(cmp.Or(os.Getenv("FAULTS_ONLY"), ".")); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestFaults plays all faults at random and checks every invariant.
func TestFaults(t *testing.T) {
	t.Parallel()
	p := environment(t)
	t.Logf("seed %d for %s", p.seed, p.lasts)
	server := pgtest.Start(t, settings)
	g, err := prepare(t.Context(), server.URL("postgres"), "faults", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	g.server = server
	t.Cleanup(g.close)
	if err := g.run(t.Context(), p); err != nil {
		t.Error(err)
	}
	report(t, g)
}

// report checks and prints what a run came to.
func report(t *testing.T, g *ground) {
	t.Helper()
	f, err := g.check(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d transactions committed (%d rows), %d rolled back (%d ghosts): %v", f.transactions, f.rows, f.rollbacks, f.ghosts, g.workload.shapes)
	t.Logf("%d faults: %v", g.journal.counts().total(), g.journal.counts())
	t.Logf("%d walposts: %v", len(g.runner.runs), f.ends)
	t.Logf("%d deliveries in %d requests; %d failed as they should, %d rows quarantined, %d unrouted", f.deliveries, f.requests, f.failed, f.quarantined, f.unrouted)
	t.Logf("lost %d, owed %d, ghosts %d, repeats %d (%v), without a reason %d", f.lost, f.owed, f.invented, f.repeats.total()+f.unexplained, f.repeats, f.unexplained)
	const shown = 15
	for i, p := range g.problems {
		if i == shown {
			t.Errorf("… and %d more", len(g.problems)-shown)
			break
		}
		t.Error(p)
	}
}
