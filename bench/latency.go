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

// latencies measures from the return of COMMIT to the receipt at 200 rows a second, and at half of what this machine commits and
// delivers at the same time. That is asked for by itself: where the same cores commit, half of what walpost drains is more than all
// of them can do, and the figure would be that of a queue that grows. Most of what they can do goes into the commits, so
// larger transactions leave more of it to walpost.
func (g *ground) latencies(ctx context.Context) error {
	fmt.Println()
	if err := g.latency(ctx, 200, 1); err != nil {
		return err
	}
	for _, perTx := range []int{1, 10, 100} {
		sustained, err := g.sustained(ctx, perTx)
		if err != nil {
			return err
		}
		fmt.Printf("Committed in transactions of %d rows and delivered at the same time: %.0f rows/s. At half of that:\n", perTx, sustained)
		if err := g.latency(ctx, int(sustained/2), perTx); err != nil {
			return err
		}
	}
	return nil
}

// writers insert the rows of a latency measurement, each from its own connection.
const writers = 8

// sustained is how many rows a second arrive while as many are committed as can be.
func (g *ground) sustained(ctx context.Context, perTx int) (rate float64, err error) {
	n := g.rows / 2
	err = g.streaming(ctx, "sustained", func(d *database, _ int) error {
		arriving := g.receiver.expect(n, answers{})
		began := time.Now()
		if _, err := d.insertAt(ctx, steadyType, 0, n, 0, perTx); err != nil {
			return err
		}
		err := arriving.await(ctx)
		rate = float64(n) / time.Since(began).Seconds()
		return err
	})
	return rate, err
}

// latency measures at a rate of rows, committed in transactions of perTx.
func (g *ground) latency(ctx context.Context, rate, perTx int) error {
	n := int(g.steady.Seconds()) * rate
	var took spans
	var wrote, rss float64
	err := g.streaming(ctx, fmt.Sprintf("latency-%d-%d", rate, perTx), func(d *database, pid int) error {
		arriving := g.receiver.expect(n, answers{keep: true})
		began := time.Now()
		committed, err := d.insertAt(ctx, steadyType, 0, n, rate, perTx)
		if err != nil {
			return err
		}
		wrote = float64(n) / time.Since(began).Seconds()
		err = arriving.await(ctx)
		took, rss = arriving.since(committed, 0), peak(pid)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Printf("COMMIT to receipt at %d rows/s in transactions of %d (%.0f were written) for %s: %s; RSS %.1f MiB\n", rate, perTx, wrote, g.steady, took, rss)
	return nil
}

// streaming does something with a fresh database that walpost streams from to one webhook.
func (g *ground) streaming(ctx context.Context, name string, do func(d *database, pid int) error) (err error) {
	plain := scenario{perTx: 1}
	d, err := g.fresh(ctx, plain.hcl(g.receiver.url))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close(context.WithoutCancel(ctx))) }()
	return d.serving(ctx, name, func(pid int) error { return do(d, pid) })
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

// insertAt commits n rows of an event type, numbered from first on, in transactions of perTx, at a rate of rows as far as the server
// keeps up, and gives the time of each row's COMMIT's return. A rate of 0 is as fast as can be.
func (d *database) insertAt(ctx context.Context, kind string, first, n, rate, perTx int) ([]time.Time, error) {
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
			for i := w * perTx; i < n && err == nil; i += writers * perTx {
				if rate > 0 {
					time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate))))
				}
				rows := min(perTx, n-i)
				err = d.insertMany(ctx, conn, kind, first+i, rows)
				now := time.Now()
				for j := range rows {
					committed[i+j] = now
				}
			}
			errs[w] = err
		})
	}
	wg.Wait()
	return committed, errors.Join(errs...)
}

// insertMany commits rows in one transaction, with one statement.
func (d *database) insertMany(ctx context.Context, conn *pgx.Conn, kind string, first, rows int) error {
	if rows == 1 {
		return d.insert(ctx, conn, kind, first)
	}
	ids, aggregates, payloads := make([]string, rows), make([]string, rows), make([]string, rows)
	for i := range rows {
		ids[i], aggregates[i], payloads[i] = eventID(first+i), strconv.Itoa(first+i), string(payload(first+i, d.payload))
	}
	_, err := conn.Exec(ctx, `insert into public.outbox (id, aggregate_type, aggregate_id, event_type, payload)
		select id::uuid, 'contact', aggregate, $1, payload::jsonb from unnest($2::text[], $3::text[], $4::text[]) as r (id, aggregate, payload)`,
		kind, ids, aggregates, payloads)
	return err
}

func (d *database) insert(ctx context.Context, conn *pgx.Conn, kind string, i int) error {
	return outbox.Insert(ctx, conn, outbox.Event{
		ID: eventID(i), AggregateType: "contact", AggregateID: strconv.Itoa(i), Type: kind,
		Payload: json.RawMessage(payload(i, d.payload)),
	})
}
