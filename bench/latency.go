package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/outbox"
)

// latencies measures from the return of COMMIT to the receipt at a steady rate, and at half of what was drained.
func (g *ground) latencies(ctx context.Context, all []series) error {
	fmt.Println()
	rates := []int{200}
	for _, s := range all {
		if s.scenario.name == singleName {
			rates = append(rates, int(medianOf(s.rounds, func(f figures) float64 { return f.rate })/2))
		}
	}
	for _, rate := range rates {
		if err := g.latency(ctx, rate); err != nil {
			return err
		}
	}
	return nil
}

// writers insert the rows of a latency measurement, each from its own connection.
const writers = 8

func (g *ground) latency(ctx context.Context, rate int) (err error) {
	plain := scenario{perTx: 1}
	d, err := g.fresh(ctx, plain.hcl(g.receiver.url))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close(context.WithoutCancel(ctx))) }()
	n := int(g.steady.Seconds()) * rate
	var took spans
	var wrote, rss float64
	err = d.serving(ctx, fmt.Sprintf("latency-%d", rate), func(pid int) error {
		arriving := g.receiver.expect(n, answers{keep: true})
		began := time.Now()
		committed, err := d.insertAt(ctx, steadyType, 0, n, rate)
		if err != nil {
			return err
		}
		wrote = float64(n) / time.Since(began).Seconds()
		err = arriving.await(ctx)
		took, rss = arriving.since(committed), peak(pid)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Printf("COMMIT to receipt at %d rows/s (%.0f were written) for %s: %s; RSS %.1f MiB\n", rate, wrote, g.steady, took, rss)
	return nil
}

// serving does something while walpost runs, once it has delivered a first event.
func (d *database) serving(ctx context.Context, name string, do func(pid int) error) error {
	conn, err := pgx.Connect(ctx, d.url())
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // the server stops soon
	const first = 90_000_000
	if err := d.insert(ctx, conn, steadyType, first); err != nil {
		return err
	}
	arriving := d.receiver.expect(1, answers{})
	cmd := d.daemon(ctx, name)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	err = arriving.await(ctx)
	if err == nil {
		err = do(cmd.Process.Pid)
	}
	stopped := cmd.Process.Signal(syscall.SIGTERM)
	return errors.Join(err, stopped, cmd.Wait())
}

// steadyType is the event type of what is inserted at a steady rate.
const steadyType = "contact.tagged"

// insertAt commits n rows of an event type, numbered from first on, at a rate, as far as the server keeps up, and gives the time of each COMMIT's return.
func (d *database) insertAt(ctx context.Context, kind string, first, n, rate int) ([]time.Time, error) {
	committed := make([]time.Time, n)
	errs := make([]error, writers)
	began := time.Now()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			conn, err := pgx.Connect(ctx, d.url())
			if err != nil {
				errs[w] = err
				return
			}
			defer conn.Close(ctx) //nolint:errcheck // the server stops soon
			for i := w; i < n && err == nil; i += writers {
				time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate))))
				err = d.insert(ctx, conn, kind, first+i)
				committed[i] = time.Now()
			}
			errs[w] = err
		})
	}
	wg.Wait()
	return committed, errors.Join(errs...)
}

func (d *database) insert(ctx context.Context, conn *pgx.Conn, kind string, i int) error {
	return outbox.Insert(ctx, conn, outbox.Event{
		ID: eventID(i), AggregateType: "contact", AggregateID: strconv.Itoa(i), Type: kind,
		Payload: json.RawMessage(payload(i, d.payload)),
	})
}
