package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// figures are what one measurement shows. Per event, where it says so, is per row of the outbox.
type figures struct {
	rate     float64 // arrivals per second between the first and the last; rows for pg_recvlogical
	cpu      float64 // µs per event of the program
	rss      float64 // peak MiB of the program
	server   float64 // µs per event of all of Postgres
	resident float64 // MiB of all of Postgres when the last had arrived
	wal      float64 // bytes per event, of all that happened from start to stop
	commits  float64 // per event
}

// patience is for one measurement.
const patience = 3 * time.Minute

// plain is the limit: the same number of bodies, of the same size, by the plain client.
func (g *ground) plain(ctx context.Context, s *scenario) (f figures, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	arriving := g.receiver.expect(s.arrivals(g), s.answers)
	cmd := exec.CommandContext(ctx, g.self, clientCommand, "-url", g.receiver.url, "-requests", strconv.Itoa(s.arrivals(g)),
		"-payload", strconv.Itoa(g.payload), "-connections", strconv.Itoa(s.connections()))
	if out, err := cmd.CombinedOutput(); err != nil {
		return f, fmt.Errorf("plain client: %w\n%s", err, out)
	}
	return figures{rate: arriving.rate(), cpu: perEvent(used(cmd.ProcessState), s.rows(g))}, nil
}

// drain starts walpost on an outbox that is full already.
func (g *ground) drain(ctx context.Context, s *scenario) (figures, error) {
	return g.work(ctx, s, s.hcl(g.receiver.url), func(ctx context.Context, d *database) (*exec.Cmd, error) {
		return d.daemon(ctx, s.name), d.preload(ctx, 0, s.rows(g), s.perTx)
	})
}

// peer has a River worker do the same work, from jobs that were inserted as the rows were.
func (g *ground) peer(ctx context.Context, s *scenario) (figures, error) {
	return g.work(ctx, s, s.hcl(g.receiver.url), func(ctx context.Context, d *database) (*exec.Cmd, error) {
		arg := func(mode string) *exec.Cmd {
			return exec.CommandContext(ctx, d.river, "-mode", mode, "-database", d.url(), "-url", d.receiver.url,
				"-jobs", strconv.Itoa(s.rows(g)), "-payload", strconv.Itoa(g.payload), "-workers", strconv.Itoa(s.connections()))
		}
		out, err := arg("insert").CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("insert jobs: %w\n%s", err, out)
		}
		return arg("work"), nil
	})
}

// work measures a program from its start, when all is prepared, to the last arrival.
func (g *ground) work(ctx context.Context, s *scenario, hcl string, prepare func(context.Context, *database) (*exec.Cmd, error)) (f figures, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d, err := g.fresh(ctx, hcl)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, d.close(context.WithoutCancel(ctx))) }()
	cmd, err := prepare(ctx, d)
	if err != nil {
		return f, err
	}
	m, err := d.meter(ctx)
	if err != nil {
		return f, err
	}
	arriving := g.receiver.expect(s.arrivals(g), s.answers)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return f, err
	}
	select {
	case <-arriving.done:
	case <-ctx.Done():
		return f, errors.Join(fmt.Errorf("%s: %d of %d arrived: %w", s.name, arriving.got.Load(), arriving.want, ctx.Err()), cmd.Wait())
	}
	f.resident, f.rss = resident(g.postmaster), peak(cmd.Process.Pid)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return f, err
	}
	if err := cmd.Wait(); err != nil {
		return f, fmt.Errorf("%s: %w", s.name, err)
	}
	f.rate, f.cpu = arriving.rate(), perEvent(used(cmd.ProcessState), s.rows(g))
	return f, m.read(ctx, s.rows(g), &f)
}

// decode reads the same rows with pg_recvlogical, which throws them away.
func (g *ground) decode(ctx context.Context, s *scenario) (f figures, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d, err := g.fresh(ctx, s.hcl(g.receiver.url))
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, d.close(context.WithoutCancel(ctx))) }()
	if err := d.preload(ctx, 0, s.rows(g), s.perTx); err != nil {
		return f, err
	}
	var end, bin string
	err = d.conn.QueryRow(ctx, `select pg_current_wal_insert_lsn()::text, (select setting from pg_config where name = 'BINDIR')`).Scan(&end, &bin)
	if err != nil {
		return f, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "pg_recvlogical"), "--dbname", d.url(), "--slot", d.name, "--start",
		"--endpos", end, "--file", os.DevNull, "-o", "proto_version=1", "-o", "publication_names=walpost")
	// A position past the last row is only reached when the server has something to say after it.
	if _, err := d.conn.Exec(ctx, "select pg_logical_emit_message(true, 'bench', '')"); err != nil {
		return f, err
	}
	began := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return f, fmt.Errorf("pg_recvlogical: %w\n%s", err, out)
	}
	return figures{rate: float64(s.rows(g)) / time.Since(began).Seconds(), cpu: perEvent(used(cmd.ProcessState), s.rows(g))}, nil
}

// meter is what the server had used and written when a measurement began.
type meter struct {
	*database
	written written
	cpu     time.Duration
}

func (d *database) meter(ctx context.Context) (m meter, err error) {
	m.database = d
	if m.written, err = d.wrote(ctx); err == nil {
		m.cpu, err = family(d.postmaster)
	}
	return m, err
}

// read fills in what the server has used and written since, per event.
func (m meter) read(ctx context.Context, events int, f *figures) error {
	now, err := m.meter(ctx)
	f.server = perEvent(now.cpu-m.cpu, events)
	f.wal = (now.written.bytes - m.written.bytes) / float64(events)
	f.commits = (now.written.commits - m.written.commits) / float64(events)
	return err
}

func perEvent(cpu time.Duration, events int) float64 {
	return float64(cpu.Microseconds()) / float64(events)
}
