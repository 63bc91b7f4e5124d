package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/pgembed"
)

// The ledger's webhooks: one whose deliveries are parked, and one whose are due.
const (
	parkedHook = "parked"
	dueHook    = "due"
)

// ground is a throw-away Postgres with a ledger.
type ground struct {
	server *pgembed.Server
	conn   *pgx.Conn
	book   *ledger.Ledger
}

func newGround(ctx context.Context) (g *ground, err error) {
	g = &ground{}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close(ctx))
		}
	}()
	g.server, err = pgembed.Start(ctx, pgembed.Options{Settings: map[string]string{
		"max_wal_size": "8GB", "shared_buffers": "1GB", "maintenance_work_mem": "256MB",
	}})
	if err != nil {
		return g, err
	}
	if g.conn, err = pgx.Connect(ctx, g.server.URL("postgres")); err != nil {
		return g, err
	}
	g.book, err = ledger.Open(ctx, ledger.Options{ConnString: g.server.URL("postgres")})
	if err != nil {
		return g, err
	}
	return g, g.book.Migrate(ctx)
}

func (g *ground) close(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	if g.book != nil {
		g.book.Close()
	}
	var err error
	if g.conn != nil {
		err = g.conn.Close(ctx)
	}
	if g.server != nil {
		err = errors.Join(err, g.server.Stop(ctx))
	}
	return err
}

func (g *ground) exec(ctx context.Context, sql string, args ...any) error {
	_, err := g.conn.Exec(ctx, sql, args...)
	return err
}

// fill adds deliveries from number `from` on, `to` excluded, of the webhook, each with its event.
func (g *ground) fill(ctx context.Context, webhook, state string, from, to int) error {
	for ; from < to; from += min(to-from, 500_000) {
		upTo := min(to, from+500_000)
		err := g.exec(ctx, `insert into walpost.event (id, aggregate_type, aggregate_id, type, payload, lsn, recorded_at)
			select $1 || i, 'contact', i, 'contact.tagged', '{"contact":{"id":' || i || '}}', '0/0'::pg_lsn + i, now()
			from generate_series($2::int, $3::int) i`, webhook, from, upTo-1)
		if err != nil {
			return err
		}
		err = g.exec(ctx, `insert into walpost.delivery (id, event_id, topic, webhook, state, due_at, created_at, updated_at)
			select gen_random_uuid(), $1 || i, 'contact.tagged', $1, $4, now() - interval '1 hour' + interval '1 ms' * i, now(), now()
			from generate_series($2::int, $3::int) i`, webhook, from, upTo-1, state)
		if err != nil {
			return err
		}
	}
	return nil
}

// claims measures claims of 32 due deliveries.
func (g *ground) claims(ctx context.Context, times int) (samples []time.Duration, err error) {
	for range times {
		begin := time.Now()
		claimed, err := g.book.Claim(ctx, []ledger.Capacity{{Webhook: dueHook, Limit: 32, Lease: time.Hour}})
		if err != nil {
			return nil, err
		}
		samples = append(samples, time.Since(begin))
		if len(claimed) != 32 {
			return nil, fmt.Errorf("claimed %d, want 32", len(claimed))
		}
	}
	return samples, nil
}

// parked claims, and reads the status, beside parked deliveries.
func parked(ctx context.Context, most int, add func(string, int, []time.Duration)) (err error) {
	g, err := newGround(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close(ctx)) }()
	numbers := powers(1000, most)
	if err := g.fill(ctx, dueHook, "pending", 0, len(numbers)*100*32); err != nil {
		return err
	}
	for i, n := range numbers {
		if err := g.fill(ctx, parkedHook, "parked", n/10*min(i, 1), n); err != nil {
			return err
		}
		if err := g.exec(ctx, "vacuum analyze walpost.delivery, walpost.event"); err != nil {
			return err
		}
		if _, err := g.claims(ctx, 5); err != nil { // the pages come into the cache
			return err
		}
		samples, err := g.claims(ctx, 50)
		if err != nil {
			return err
		}
		add("claim of 32", n, samples)
		samples = nil
		for range 5 {
			begin := time.Now()
			if _, err := g.book.Status(ctx, "none"); err != nil {
				return err
			}
			samples = append(samples, time.Since(begin))
		}
		add("walpost status", n, samples)
	}
	return g.explain(ctx)
}

// explain prints what the last claim read. The statement is read from the repository, whose root is where this is to be run.
func (g *ground) explain(ctx context.Context) error {
	sql, err := os.ReadFile(filepath.Join("internal", "ledger", "sql", "claim.sql"))
	if err != nil {
		return err
	}
	rows, _ := g.conn.Query(ctx, "explain (analyze, buffers, timing off, summary off) "+string(sql),
		[]string{dueHook}, []int32{32}, []time.Duration{time.Hour}, int64(16<<20), []time.Time{{}}, []int32{1}, []int32{32})
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	fmt.Println(strings.Join(lines, "\n"))
	return nil
}

// snapshot claims while rows that are long done can't be removed, since somebody might still look at them.
func snapshot(ctx context.Context, most int, add func(string, int, []time.Duration)) (err error) {
	g, err := newGround(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close(ctx)) }()
	numbers := powers(1000, most)
	if err := g.fill(ctx, dueHook, "pending", 0, most+len(numbers)*100*32); err != nil {
		return err
	}
	if err := g.exec(ctx, "vacuum analyze walpost.delivery, walpost.event"); err != nil {
		return err
	}
	dump, err := pgx.Connect(ctx, g.server.URL("postgres"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dump.Close(context.WithoutCancel(ctx))) }()
	if _, err := dump.Exec(ctx, "begin isolation level repeatable read; select count(*) from walpost.webhook"); err != nil {
		return err
	}
	made := 0
	for _, n := range numbers {
		err := g.exec(ctx, `update walpost.delivery set state = 'delivered', finished_at = now(), due_at = now(), attempts = 1
			where id in (
				select id from walpost.delivery where webhook = $1 and state = 'pending' and due_at <= now()
				order by due_at limit $2
			)`, dueHook, n-made)
		if err != nil {
			return err
		}
		made = n
		if _, err := g.claims(ctx, 2); err != nil {
			return err
		}
		samples, err := g.claims(ctx, 30)
		if err != nil {
			return err
		}
		add("claim of 32", n, samples)
	}
	return nil
}
