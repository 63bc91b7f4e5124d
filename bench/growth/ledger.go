package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// statement is one of the ledger's, as the repository has it, whose root is where this is to be run.
func statement(name string) (string, error) {
	sql, err := os.ReadFile(filepath.Join("internal", "ledger", "sql", name+".sql"))
	return string(sql), err
}

// pages is how many pages a claim of 32 from a due time on touches.
func (g *ground) pages(ctx context.Context, from time.Time) (int, error) {
	sql, err := statement("claim")
	if err != nil {
		return 0, err
	}
	rows, _ := g.conn.Query(ctx, "explain (analyze, buffers, format json) "+sql,
		[]string{dueHook}, []int32{32}, []time.Duration{time.Hour}, int64(16<<20), []time.Time{from}, []int32{1}, []int32{32})
	text, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[[]byte])
	if err != nil {
		return 0, err
	}
	var plans []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		}
	}
	if err := json.Unmarshal(text, &plans); err != nil {
		return 0, err
	}
	return plans[0].Plan.Hit + plans[0].Plan.Read, nil
}

// lowest is the due time from which nobody attempts what is owed: where the claims of a daemon that runs begin.
func (g *ground) lowest(ctx context.Context) (at time.Time, err error) {
	err = g.conn.QueryRow(ctx, `select min(due_at) from walpost.delivery
		where webhook = $1 and state = 'pending' and leased_until is null`, dueHook).Scan(&at)
	return at, err
}

// owedPages is pages from where something is owed.
func (g *ground) owedPages(ctx context.Context) (int, error) {
	at, err := g.lowest(ctx)
	if err != nil {
		return 0, err
	}
	return g.pages(ctx, at)
}

// parked claims, and reads the status, beside parked deliveries.
func parked(ctx context.Context, most int, to *recorder) (err error) {
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
		to.add("claim of 32", n, samples)
		pages, err := g.owedPages(ctx)
		if err != nil {
			return err
		}
		to.touch("claim of 32", n, pages)
		samples = nil
		for range 5 {
			begin := time.Now()
			if _, err := g.book.Status(ctx, "none"); err != nil {
				return err
			}
			samples = append(samples, time.Since(begin))
		}
		to.add("walpost status", n, samples)
	}
	return nil
}

// deliver has the due deliveries that are due longest, as many as n, delivered.
func (g *ground) deliver(ctx context.Context, n int) error {
	return g.exec(ctx, `update walpost.delivery set state = 'delivered', finished_at = now(), due_at = now(), attempts = 1
		where id in (
			select id from walpost.delivery where webhook = $1 and state = 'pending' and due_at <= now()
			order by due_at limit $2
		)`, dueHook, n)
}

// snapshot claims while rows that are long done can't be removed, since somebody might still look at them.
func snapshot(ctx context.Context, most int, to *recorder) (err error) {
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
		if err := g.deliver(ctx, n-made); err != nil {
			return err
		}
		made = n
		if err := g.churned(ctx, n, to); err != nil {
			return err
		}
	}
	return nil
}

// churn claims after others have come, were delivered and were pruned, with nothing that keeps dead rows from being removed, and
// no vacuum but what the server does by itself.
func churn(ctx context.Context, most int, to *recorder) (err error) {
	g, err := newGround(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close(ctx)) }()
	numbers := powers(1000, most)
	const claimed = 100 * 32
	if err := g.fill(ctx, dueHook, "pending", 0, len(numbers)*claimed); err != nil {
		return err
	}
	from, made := len(numbers)*claimed, 0
	for _, n := range numbers {
		for made < n {
			more := min(n-made, 50_000)
			if err := g.fill(ctx, dueHook, "pending", from, from+more); err != nil {
				return err
			}
			if err := g.deliver(ctx, more); err != nil {
				return err
			}
			if err := g.exec(ctx, `with gone as (delete from walpost.delivery where finished_at is not null returning event_id)
				delete from walpost.event where id in (select event_id from gone)`); err != nil {
				return err
			}
			made, from = made+more, from+more
		}
		if err := g.churned(ctx, n, to); err != nil {
			return err
		}
	}
	return nil
}

// churned measures claims after n deliveries: the first of a daemon, which looks from the beginning, and those that follow.
func (g *ground) churned(ctx context.Context, n int, to *recorder) error {
	book, err := ledger.Open(ctx, ledger.Options{ConnString: g.server.URL("postgres")})
	if err != nil {
		return err
	}
	g.book.Close()
	g.book = book
	first, err := g.claims(ctx, 1)
	if err != nil {
		return err
	}
	samples, err := g.claims(ctx, 30)
	if err != nil {
		return err
	}
	to.add("first claim of a daemon", n, first)
	to.add("claim of 32", n, samples)
	pages, err := g.owedPages(ctx)
	if err != nil {
		return err
	}
	to.touch("claim of 32 where a look has found something owed", n, pages)
	if pages, err = g.pages(ctx, time.Time{}); err != nil {
		return err
	}
	to.touch("claim of 32 from the beginning, as before", n, pages)
	return nil
}
