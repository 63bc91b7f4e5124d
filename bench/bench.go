package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/internal/pgembed"
	"github.com/walpost/walpost/outbox"
)

// bench is one run's ground: a server, a receiver, and the programs that bring one to the other.
type bench struct {
	settings
	dir      string
	walpost  string // path of the program
	server   *pgembed.Server
	receiver *receiver
	conn     *pgx.Conn
}

func runBench(ctx context.Context) (err error) {
	b := &bench{settings: parseSettings()}
	if b.dir, err = os.MkdirTemp("", "walpost-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir) //nolint:errcheck // a temporary folder
	b.walpost = filepath.Join(b.dir, "walpost")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", b.walpost, "./cmd/walpost").CombinedOutput(); err != nil {
		return fmt.Errorf("build walpost: %w\n%s", err, out)
	}
	// pgembed turns fsync off: the machine's disk is not what we measure. Autovacuum would add WAL that isn't ours.
	b.server, err = pgembed.Start(ctx, pgembed.Options{Settings: map[string]string{"max_wal_size": "4GB", "autovacuum": "off"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.server.Stop(context.WithoutCancel(ctx))) }()
	if b.receiver, err = newReceiver(); err != nil {
		return err
	}
	defer b.receiver.close()
	if b.conn, err = pgx.Connect(ctx, b.server.URL("postgres")); err != nil {
		return err
	}
	defer b.conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the server stops next
	return b.measure(ctx)
}

func (b *bench) measure(ctx context.Context) error {
	if err := os.WriteFile(b.configPath(), fmt.Appendf(nil, `
database { url = env("DATABASE_URL") }
ledger { record = %q }
webhook "bench" {
  topics      = ["*"]
  url         = %q
  concurrency = %d
}
`, b.record, b.receiver.url, b.concurrency), 0o600); err != nil {
		return err
	}
	if out, err := b.command(ctx, "init").CombinedOutput(); err != nil {
		return fmt.Errorf("walpost init: %w\n%s", err, out)
	}
	fmt.Printf("%d rows of %d B, %d connections, record = %q, Postgres %s\n\n", b.rows, b.payload, b.concurrency, b.record, b.server.Version())
	fmt.Printf("%-6s %14s %14s %7s %14s %14s %14s %12s\n",
		"round", "plain client/s", "walpost/s", "ratio", "plain CPU µs", "walpost CPU µs", "WAL B/event", "peak RSS MiB")
	var ratios []float64
	for round := range b.rounds {
		plain, err := b.plain(ctx)
		if err != nil {
			return err
		}
		d, err := b.drain(ctx, round)
		if err != nil {
			return err
		}
		ratios = append(ratios, d.rate/plain.rate)
		fmt.Printf("%-6d %14.0f %14.0f %7.2f %14.1f %14.1f %14.2f %12.1f\n",
			round+1, plain.rate, d.rate, d.rate/plain.rate, b.perRow(plain.used), b.perRow(d.used), d.wal, d.used.rss)
	}
	slices.Sort(ratios)
	fmt.Printf("median ratio %.2f (%.2f–%.2f)\n\n", ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1])
	return b.latency(ctx)
}

func (b *bench) configPath() string { return filepath.Join(b.dir, "walpost.hcl") }

func (b *bench) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.walpost, append(args, "-c", b.configPath())...)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+b.server.URL("postgres"))
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	return cmd
}

// usage is what a process used in its life.
type usage struct {
	cpu time.Duration // user and system
	rss float64       // peak resident memory, MiB
}

func used(state *os.ProcessState) usage {
	u := usage{cpu: state.UserTime() + state.SystemTime(), rss: math.NaN()}
	if r, ok := state.SysUsage().(*syscall.Rusage); ok {
		u.rss = float64(r.Maxrss) / 1024
	}
	return u
}

// perRow is CPU microseconds per row.
func (b *bench) perRow(u usage) float64 { return float64(u.cpu.Microseconds()) / float64(b.rows) }

// drained is what one drain showed, in events/s and bytes of WAL per event.
type drained struct {
	rate, wal float64
	used      usage
}

