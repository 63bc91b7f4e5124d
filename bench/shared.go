package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// shared lets several daemons work off what one has left in the ledger: all events failed once, and are due now. Its figures
// are of all daemons together. An event that arrives twice is an error: nothing has gone wrong that would excuse it.
func (g *ground) shared(ctx context.Context, s *scenario) (f figures, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d, err := g.fresh(ctx, s.hcl(g.receiver.url))
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, d.close(context.WithoutCancel(ctx))) }()
	if err := d.owe(ctx, s); err != nil {
		return f, err
	}
	m, err := d.meter(ctx)
	if err != nil {
		return f, err
	}
	// The daemons are there before there is work, so that none is ahead.
	daemons := make([]*exec.Cmd, s.daemons)
	for i := range daemons {
		daemons[i] = d.daemon(ctx, fmt.Sprintf("%s-%d", s.name, i))
		daemons[i].Stderr = os.Stderr
		if err := daemons[i].Start(); err != nil {
			return f, err
		}
	}
	if err := d.until(ctx, fmt.Sprintf(`select count(distinct client_port) >= %d from pg_stat_activity where datname = current_database() and query ilike '%%listen%%'`, s.daemons)); err != nil {
		return f, err
	}
	arriving := g.receiver.expect(s.arrivals(g), answers{keep: true})
	if _, err := d.conn.Exec(ctx, `update walpost.delivery set due_at = walpost.now()`); err != nil {
		return f, err
	}
	select {
	case <-arriving.done:
	case <-ctx.Done():
		return f, fmt.Errorf("%s: %d of %d arrived: %w", s.name, arriving.got.Load(), arriving.want, ctx.Err())
	}
	f.resident = resident(g.postmaster)
	var cpu time.Duration
	for _, cmd := range daemons {
		f.rss += peak(cmd.Process.Pid)
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return f, err
		}
		if err := cmd.Wait(); err != nil {
			return f, fmt.Errorf("%s: %w", s.name, err)
		}
		cpu += used(cmd.ProcessState)
	}
	if n := len(arriving.arrivals); n != s.arrivals(g) || arriving.got.Load() != arriving.want {
		return f, fmt.Errorf("%s: %d arrivals of %d events, want %d of each", s.name, arriving.got.Load(), n, s.arrivals(g))
	}
	f.rate, f.cpu = arriving.rate(), perEvent(cpu, s.rows(g))
	return f, m.read(ctx, s.rows(g), &f)
}

// owe has a daemon fail every event once, so that the ledger owes them all.
func (d *database) owe(ctx context.Context, s *scenario) error {
	if err := d.preload(ctx, 0, s.rows(d.ground), s.perTx); err != nil {
		return err
	}
	return d.failOnce(ctx, s.arrivals(d.ground))
}

// failOnce has a daemon make n deliveries that fail.
func (d *database) failOnce(ctx context.Context, n int) error {
	d.receiver.expect(n, answers{failing: 100})
	cmd := d.command(ctx, "run", "--log-level", "error")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := d.until(ctx, fmt.Sprintf("select count(*) = %d from walpost.delivery where attempts = 1", n)); err != nil {
		return err
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return cmd.Wait()
}

// until waits until a query gives true.
func (d *database) until(ctx context.Context, sql string) error {
	for {
		var yes bool
		if err := d.conn.QueryRow(ctx, sql).Scan(&yes); err != nil || yes {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%w, before %s", ctx.Err(), sql)
		}
	}
}
