// Command growth measures what walpost's costs do as a number grows that they must not follow, and draws it:
//
//	go run ./bench/growth            # all curves, up to 10 million rows: half an hour and 15 GB of disk
//	go run ./bench/growth -most 100000 -only parked
//
// Each curve is a JSON file and an SVG in docs/growth, of the time, and where a statement of the ledger is measured another of the pages
// that it touches, which other work on the machine doesn't disturb. A run with -label keeps the lines of other labels, so that two
// versions of walpost can be drawn in one picture. Postgres is a throw-away one, without fsync.
package main

import (
	"context"
	"flag"
	"fmt"
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
	chart chart // of the time
	most  int   // the largest number
	// measure gives the recorder each line and number.
	measure func(ctx context.Context, most int, to *recorder) error
}

var curves = []curve{
	{"rules", chart{Title: "Rules that can't match", X: "rules", Y: "µs to route an event"}, 10_000, rules},
	{"webhooks", chart{Title: "Webhooks that don't take the topic", X: "webhooks", Y: "µs to route an event"}, 10_000, webhooks},
	{"parked", chart{Title: "Parked deliveries in the ledger", X: "parked deliveries", Y: "ms"}, 10_000_000, parked},
	{"snapshot", chart{
		Title: "Deliveries made while the host holds a snapshot, as a dump does", X: "deliveries made since", Y: "ms",
	}, 1_000_000, snapshot},
	{"churn", chart{Title: "Deliveries that came and went", X: "deliveries made and pruned", Y: "ms"}, 1_000_000, churn},
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
	pages := c.chart
	pages.Y = "pages (8 kB) that the statement touches"
	to := &recorder{label: label, unit: time.Microsecond, fresh: make(map[string]bool), times: &c.chart, pages: &pages}
	if strings.HasPrefix(c.chart.Y, "ms") {
		to.unit = time.Millisecond
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	files := map[string]*chart{c.name: to.times, c.name + "-pages": to.pages}
	for name, chart := range files {
		if err := chart.read(filepath.Join(dir, name+".json")); err != nil {
			return err
		}
	}
	fmt.Printf("\n%s (%s)\n", c.chart.Title, c.chart.Y)
	if err := c.measure(ctx, c.most, to); err != nil {
		return err
	}
	for name, chart := range files {
		if len(chart.Series) == 0 {
			continue
		}
		if err := chart.write(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// recorder takes what a curve measures.
type recorder struct {
	label        string
	unit         time.Duration
	fresh        map[string]bool // the lines that were measured now, by chart and name
	times, pages *chart
}

// add takes how long something took at x.
func (r *recorder) add(line string, x int, samples []time.Duration) {
	p := summary(x, samples, r.unit)
	fmt.Printf("%-40s %10d %10.3f, median %.3f\n", line, x, p.Y, p.Median)
	r.put(r.times, line, p)
}

// touch takes how many pages it touched.
func (r *recorder) touch(line string, x, pages int) {
	fmt.Printf("%-40s %10d %10d pages\n", line, x, pages)
	r.put(r.pages, line, point{X: float64(x), Y: float64(pages), Median: float64(pages)})
}

func (r *recorder) put(to *chart, name string, p point) {
	if r.label != "" {
		name += ", " + r.label
	}
	i := slices.IndexFunc(to.Series, func(s series) bool { return s.Name == name })
	if i < 0 {
		i = len(to.Series)
		to.Series = append(to.Series, series{Name: name})
	}
	if key := to.Y + name; !r.fresh[key] {
		r.fresh[key], to.Series[i].Points = true, nil
	}
	to.Series[i].Points = append(to.Series[i].Points, p)
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
