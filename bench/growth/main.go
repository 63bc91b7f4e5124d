// Command growth measures what walpost's costs do as a number grows that they must not follow, and draws it:
//
//	go run ./bench/growth            # all curves, up to 10 million rows: half an hour and 15 GB of disk
//	go run ./bench/growth -most 100000 -only parked
//
// Each curve is a JSON file and an SVG in docs/growth. A run with -label keeps the lines of other labels, so that two
// versions of walpost can be drawn in one picture. Postgres is a throw-away one, without fsync.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// curve measures one thing at growing numbers.
type curve struct {
	name  string
	chart chart
	most  int // the largest number
	// measure calls add for each line and number.
	measure func(ctx context.Context, most int, add func(line string, x int, samples []time.Duration)) error
}

var curves = []curve{
	{"rules", chart{Title: "Rules that can't match", X: "rules", Y: "µs to route an event"}, 10_000, rules},
	{"webhooks", chart{Title: "Webhooks that don't take the topic", X: "webhooks", Y: "µs to route an event"}, 10_000, webhooks},
	{"parked", chart{Title: "Parked deliveries in the ledger", X: "parked deliveries", Y: "ms"}, 10_000_000, parked},
	{"snapshot", chart{
		Title: "Deliveries made while the host holds a snapshot, as a dump does", X: "deliveries made since", Y: "ms to claim 32",
	}, 1_000_000, snapshot},
	{"outbox", chart{Title: "Rows in the outbox table", X: "rows", Y: "µs per event to receive, route and send"}, 10_000_000, outboxRows},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	only := flag.String("only", "", "curves to measure, separated by commas; none: all")
	most := flag.Int("most", 0, "largest number; 0: each curve's own")
	label := flag.String("label", "", "added to the names of the lines")
	dir := flag.String("dir", filepath.Join("docs", "growth"), "folder of the results")
	flag.Parse()
	for _, c := range curves {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), c.name) {
			continue
		}
		if *most > 0 {
			c.most = min(c.most, *most)
		}
		if err := c.draw(ctx, *dir, *label); err != nil {
			return fmt.Errorf("curve %s: %w", c.name, err)
		}
	}
	return nil
}

// draw measures the curve and writes its files.
func (c curve) draw(ctx context.Context, dir, label string) error {
	path := filepath.Join(dir, c.name+".json")
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &c.chart.Series)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	fmt.Printf("\n%s (%s)\n", c.chart.Title, c.chart.Y)
	fresh := map[string]bool{}
	unit := time.Microsecond
	if strings.HasPrefix(c.chart.Y, "ms") {
		unit = time.Millisecond
	}
	err = c.measure(ctx, c.most, func(name string, x int, samples []time.Duration) {
		if label != "" {
			name += ", " + label
		}
		p := summary(x, samples, unit)
		fmt.Printf("%-40s %10d %10.3f, median %.3f\n", name, x, p.Y, p.Median)
		i := slices.IndexFunc(c.chart.Series, func(s series) bool { return s.Name == name })
		if i < 0 {
			i = len(c.chart.Series)
			c.chart.Series = append(c.chart.Series, series{Name: name})
		}
		if !fresh[name] {
			fresh[name], c.chart.Series[i].Points = true, nil
		}
		c.chart.Series[i].Points = append(c.chart.Series[i].Points, p)
	})
	if err != nil {
		return err
	}
	if text, err = json.MarshalIndent(c.chart.Series, "", "\t"); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, c.name+".svg"), []byte(c.chart.svg()), 0o644)
}

// summary is the lowest tenth of the samples, which other work on the machine disturbs least, and the median, in units.
func summary(x int, samples []time.Duration, unit time.Duration) point {
	slices.Sort(samples)
	of := func(i int) float64 { return float64(samples[i]) / float64(unit) }
	return point{X: float64(x), Y: of(len(samples) / 10), Median: of(len(samples) / 2)}
}

// powers are the powers of ten up to most.
func powers(from, most int) (numbers []int) {
	for n := from; n <= most; n *= 10 {
		numbers = append(numbers, n)
	}
	return numbers
}
