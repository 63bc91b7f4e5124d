//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/internal/pgembed"
)

// hostFaults happen to Postgres and to the network between it and walpost.
var hostFaults = []fault{
	restarted("postgres: fast restart", pgembed.Fast),
	restarted("postgres: immediate restart", pgembed.Immediate),
	ended("walsender terminated", "backend_type = 'walsender'"),
	ended("ledger sessions terminated", ledgerSessions),
	{name: "ledger locked", lasts: 4 * time.Second, inject: lockLedger},
	{name: "ledger read-only", lasts: 3 * time.Second, inject: refuseWrites},
	{name: "clock shifted", lasts: 3 * time.Second, skews: true, inject: shiftClock},
	{name: "network: latency", lasts: 3 * time.Second, inject: func(_ context.Context, g *ground, random *rand.Rand) (func(context.Context) error, error) {
		g.proxy.slow(time.Duration(5+random.IntN(100)) * time.Millisecond)
		return func(context.Context) error { g.proxy.slow(0); return nil }, nil
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
const ledgerSessions = "backend_type = 'client backend' and usename = '" + roleName + "'"

func restarted(name string, mode pgembed.Mode) fault {
	return fault{name: name, inject: func(ctx context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
		return nil, g.server.Restart(ctx, mode)
	}}
}

// ended terminates sessions.
func ended(name, which string) fault {
	return fault{name: name, inject: func(ctx context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
		return nil, g.exec(ctx, "select pg_terminate_backend(pid) from pg_stat_activity where "+which)
	}}
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
	conn, err := pgx.Connect(ctx, g.admin)
	if err != nil {
		return fmt.Errorf("connect past the proxy: %w", err)
	}
	return errors.Join(use(conn), conn.Close(ctx))
}

// lockLedger locks one of the ledger's tables against everything, as a careless migration of the host's does.
func lockLedger(ctx context.Context, g *ground, random *rand.Rand) (func(context.Context) error, error) {
	tables := []string{"delivery", "event", "checkpoint", "webhook", "attempt"}
	conn, err := pgx.Connect(ctx, g.admin)
	if err != nil {
		return nil, err
	}
	heal := func(ctx context.Context) error { return conn.Close(ctx) }
	_, err = conn.Exec(ctx, "begin; lock table walpost."+tables[random.IntN(len(tables))]+" in access exclusive mode")
	return heal, err
}

// refuseWrites makes new sessions of walpost's role read-only, as providers do when the disk is full, and ends the old
// ones. Sessions that began under it stay read-only when it is over.
func refuseWrites(ctx context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
	endSessions := "select pg_terminate_backend(pid) from pg_stat_activity where " + ledgerSessions
	err := g.exec(ctx, "alter role "+roleName+" set default_transaction_read_only = on", endSessions)
	return func(ctx context.Context) error {
		return g.exec(ctx, "alter role "+roleName+" reset default_transaction_read_only")
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
