//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/pgembed"
)

const publication = "faults"

// ground is where a suite takes place: Postgres, network, endpoints, walpost, and what is known of them.
type ground struct {
	server   *pgembed.Server // nil if it is not to be restarted
	admin    string          // connection string of a superuser, past the proxy
	source   *source
	slot     string
	proxy    *proxy
	receiver *receiver
	runner   *runner
	journal  *journal
	workload *workload
	ledger   *ledger.Ledger // of the operator, who enables webhooks
	rules    *rules
	disk     *disk        // the ledger's own, if there is one
	losses   atomic.Int32 // of slots
	marks    marks
	stretch  float64 // of how long faults last
	enabled  enabled
	// cancelled are deliveries that an operator gave up.
	cancelled cancellations
	rested    time.Time // when the clock was put forward, so that nothing that is owed waits for its time

	mu       sync.Mutex
	problems []string // what went wrong that no fault explains
}

// enabled keeps when the suite began to enable webhooks.
type enabled struct {
	mu sync.Mutex
	at map[string][]time.Time
}

// explained reports whether a fault explains that a walpost ended by itself with a status.
func (g *ground) explained(n *run) bool {
	switch n.code {
	case exitSetup:
		return g.losses.Load() > 0
	case exitConfig:
		return g.rules.spoilt(n.started, n.ended)
	}
	return false
}

// enable lets a webhook's deliveries go on.
func (g *ground) enable(ctx context.Context, webhook string) error {
	g.enabled.mu.Lock()
	g.enabled.at[webhook] = append(g.enabled.at[webhook], time.Now())
	g.enabled.mu.Unlock()
	_, err := g.ledger.Enable(ctx, webhook, true)
	return err
}

// problem notes something that must not happen.
func (g *ground) problem(format string, args ...any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.problems = append(g.problems, fmt.Sprintf(format, args...))
}

// prepare makes everything but walpost run, in the database that admin leads to. dir is for files.
func prepare(ctx context.Context, by *source, admin, slot, dir string) (g *ground, err error) {
	g = &ground{
		admin: admin, source: by, slot: slot, journal: &journal{}, workload: newWorkload(by, admin), stretch: 1,
		enabled: enabled{at: map[string][]time.Time{}}, cancelled: cancellations{of: map[string]*cancellation{}},
	}
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	if err := g.prepareDatabase(ctx); err != nil {
		return g, err
	}
	at, err := url.Parse(g.admin)
	if err != nil {
		return g, err
	}
	if g.proxy, err = newProxy(at.Host); err != nil {
		return g, err
	}
	if g.receiver, err = newReceiver(); err != nil {
		return g, err
	}
	if g.ledger, err = ledger.Open(ctx, ledger.Options{ConnString: g.admin}); err != nil {
		return g, err
	}
	g.rules = &rules{path: filepath.Join(dir, "walpost.hcl"), receiver: g.receiver.url(), slot: slot, outbox: by.outbox}
	if err := g.rules.write(); err != nil {
		return g, err
	}
	at.Host, at.User = g.proxy.address(), url.UserPassword(by.role, "secret")
	g.runner = &runner{config: g.rules.path, url: at.String(), logs: dir, problem: g.problem, explained: g.explained}
	return g, nil
}

// prepareDatabase makes the outbox and the role that walpost has, which owns nothing but what it makes itself.
func (g *ground) prepareDatabase(ctx context.Context) error {
	statements := []string{
		workloadDDL, `
		create table public.outbox (
			id             uuid primary key default gen_random_uuid(),
			aggregate_type text not null,
			aggregate_id   text not null,
			event_type     text not null,
			payload        jsonb not null,
			headers        jsonb,
			created_at     timestamptz not null default now()
		)`,
		// The role belongs to the server, which may have other grounds.
		"do $$ begin create role {role} " + g.source.attributes + " password 'secret';" +
			" exception when duplicate_object or unique_violation then null; end $$",
		"do $$ begin execute format('grant create on database %I to {role}', current_database()); end $$",
		"grant select on public.outbox to {role}",
	}
	for _, sql := range append(statements, g.source.table...) {
		if err := g.exec(ctx, g.named(sql)); err != nil {
			return err
		}
	}
	return nil
}

