//go:build unix

package faults

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
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
var settings = map[string]string{
	"max_prepared_transactions":      "50",
	"logical_decoding_work_mem":      "64kB", // so that transactions go to disk
	"max_connections":                "70",
	"superuser_reserved_connections": "30", // for the workload and the suite, when the others are exhausted
}

// environment reads how long and what to play: FAULTS_FOR, FAULTS_SEED, FAULTS_ONLY, FAULTS_WORKERS; FAULTS_MODE is TestFaults'.
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

// TestFaults plays all faults at random and checks every invariant, with each source: FAULTS_MODE, "stream" or "polling", has one
// of them alone. For long it is the stream, unless that says otherwise.
func TestFaults(t *testing.T) {
	t.Parallel()
	p := environment(t)
	mode := os.Getenv("FAULTS_MODE")
	if os.Getenv("FAULTS_FOR") != "" {
		mode = cmp.Or(mode, streaming.name)
	}
	played := false
	for _, by := range sources {
		if mode == "" || mode == by.name {
			played = true
			t.Run(by.name, func(t *testing.T) {
				t.Parallel()
				playFaults(t, by, p)
			})
		}
	}
	if !played {
		t.Fatalf("FAULTS_MODE=%s: want stream or polling", mode)
	}
}

func playFaults(t *testing.T, by *source, p plan) {
	t.Helper()
	t.Logf("seed %d for %s", p.seed, p.lasts)
	logs := logFolder(t)
	disk := newDisk(logs)
	t.Cleanup(disk.remove) // after Postgres has stopped
	server := pgtest.Start(t, settings)
	g, err := prepare(t.Context(), by, server.URL("postgres"), "faults", logs)
	t.Cleanup(g.close)
	if err != nil {
		t.Fatal(err)
	}
	g.server, g.disk = server, disk
	if err := g.useDisk(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := g.run(t.Context(), p); err != nil {
		t.Error(err)
	}
	report(t, g, true)
	if t.Failed() {
		keep(t, g)
		t.Logf("to play it again: FAULTS_MODE=%s FAULTS_SEED=%d FAULTS_FOR=%s make faults", by.name, p.seed, p.lasts)
	}
}

// logFolder makes a folder for what a suite leaves, which goes if all is well.
func logFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "walpost-faults-")
	if err == nil {
		err = os.Chmod(dir, 0o711) //nolint:gosec // Postgres, another user, has its disk in there
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the logs are in %s", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// keep adds to the logs of a failure what else tells of it.
func keep(t *testing.T, g *ground) {
	t.Helper()
	logs := g.runner.logs
	err := os.WriteFile(filepath.Join(logs, "timeline.txt"), []byte(g.journal.timeline()), 0o600)
	if g.server != nil {
		text, read := os.ReadFile(g.server.Log())
		err = errors.Join(err, read, os.WriteFile(filepath.Join(logs, "postgres.log"), text, 0o600))
	}
	if err != nil {
		t.Error(err)
	}
}

// report checks and prints what a run came to, in detail or in one line.
func report(t *testing.T, g *ground, detailed bool) {
	t.Helper()
	f, err := g.check(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Error(err)
		f = &figures{}
	}
	if detailed {
		for _, line := range f.details(g) {
			t.Log(line)
		}
	}
	t.Log(f.summary(g))
	const shown = 15
	for i, p := range g.problems {
		if i == shown {
			t.Errorf("… and %d more", len(g.problems)-shown)
			break
		}
		t.Error(p)
	}
}
