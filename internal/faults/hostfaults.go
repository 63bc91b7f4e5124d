//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/internal/pgembed"
)

// hostFaults happen to Postgres and to the network between it and walpost, whatever the source.
var hostFaults = []fault{
	restarted("postgres: fast restart", pgembed.Fast),
	restarted("postgres: immediate restart", pgembed.Immediate),
	ended("ledger sessions terminated", ledgerSessions),
	ended("all sessions of walpost terminated", "usename = '{role}'"),
	{name: "ledger locked", lasts: 4 * time.Second, inject: lockLedger},
	{name: "ledger read-only", lasts: 3 * time.Second, inject: refuseWrites},
	{name: "ledger's disk full", lasts: 3 * time.Second, inject: fillDisk},
	{name: "connections exhausted", lasts: 3 * time.Second, inject: exhaustConnections},
	{name: "outbox locked", lasts: 2 * time.Second, inject: lockOutbox},
	{name: "outbox: vacuum full", inject: statements("vacuum full public.outbox")},
	{name: "outbox: vacuum freeze", inject: statements("vacuum (freeze) public.outbox")},
	{name: "clock shifted", lasts: 3 * time.Second, skews: true, inject: shiftClock},
	{name: "network: latency", lasts: 3 * time.Second, inject: func(_ context.Context, g *ground, random *rand.Rand) (func(context.Context) error, error) {
		g.proxy.slow(time.Duration(5+random.IntN(100)) * time.Millisecond)
		return func(context.Context) error { g.proxy.slow(0); return nil }, nil
	}},
	{name: "network: byte by byte", lasts: 3 * time.Second, inject: func(_ context.Context, g *ground, random *rand.Rand) (func(context.Context) error, error) {
		g.proxy.trickle(1 + random.IntN(7))
		return func(context.Context) error { g.proxy.trickle(0); return nil }, nil
	}},
	{name: "network: frozen", lasts: 3 * time.Second, inject: func(_ context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
		g.proxy.freeze()
		return func(context.Context) error { g.proxy.thaw(); return nil }, nil
	}},
	// Postgres loses the connections at once, walpost learns of it when the network is back.
	{name: "network: half-open", lasts: 3 * time.Second, inject: func(_ context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
		g.proxy.freeze()
		g.proxy.closeServers()
		return func(context.Context) error { g.proxy.thaw(); g.proxy.cut(reset); return nil }, nil
	}},
	// Both ends get an orderly end, late.
	{name: "network: slow close", lasts: 2 * time.Second, inject: func(_ context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
		g.proxy.slow(200 * time.Millisecond)
		g.proxy.cut(end)
		return func(context.Context) error { g.proxy.slow(0); return nil }, nil
	}},
	{name: "network: reset", inject: func(_ context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
		g.proxy.cut(reset)
		return nil, nil
	}},
}

// ledgerSessions are walpost's connections but for the walsender.
const ledgerSessions = "backend_type = 'client backend' and usename = '{role}'"

// walsenderFaults happen to the connection that streams.
var walsenderFaults = []fault{
	ended("walsender terminated", "backend_type = 'walsender'"),
	{name: "walsender frozen", lasts: 3 * time.Second, inject: func(ctx context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
		return g.freezeBackend(ctx, "select coalesce(max(active_pid), 0) from pg_replication_slots where slot_name = '{slot}'")
	}},
}

func restarted(name string, mode pgembed.Mode) fault {
	return fault{name: name, inject: func(ctx context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
		return nil, g.server.Restart(ctx, mode)
	}}
}

// ended terminates sessions.
func ended(name, which string) fault {
	return fault{name: name, inject: func(ctx context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
		return nil, g.exec(ctx, g.named("select pg_terminate_backend(pid) from pg_stat_activity where "+which))
	}}
}

// named puts the names of the slot and of walpost's role into a statement.
func (g *ground) named(sql string) string {
	return strings.NewReplacer("{slot}", g.slot, "{role}", g.source.role).Replace(sql)
}

// exec runs statements on a connection past the proxy.
func (g *ground) exec(ctx context.Context, statements ...string) error {
	return g.with(ctx, func(conn *pgx.Conn) error {
		for _, sql := range statements {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return fmt.Errorf("execute %q: %w", sql, err)
			}
		}
		return nil
	})
}

// with lends a superuser's connection past the proxy.
func (g *ground) with(ctx context.Context, use func(*pgx.Conn) error) error {
	for {
		conn, err := pgx.Connect(ctx, g.admin)
		if err == nil {
			return errors.Join(use(conn), conn.Close(ctx))
		}
		if !wait(ctx, 100*time.Millisecond) { // another hand may be restarting Postgres
			return fmt.Errorf("connect past the proxy: %w", err)
		}
	}
}

// impatience keeps a fault from waiting for a lock behind a prepared transaction, with the whole application behind it.
const impatience = "set lock_timeout = '1s'"