// useDisk puts the ledger's tables on a disk of their own, if there is one, before walpost makes them.
func (g *ground) useDisk(ctx context.Context) error {
	if g.disk == nil {
		return nil
	}
	return g.with(ctx, func(conn *pgx.Conn) error {
		path, err := g.disk.give(int(conn.PgConn().PID()))
		if err != nil {
			return err
		}
		for _, sql := range []string{
			fmt.Sprintf("create tablespace faults_ledger owner %s location '%s'", g.source.role, path),
			fmt.Sprintf("alter role %s set default_tablespace = 'faults_ledger'", g.source.role),
		} {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return fmt.Errorf("execute %q: %w", sql, err)
			}
		}
		return nil
	})
}

// close ends everything but Postgres.
func (g *ground) close() {
	if g.runner != nil {
		g.runner.close()
	}
	if g.ledger != nil {
		g.ledger.Close()
	}
	if g.receiver != nil {
		g.receiver.close()
	}
	if g.proxy != nil {
		g.proxy.close()
	}
}

// plan says how long and what a run plays.
type plan struct {
	seed    uint64
	lasts   time.Duration
	pace    time.Duration // of one worker: from one transaction to the next
	workers int
	only    *regexp.Regexp // which faults
	settle  time.Duration  // how long all may take to come to rest afterwards
	stretch float64        // of how long faults last
}

// run plays workload and faults, heals all, and returns when walpost is through with everything.
func (g *ground) run(ctx context.Context, p plan) error {
	g.stretch = p.stretch
	if err := g.runner.start(); err != nil {
		return err
	}
	starting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := g.runner.awaitReady(starting); err != nil { // the slot is there: what is committed from now on is walpost's
		return err
	}
	playing, cancel := context.WithTimeout(ctx, p.lasts)
	defer cancel()
	var players, workers sync.WaitGroup
	for i, h := range g.source.hands() {
		players.Go(func() { g.play(playing, h.deck(p, i)) })
	}
	for i := range p.workers {
		workers.Go(func() { g.workload.work(playing, p.seed, i, p.pace) })
	}
	marking := sync.WaitGroup{}
	marking.Go(func() { g.keepMarks(playing) })
	marking.Go(func() { g.keepBehind(playing) })
	players.Wait()
	workers.Wait()
	marking.Wait()
	return g.settle(ctx, p.settle)
}

// settle brings everything to rest, for the checker, within a time.
func (g *ground) settle(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := g.with(ctx, func(conn *pgx.Conn) error { return g.workload.settle(ctx, conn) }); err != nil {
		return err
	}
	if err := g.comeToRest(ctx); err != nil {
		return err
	}
	return g.drainOnce(ctx)
}

// comeToRest waits until nothing is owed, everything has arrived, and the slot has passed it all. Leases of killed
// processes would take their time, so the clock is put forward, while no walpost has a lease.
func (g *ground) comeToRest(ctx context.Context) error {
	if _, err := g.drainWell(ctx); err != nil {
		return err
	}
	g.rested = time.Now()
	if err := g.setClock(ctx, forward); err != nil {
		return err
	}
	if err := g.runner.start(); err != nil {
		return err
	}
	return g.awaitRest(ctx)
}

// awaitRest waits until nothing is owed, and the slot has passed all that there is now.
func (g *ground) awaitRest(ctx context.Context) error {
	return g.with(ctx, func(conn *pgx.Conn) error {
		var last string
		if err := conn.QueryRow(ctx, g.source.last).Scan(&last); err != nil {
			return err
		}
		for {
			left, err := g.left(ctx, conn, last)
			if err == nil && left == "" {
				return nil
			}
			if !wait(ctx, 100*time.Millisecond) {
				return fmt.Errorf("it doesn't come to rest: %s (%w)\n%s", left, errors.Join(err, ctx.Err()), g.state())
			}
		}
	})
}

// forward is how far the clock is put in the end: more than any lease.
const forward = 10 * time.Minute

// leftSQL counts what is unfinished; {passed} is the source's.
const leftSQL = `select
	(select count(*) from walpost.delivery where state in ('pending', 'retrying')
		or (state = 'parked' or state = 'cancelled' and last_class = 'held') and webhook <> all ($3)),
	(select count(*) from walpost.webhook where disabled_at is not null and name <> all ($3)),
	{passed},
	(select lsn::text || ' epoch ' || epoch from walpost.checkpoint where slot = $2)`

