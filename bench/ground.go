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

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/internal/pgembed"
)

// ground is what all measurements of a run share: a server, a receiver, and the programs.
type ground struct {
	settings
	dir        string
	walpost    string // paths of the programs
	river      string
	self       string
	server     *pgembed.Server
	postmaster int // its process id
	receiver   *receiver
	admin      *pgx.Conn
	databases  int // made so far
}

func newGround(ctx context.Context, s settings) (g *ground, err error) {
	g = &ground{settings: s}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close(context.WithoutCancel(ctx)))
		}
	}()
	if g.dir, err = os.MkdirTemp("", "walpost-bench-"); err != nil {
		return g, err
	}
	if g.self, err = os.Executable(); err != nil {
		return g, err
	}
	g.walpost, g.river = filepath.Join(g.dir, "walpost"), filepath.Join(g.dir, "river")
	if err := build(ctx, ".", g.walpost, "./cmd/walpost"); err != nil {
		return g, err
	}
	if s.wants(riverName) {
		if err := build(ctx, "bench/peers/river", g.river, "."); err != nil {
			return g, err
		}
	}
	// pgembed turns fsync off: the machine's disk is not what we measure. Autovacuum would add WAL that isn't ours.
	g.server, err = pgembed.Start(ctx, pgembed.Options{Settings: map[string]string{
		"max_wal_size": "8GB", "autovacuum": "off", "shared_buffers": "256MB",
	}})
	if err != nil {
		return g, err
	}
	if g.receiver, err = newReceiver(); err != nil {
		return g, err
	}
	if g.admin, err = pgx.Connect(ctx, g.server.URL("postgres")); err != nil {
		return g, err
	}
	backend, err := readStat(strconv.Itoa(int(g.admin.PgConn().PID())))
	g.postmaster = backend.parent
	return g, err
}

func build(ctx context.Context, dir, program, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, pkg)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s in %s: %w\n%s", pkg, dir, err, out)
	}
	return nil
}

func (g *ground) close(ctx context.Context) error {
	var errs []error
	if g.admin != nil {
		errs = append(errs, g.admin.Close(ctx))
	}
	if g.receiver != nil {
		errs = append(errs, g.receiver.close())
	}
	if g.server != nil {
		errs = append(errs, g.server.Stop(ctx))
	}
	return errors.Join(append(errs, os.RemoveAll(g.dir))...)
}

// database is one measurement's: an outbox, and walpost set up beside it.
type database struct {
	*ground
	name   string
	config string // path of the HCL file
	conn   *pgx.Conn
}

// fresh makes an empty database with walpost set up in it. close removes all of it.
func (g *ground) fresh(ctx context.Context, hcl string) (d *database, err error) {
	g.databases++
	d = &database{ground: g, name: fmt.Sprintf("bench_%d", g.databases)}
	d.config = filepath.Join(g.dir, d.name+".hcl")
	hcl = fmt.Sprintf("database { url = env(\"DATABASE_URL\") }\noutbox { slot = %q }\n%s", d.name, hcl)
	if err := os.WriteFile(d.config, []byte(hcl), 0o600); err != nil {
		return nil, err
	}
	if _, err := g.admin.Exec(ctx, "create database "+d.name); err != nil {
		return nil, err
	}
	if d.conn, err = pgx.Connect(ctx, g.server.URL(d.name)); err != nil {
		return nil, err
	}
	if out, err := d.command(ctx, "init").CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("walpost init: %w\n%s", err, out), d.close(ctx))
	}
	return d, nil
}

func (d *database) close(ctx context.Context) error {
	_, dropped := d.conn.Exec(ctx, "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1", d.name)
	closed := d.conn.Close(ctx)
	_, gone := d.admin.Exec(ctx, "drop database "+d.name+" (force)")
	return errors.Join(dropped, closed, gone)
}

func (d *database) url() string { return d.server.URL(d.name) }

func (d *database) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, d.walpost, append(args, "-c", d.config)...)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+d.url())
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	return cmd
}

// daemon is walpost that is to run, under the profiler where that is asked for.
func (d *database) daemon(ctx context.Context, name string) *exec.Cmd {
	args := []string{"run", "--log-level", "error"}
	if d.profile == "" {
		return d.command(ctx, args...)
	}
	cmd := d.command(ctx, args...)
	cmd.Path = d.self
	cmd.Args = append([]string{d.self, profiledCommand, filepath.Join(d.profile, name+".pprof")}, cmd.Args[1:]...)
	return cmd
}

// preload commits rows, numbered from first on, in transactions of perTx rows each.
func (d *database) preload(ctx context.Context, first, rows, perTx int) error {
	if _, err := d.conn.Exec(ctx, `set synchronous_commit = off`); err != nil {
		return err
	}
	_, err := d.conn.Exec(ctx, fmt.Sprintf(`do $$ begin
	for i in %d..%d loop
		insert into public.outbox (id, aggregate_type, aggregate_id, event_type, payload)
		values (format('00000000-0000-4000-8000-%%s', lpad(i::text, 12, '0'))::uuid, 'contact', i, 'contact.tagged', jsonb_build_object(
			'contact', jsonb_build_object('id', i, 'type', 'lead', 'name', 'Ada ' || i, 'email', 'ada' || i || '@example.com'),
			'note', repeat('x', %d)));
		if (i + 1) %% %d = 0 then commit; end if;
	end loop;
	commit;
end $$`, first, first+rows-1, max(1, d.payload-100), perTx))
	return err
}

// written is what the server has written and committed so far.
type written struct{ bytes, commits float64 }

func (d *database) wrote(ctx context.Context) (w written, err error) {
	// The statistics of a backend that ends are there at once; walpost has ended when we ask the second time.
	err = d.conn.QueryRow(ctx, `select pg_current_wal_insert_lsn() - '0/0'::pg_lsn,
		(select xact_commit from pg_stat_database where datname = $1)`, d.name).Scan(&w.bytes, &w.commits)
	return w, err
}
