package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
)

// fairnessCommand is the argument with which this program measures what endpoints do to each other.
const fairnessCommand = "fairness"

// contest is one line of the fairness table: what happens beside the steady traffic of one good webhook, and by what factor
// that may raise its p99.
type contest struct {
	name, about string
	delay       time.Duration // that the good endpoint takes to answer
	limits      string        // further arguments of the good webhook
	slots       int           // its concurrency
	perSecond   int           // its rate limit; 0: none
	others      func(*arena) string
	prepare     func(*bout, context.Context) error            // before the daemon starts; nil: nothing
	disturb     func(*bout, context.Context, *pgx.Conn) error // beside the traffic, from disturbAfter on
	count       int                                           // of what disturbs
	later       time.Duration                                 // what is committed earlier than this behind its beginning doesn't count
}

// What an event's number says of it: the steady traffic begins at 0.
const (
	owedEvents  = 10_000_000
	otherEvents = 20_000_000
	otherType   = "contact.created"
	// disturbAfter is how much traffic there is before the disturbance.
	disturbAfter = 3 * time.Second
	// fairRate is the steady traffic's, in events per second.
	fairRate = 200
	// fairSlots is the concurrency of the webhooks that answer: a number, so that it can be checked.
	fairSlots = 32
)

func contests() []contest {
	return []contest{
		{
			name: "black-holes", about: "%d endpoints that accept and never answer, their queues full, 4 events/s to each", slots: fairSlots, count: 500,
			others: (*arena).holes, disturb: (*bout).fillHoles,
		},
		{
			name: "black-holes-later", about: "the same %d, from 5 s after the burst that has filled their queues", slots: fairSlots, count: 500,
			others: (*arena).holes, disturb: (*bout).fillHoles, later: 5 * time.Second,
		},
		{
			name: "flood", about: "%d events in one transaction to another endpoint, which takes 20 ms", slots: fairSlots, count: 20_000,
			others: (*arena).flooded, disturb: (*bout).flood,
		},
		{
			name: "torrent", about: "the same, in single-row transactions at 2,000/s", slots: fairSlots, count: 20_000,
			others: (*arena).flooded, disturb: (*bout).torrent,
		},
		{
			name: "retries", about: "%d retries to the same endpoint, which takes 5 ms, come due at once", slots: fairSlots, count: 10_000,
			delay: 5 * time.Millisecond, prepare: (*bout).owe, disturb: (*bout).comeDue,
		},
		{
			name: "retries-limited", about: "%d retries to the same endpoint come due at once; rate_limit = \"400/s\"", slots: fairSlots, count: 4_000,
			delay: 5 * time.Millisecond, perSecond: 400, limits: `rate_limit = "400/s"`, prepare: (*bout).owe, disturb: (*bout).comeDue,
		},
	}
}

// arena is what the contests share: the ground, and endpoints that are not good.
type arena struct {
	*ground
	hole *blackHole
	slow *receiver
}

// bout is one measurement of a contest.
type bout struct {
	*database
	*contest
	arena    *arena
	arriving *expectation // at the good endpoint
	began    time.Time    // of the disturbance
	note     string       // what was seen of it
}

// runFairness prints the table.
func runFairness(ctx context.Context, args []string) (err error) {
	s := settings{only: fairnessCommand}
	flags := flag.NewFlagSet(fairnessCommand, flag.ExitOnError)
	only := flags.String("only", "", "comma-separated beginnings of the contests' names; empty: all")
	flags.IntVar(&s.rounds, "rounds", 3, "rounds of all contests, each after the same traffic alone")
	flags.DurationVar(&s.steady, "steady", 30*time.Second, "length of a measurement")
	flags.IntVar(&s.payload, "payload", 500, "bytes of a payload")
	flags.StringVar(&s.profile, "profile", "", "folder for a CPU profile of walpost in each contest; empty: none")
	_ = flags.Parse(args) // it exits
	g, err := newGround(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close(context.WithoutCancel(ctx))) }()
	a := &arena{ground: g}
	if a.hole, err = newBlackHole(); err != nil {
		return err
	}
	defer a.hole.close()
	if a.slow, err = newReceiver(); err != nil {
		return err
	}
	defer a.slow.close() //nolint:errcheck // the program ends
	fmt.Printf("%s, Go %s, Postgres %s, %d cores; load average before: %s\n\n",
		machine(), strings.TrimPrefix(runtime.Version(), "go"), g.server.Version(), runtime.NumCPU(), loadAverage())
	err = a.table(ctx, settings{only: *only})
	fmt.Printf("\nload average after: %s\n", loadAverage())
	return err
}