// left says what is unfinished; "" is nothing.
func (g *ground) left(ctx context.Context, conn *pgx.Conn, last string) (string, error) {
	if err := g.replayCancelled(ctx); err != nil {
		return "", err
	}
	closed := []string{}
	for i := range webhooks {
		if webhooks[i].outcome == isParked {
			closed = append(closed, webhooks[i].name)
			continue
		}
		if err := g.enable(ctx, webhooks[i].name); err != nil {
			return "", err
		}
	}
	var owed, disabled int
	var passed bool
	var checkpoint string
	if err := conn.QueryRow(ctx, strings.Replace(leftSQL, "{passed}", g.source.passed, 1), last, g.slot, closed).Scan(&owed, &disabled, &passed, &checkpoint); err != nil {
		return "", err
	}
	if owed+disabled > 0 || !passed {
		return fmt.Sprintf("%d deliveries are owed, %d webhooks disabled, %s has passed: %v, checkpoint %s",
			owed, disabled, last, passed, checkpoint), nil
	}
	return "", nil
}

// state is what walpost says last.
func (g *ground) state() string {
	n := g.runner.current(false)
	if n == nil {
		return "walpost doesn't run"
	}
	return n.log.String()
}

// drainWell ends walpost in order once it streams, which must succeed, and gives the number of the process.
func (g *ground) drainWell(ctx context.Context) (number int, err error) {
	for {
		err := g.runner.awaitReady(ctx)
		if err == nil {
			break
		}
		if !wait(ctx, 300*time.Millisecond) { // one that ended before it streamed is started again
			return 0, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, drainPatience)
	defer cancel()
	n, err := g.runner.drain(ctx)
	switch {
	case err != nil:
		return 0, err
	case n != nil && n.reached: // a failpoint that it had not met before
		if err := g.runner.start(); err != nil {
			return 0, err
		}
		return g.drainWell(ctx)
	case n == nil:
		return 0, errors.New("walpost has ended")
	case n.code != 0:
		return 0, fmt.Errorf("walpost %d ended with status %d after SIGTERM:\n%s", n.number, n.code, n.log)
	}
	return n.number, nil
}

// drainOnce ends walpost in order while nothing is wrong, starts it again, and waits until a new event is through: if
// anything else arrives with it, the drain has left it behind.
func (g *ground) drainOnce(ctx context.Context) error {
	known, err := g.ledger.Incidents(ctx, false, 100_000)
	if err != nil {
		return err
	}
	number, err := g.drainWell(ctx)
	if err != nil {
		return err
	}
	if err := g.runner.start(); err != nil {
		return err
	}
	const sentinel = "00000000-0000-4000-8000-000000000000"
	of := &kinds[slices.IndexFunc(kinds, func(k kind) bool { return k.event == "lead.created" })] // every sort of webhook has it
	g.workload.inserted(sentinel, row{transaction: g.workload.begin("sentinel"), kind: of})
	g.workload.end(g.workload.last, committed)
	payload := fmt.Sprintf(`{"contact": {"id": %q, "note": ""}}`, sentinel)
	err = g.with(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, insertSQL, sentinel, of.event, payload)
		return err
	})
	if err != nil {
		return err
	}
	expected := slices.DeleteFunc(of.deliveries(sentinel), func(d delivery) bool { return webhookNamed(d.webhook).outcome != arrives })
	for g.receiver.arrived(expected) < len(expected) {
		select {
		case <-g.receiver.heard:
		case <-ctx.Done():
			return fmt.Errorf("the last event doesn't arrive:\n%s", g.state())
		}
	}
	if err := g.awaitRest(ctx); err != nil {
		return err
	}
	// A change of the publication may be noticed only now, and the table is read for it.
	if now, err := g.ledger.Incidents(ctx, false, 100_000); err != nil || len(now) > len(known) {
		return err
	}
	g.receiver.mu.Lock()
	defer g.receiver.mu.Unlock()
	for d, all := range g.receiver.book {
		if last := all[len(all)-1]; last.run > number && d.event != sentinel {
			g.problem("%v was sent after a drain in order:\n%s", d, g.story(d.event))
		}
	}
	return nil
}