// statements runs SQL; what follows an empty statement heals.
func statements(list ...string) func(context.Context, *ground, *rand.Rand) (func(context.Context) error, error) {
	begin, after := list, []string(nil)
	if i := slices.Index(list, ""); i >= 0 {
		begin, after = list[:i], list[i+1:]
	}
	return func(ctx context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
		err := g.exec(ctx, append([]string{impatience}, begin...)...)
		if hasState(err, lockNotAvailable) {
			err = nil // the workload was quicker
		}
		return func(ctx context.Context) error { return g.exec(ctx, after...) }, err
	}
}

// freezeBackend stops the server's process that a query gives: its connection is open, and silent.
func (g *ground) freezeBackend(ctx context.Context, query string) (heal func(context.Context) error, err error) {
	var pid int
	err = g.with(ctx, func(conn *pgx.Conn) error { return conn.QueryRow(ctx, g.named(query)).Scan(&pid) })
	if err != nil || pid == 0 {
		return nil, err
	}
	_ = syscall.Kill(pid, syscall.SIGSTOP) // it may have ended
	return func(context.Context) error { _ = syscall.Kill(pid, syscall.SIGCONT); return nil }, nil
}

// exhaustConnections takes all connections that are not reserved for superusers.
func exhaustConnections(ctx context.Context, g *ground, _ *rand.Rand) (heal func(context.Context) error, err error) {
	at, err := url.Parse(g.admin)
	if err != nil {
		return nil, err
	}
	at.User = url.UserPassword(g.source.role, "secret")
	var taken []*pgx.Conn
	for {
		var conn *pgx.Conn
		if conn, err = pgx.Connect(ctx, at.String()); err != nil {
			break
		}
		taken = append(taken, conn)
	}
	if hasState(err, "53300") {
		err = nil
	}
	return func(ctx context.Context) error {
		for _, conn := range taken {
			_ = conn.Close(ctx) // the server may have ended it
		}
		return nil
	}, err
}

// fillDisk leaves no room in the file system of the ledger's tables. Where there is none of their own, a trigger says what
// Postgres would.
func fillDisk(ctx context.Context, g *ground, _ *rand.Rand) (heal func(context.Context) error, err error) {
	if g.disk != nil {
		return func(context.Context) error { return g.disk.resize(diskSize) }, g.disk.fill()
	}
	return statements(
		`create or replace function public.faults_disk_full() returns trigger language plpgsql as $$
			begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$`,
		"create trigger faults_disk_full before insert or update on walpost.delivery execute function public.faults_disk_full()",
		"", "drop trigger if exists faults_disk_full on walpost.delivery")(ctx, g, nil)
}

// lockOutbox locks the application's table against everything, as a migration does.
func lockOutbox(ctx context.Context, g *ground, _ *rand.Rand) (heal func(context.Context) error, err error) {
	conn, err := pgx.Connect(ctx, g.admin)
	if err != nil {
		return nil, err
	}
	_, err = conn.Exec(ctx, impatience+"; begin; lock table public.outbox in access exclusive mode")
	if hasState(err, lockNotAvailable) {
		err = nil
	}
	return func(ctx context.Context) error { return conn.Close(ctx) }, err
}

// lockLedger locks one of the ledger's tables against everything, as a careless migration of the host's does.
func lockLedger(ctx context.Context, g *ground, random *rand.Rand) (func(context.Context) error, error) {
	tables := []string{"delivery", "event", "checkpoint", "webhook", "attempt"}
	conn, err := pgx.Connect(ctx, g.admin)
	if err != nil {
		return nil, err
	}
	heal := func(ctx context.Context) error { return conn.Close(ctx) }
	_, err = conn.Exec(ctx, impatience+"; begin; lock table walpost."+tables[random.IntN(len(tables))]+" in access exclusive mode")
	if hasState(err, lockNotAvailable) {
		err = nil
	}
	return heal, err
}

// refuseWrites makes new sessions of walpost's role read-only, as providers do when the disk is full, and ends the old
// ones. Sessions that began under it stay read-only when it is over.
func refuseWrites(ctx context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
	endSessions := g.named("select pg_terminate_backend(pid) from pg_stat_activity where " + ledgerSessions)
	err := g.exec(ctx, "alter role "+g.source.role+" set default_transaction_read_only = on", endSessions)
	return func(ctx context.Context) error {
		return g.exec(ctx, "alter role "+g.source.role+" reset default_transaction_read_only")
	}, err
}

// shiftClock moves the ledger's clock forward or back by up to three minutes.
func shiftClock(ctx context.Context, g *ground, random *rand.Rand) (func(context.Context) error, error) {
	return func(ctx context.Context) error { return g.setClock(ctx, 0) },
		g.setClock(ctx, time.Duration(random.IntN(360)-180)*time.Second)
}

// setClock makes walpost.now() differ from the server's time.
func (g *ground) setClock(ctx context.Context, by time.Duration) error {
	return g.exec(ctx, fmt.Sprintf(`create or replace function walpost.now() returns timestamptz language sql stable parallel safe
		as 'select pg_catalog.now() + interval ''%d seconds'''`, int(by.Seconds())))
}