// plain is the plain client's drain.
func (b *bench) plain(ctx context.Context) (drained, error) {
	b.receiver.expect(b.rows, false)
	self, err := os.Executable()
	if err != nil {
		return drained{}, err
	}
	cmd := exec.CommandContext(ctx, self, clientCommand, b.receiver.url,
		strconv.Itoa(b.rows), strconv.Itoa(b.payload), strconv.Itoa(b.concurrency))
	if out, err := cmd.CombinedOutput(); err != nil {
		return drained{}, fmt.Errorf("plain client: %w\n%s", err, out)
	}
	return drained{rate: b.receiver.rate(), used: used(cmd.ProcessState)}, nil
}

// drain starts walpost on an outbox that holds rows already, each of a transaction of its own.
func (b *bench) drain(ctx context.Context, round int) (drained, error) {
	for i := range b.rows {
		if err := b.insert(ctx, round*b.rows+i); err != nil {
			return drained{}, err
		}
	}
	before, err := b.walPosition(ctx)
	if err != nil {
		return drained{}, err
	}
	b.receiver.expect(b.rows, false)
	stop, err := b.start(ctx)
	if err != nil {
		return drained{}, err
	}
	if err := b.receiver.wait(ctx); err != nil {
		return drained{}, err
	}
	usage, err := stop()
	if err != nil {
		return drained{}, err
	}
	after, err := b.walPosition(ctx)
	if err != nil {
		return drained{}, err
	}
	return drained{rate: b.receiver.rate(), wal: (after - before) / float64(b.rows), used: usage}, nil
}

// start runs the daemon. stop ends it as an operator would, and says what it used.
func (b *bench) start(ctx context.Context) (stop func() (usage, error), err error) {
	cmd := b.command(ctx, "run", "--log-level", "warn")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() (usage, error) {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return usage{}, err
		}
		if err := cmd.Wait(); err != nil {
			return usage{}, fmt.Errorf("walpost run: %w", err)
		}
		return used(cmd.ProcessState), nil
	}, nil
}

func (b *bench) insert(ctx context.Context, i int) error {
	return outbox.Insert(ctx, b.conn, outbox.Event{
		ID: eventID(i), AggregateType: "contact", AggregateID: strconv.Itoa(i), Type: "contact.tagged",
		Payload: json.RawMessage(payload(i, b.payload)),
	})
}

func (b *bench) walPosition(ctx context.Context) (bytes float64, err error) {
	err = b.conn.QueryRow(ctx, "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn").Scan(&bytes)
	return bytes, err
}

// latency measures from the return of COMMIT to the receipt, at a steady rate.
func (b *bench) latency(ctx context.Context) error {
	n := int(b.steady.Seconds()) * b.rate
	base := b.rounds * b.rows
	b.receiver.expect(1, false)
	stop, err := b.start(ctx)
	if err != nil {
		return err
	}
	// The first row waits for the program's start.
	if err := b.insert(ctx, base+n); err != nil {
		return err
	}
	if err := b.receiver.wait(ctx); err != nil {
		return err
	}
	b.receiver.expect(n, true)
	commits := make(map[string]time.Time, n)
	ticker := time.NewTicker(time.Second / time.Duration(b.rate))
	defer ticker.Stop()
	for i := range n {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := b.insert(ctx, base+i); err != nil {
			return err
		}
		commits[eventID(base+i)] = time.Now()
	}
	if err := b.receiver.wait(ctx); err != nil {
		return err
	}
	usage, err := stop()
	if err != nil {
		return err
	}
	took := make([]time.Duration, 0, n)
	for id, at := range b.receiver.arrivals {
		// The receiver may have it before the client of the database has the answer to its COMMIT.
		took = append(took, max(0, at.Sub(commits[id])))
	}
	slices.Sort(took)
	at := func(q float64) time.Duration { return took[int(q*float64(len(took)-1))].Round(10 * time.Microsecond) }
	fmt.Printf("COMMIT to receipt at %d rows/s for %s: p50 %s, p95 %s, p99 %s, max %s; peak RSS %.1f MiB\n",
		b.rate, b.steady, at(.5), at(.95), at(.99), at(1), usage.rss)
	return nil
}

func eventID(i int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", i) }