// table measures every contest that is asked for, and prints one line for each.
func (a *arena) table(ctx context.Context, asked settings) error {
	type line struct {
		contest       contest
		alone, beside []spans
		notes         []string
	}
	var lines []line
	for _, c := range contests() {
		if asked.wants(c.name) {
			lines = append(lines, line{contest: c})
		}
	}
	for round := range a.settings.rounds {
		for i := range lines {
			l := &lines[i]
			alone, _, err := a.fight(ctx, &l.contest, false)
			if err != nil {
				return fmt.Errorf("%s, alone: %w", l.contest.name, err)
			}
			beside, note, err := a.fight(ctx, &l.contest, true)
			if err != nil {
				return fmt.Errorf("%s: %w", l.contest.name, err)
			}
			l.alone, l.beside, l.notes = append(l.alone, alone), append(l.beside, beside), append(l.notes, note)
			fmt.Fprintf(os.Stderr, "round %d: %-16s alone %s; beside %s; %s; load %s\n", round+1, l.contest.name, alone, beside, note, loadAverage())
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| beside the good endpoint \t| p99 alone \t| p99 beside it \t| ratio (range) \t| p50 \t| max \t| seen \t|")
	fmt.Fprintln(w, "| --- \t| --- \t| --- \t| --- \t| --- \t| --- \t| --- \t|")
	for _, l := range lines {
		ratios := make([]float64, len(l.alone))
		for i := range ratios {
			ratios[i] = float64(l.beside[i].at(.99)) / float64(l.alone[i].at(.99))
		}
		ratio, low, high := spread(ratios)
		fmt.Fprintf(w, "| %s: "+l.contest.about+" \t| %s \t| %s \t| %.2f (%.2f–%.2f) \t| %s, %s \t| %s, %s \t| %s \t|\n",
			l.contest.name, l.contest.count, quantile(l.alone, .99), quantile(l.beside, .99), ratio, low, high,
			quantile(l.alone, .5), quantile(l.beside, .5), quantile(l.alone, 1), quantile(l.beside, 1), l.notes[len(l.notes)/2])
	}
	return w.Flush()
}

// fight measures the good endpoint's traffic, alone or beside the contest's disturbance.
func (a *arena) fight(ctx context.Context, c *contest, disturbed bool) (took spans, note string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	hcl := fmt.Sprintf("webhook \"good\" {\n  topics = [%q]\n  url = %q\n  concurrency = %d\n  %s\n}\n", steadyType, a.receiver.url, c.slots, c.limits)
	if disturbed && c.others != nil {
		hcl += c.others(a)
	}
	d, err := a.fresh(ctx, hcl)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, d.close(context.WithoutCancel(ctx))) }()
	b := &bout{database: d, contest: c, arena: a}
	if disturbed && c.prepare != nil {
		if err := c.prepare(b, ctx); err != nil {
			return nil, "", err
		}
	}
	n := int(a.steady.Seconds() * fairRate)
	err = b.serving(ctx, c.name, func(int) error {
		want := n
		if disturbed && c.prepare != nil {
			want += c.count
		}
		b.arriving = a.receiver.expect(want, answers{keep: true, delay: c.delay})
		disturbance := make(chan error, 1)
		go func() { disturbance <- b.disturbing(ctx, disturbed) }()
		committed, err := d.insertAt(ctx, steadyType, 0, n, fairRate, 1)
		if err = errors.Join(err, <-disturbance); err != nil {
			return err
		}
		if err := b.arriving.await(ctx); err != nil {
			return err
		}
		skipped := 0
		if c.later > 0 {
			skipped = int((disturbAfter + c.later).Seconds() * fairRate)
		}
		took = b.arriving.since(committed, skipped)
		return nil
	})
	if err == nil {
		err = b.within()
	}
	return took, b.note, err
}

func (b *bout) disturbing(ctx context.Context, disturbed bool) error {
	if !disturbed {
		return nil
	}
	select {
	case <-time.After(disturbAfter):
	case <-ctx.Done():
		return ctx.Err()
	}
	conn, err := pgx.Connect(ctx, b.url())
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // the server stops soon
	b.began = time.Now()
	return b.disturb(b, ctx, conn)
}

// within checks that the good endpoint saw no burst beyond its limits, and notes what it saw.
func (b *bout) within() error {
	seen := fmt.Sprintf("%d at a time", b.arriving.peak.Load())
	if b.arriving.peak.Load() > int64(b.slots) {
		return fmt.Errorf("%s at an endpoint whose concurrency is %d", seen, b.slots)
	}
	if b.perSecond > 0 {
		// They start exactly; how they arrive is up to the machine, too, so this is no error.
		seen += fmt.Sprintf(", %d in a second", b.arriving.most(time.Second))
	}
	b.note = strings.TrimPrefix(b.note+"; good endpoint: "+seen, "; ")
	return nil
}
