package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
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
	if err := d.insert(ctx, d.conn, n); err != nil { // waits for the program's start
		return err
	}
	arriving := g.receiver.expect(1, answers{})
	cmd := d.daemon(ctx, fmt.Sprintf("latency-%d", rate))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	<-arriving.done
	arriving = g.receiver.expect(n, answers{keep: true})
	began := time.Now()
	committed, err := d.insertAt(ctx, n, rate)
	if err != nil {
		return err
	}
	wrote := float64(n) / time.Since(began).Seconds()
	select {
	case <-arriving.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	rss := peak(cmd.Process.Pid)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return err
	}
	took := make([]time.Duration, 0, n)
	arriving.mu.Lock()
	for i, at := range committed {
		// The receiver may have it before the client of the database has the answer to its COMMIT.
		took = append(took, max(0, arriving.arrivals[eventID(i)].Sub(at)))
	}
	arriving.mu.Unlock()
	slices.Sort(took)
	at := func(q float64) time.Duration { return took[int(q*float64(len(took)-1))].Round(10 * time.Microsecond) }
	fmt.Printf("COMMIT to receipt at %d rows/s (%.0f were written) for %s: p50 %s, p95 %s, p99 %s, max %s; RSS %.1f MiB\n",
		rate, wrote, g.steady, at(.5), at(.95), at(.99), at(1), rss)
	return nil
}

// insertAt commits n rows at a rate, as far as the server keeps up, and gives the time of each COMMIT's return.
func (d *database) insertAt(ctx context.Context, n, rate int) ([]time.Time, error) {
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
				err = d.insert(ctx, conn, i)
				committed[i] = time.Now()
			}
			errs[w] = err
		})
	}
	wg.Wait()
	return committed, errors.Join(errs...)
}

func (d *database) insert(ctx context.Context, conn *pgx.Conn, i int) error {
	return outbox.Insert(ctx, conn, outbox.Event{
		ID: eventID(i), AggregateType: "contact", AggregateID: strconv.Itoa(i), Type: "contact.tagged",
		Payload: json.RawMessage(payload(i, d.payload)),
	})
}
