package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// series are the rounds of one scenario.
type series struct {
	scenario scenario
	rounds   []figures
	limits   []float64 // the rate of what it is compared with, in the same round
}

func runBench(ctx context.Context) (err error) {
	s := parseSettings()
	g, err := newGround(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close(context.WithoutCancel(ctx))) }()
	fmt.Printf("%s, Go %s, Postgres %s, %d cores; load average before: %s; payloads of %d B\n\n",
		machine(), strings.TrimPrefix(runtime.Version(), "go"), g.server.Version(), runtime.NumCPU(), loadAverage(), s.payload)
	all, err := g.rounds(ctx)
	if err != nil {
		return err
	}
	if err := printSeries(all); err != nil {
		return err
	}
	if s.wants("latency") {
		if err := g.latencies(ctx); err != nil {
			return err
		}
	}
	fmt.Printf("\nload average after: %s\n", loadAverage())
	return nil
}

// rounds runs every scenario that is asked for, and what it is compared with, in turn.
func (g *ground) rounds(ctx context.Context) ([]series, error) {
	var all []series
	for _, s := range scenarios() {
		if g.wants(s.name) || slices.ContainsFunc(scenarios(), func(o scenario) bool {
			return o.against == s.name && g.wants(o.name)
		}) {
			all = append(all, series{scenario: s})
		}
	}
	for round := range g.settings.rounds {
		rates := map[string]float64{}
		for i := range all {
			s := &all[i].scenario
			if s.against == "" {
				plain, err := g.plain(ctx, s)
				if err != nil {
					return nil, err
				}
				all[i].limits = append(all[i].limits, plain.rate)
				fmt.Fprintf(os.Stderr, "round %d: %-16s plain client %8.0f/s, CPU %5.1f µs\n", round+1, s.name, plain.rate, plain.cpu)
			}
			run := s.run
			if run == nil {
				run = (*ground).drain
			}
			f, err := run(g, ctx, s)
			if err != nil {
				return nil, fmt.Errorf("scenario %s: %w", s.name, err)
			}
			all[i].rounds = append(all[i].rounds, f)
			rates[s.name] = f.rate
			fmt.Fprintf(os.Stderr, "round %d: %-16s %21.0f/s, CPU %5.1f µs\n", round+1, s.name, f.rate, f.cpu)
		}
		for i := range all {
			if against := all[i].scenario.against; against != "" {
				all[i].limits = append(all[i].limits, rates[against])
			}
		}
	}
	return all, nil
}

// spread is a median and the range around it.
func spread(values []float64) (median, low, high float64) {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2], sorted[0], sorted[len(sorted)-1]
}

func medianOf(rounds []figures, pick func(figures) float64) float64 {
	values := make([]float64, len(rounds))
	for i, f := range rounds {
		values[i] = pick(f)
	}
	m, _, _ := spread(values)
	return m
}

// printSeries prints the table, in Markdown.
func printSeries(all []series) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| scenario \t| events/s \t| compared with \t| its rate \t| ratio (range) \t| target \t| CPU µs/event \t| Postgres CPU µs \t| RSS MiB \t| Postgres MiB \t| WAL B/event \t| commits/event \t|")
	fmt.Fprintln(w, "| --- \t| --- \t| --- \t| --- \t| --- \t| --- \t| --- \t| --- \t| --- \t| --- \t| --- \t| --- \t|")
	for _, s := range all {
		ratios := make([]float64, len(s.rounds))
		for i, f := range s.rounds {
			ratios[i] = f.rate / s.limits[i]
		}
		rate := medianOf(s.rounds, func(f figures) float64 { return f.rate })
		limit, _, _ := spread(s.limits)
		ratio, low, high := spread(ratios)
		against := s.scenario.against
		if against == "" {
			against = "plain client"
		}
		fmt.Fprintf(w, "| %s: %s \t| %.0f \t| %s \t| %.0f \t| %.2f (%.2f–%.2f) \t| %s \t| %.1f \t| %.1f \t| %.1f \t| %.0f \t| %.1f \t| %.4f \t|\n",
			s.scenario.name, s.scenario.about, rate, against, limit, ratio, low, high, target(s.scenario.target),
			medianOf(s.rounds, func(f figures) float64 { return f.cpu }), medianOf(s.rounds, func(f figures) float64 { return f.server }),
			medianOf(s.rounds, func(f figures) float64 { return f.rss }), medianOf(s.rounds, func(f figures) float64 { return f.resident }),
			medianOf(s.rounds, func(f figures) float64 { return f.wal }), medianOf(s.rounds, func(f figures) float64 { return f.commits }))
	}
	return w.Flush()
}

// target is what a ratio should be: at least a positive one, at most a negative one.
func target(t float64) string {
	switch {
	case t > 0:
		return fmt.Sprintf("≥ %.2f", t)
	case t < 0:
		return fmt.Sprintf("≤ %.2f", -t)
	}
	return ""
}

// machine is the processor's name.
func machine() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	fields := strings.Fields(string(text))
	return strings.Join(fields[:min(3, len(fields))], " ")
}
