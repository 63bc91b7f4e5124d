//go:build unix

package faults

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/internal/failpoint"
	"github.com/walpost/walpost/internal/pgtest"
)

// lives are those of walposts that are killed while they read a gap of 10,000 rows, none of which lives long enough for all.
var lives = []ambush{
	{failpoint.WalkSaved, 1},
	{failpoint.WalkSaved, 1},
	{failpoint.WalkSaved, 1},
	{failpoint.GapReading, 2},
	{failpoint.GapReading, 4},
	{failpoint.GapReading, 6},
	{failpoint.WalkSaved, 2},
}

// TestShortLives: each life that resolves something advances, one that doesn't loses nothing, and the gap is read once
// altogether, but for what was on its way. What is deleted at once meanwhile comes by the slot that all of them share.
func TestShortLives(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	g, err := prepare(t.Context(), &streaming, db.URL, db.Name, logFolder(t))
	t.Cleanup(g.close)
	if err != nil {
		t.Fatal(err)
	}
	one := &trial{ground: g, t: t, worker: &worker{workload: g.workload, random: rand.New(rand.NewPCG(environment(t).seed, 5))}}
	t.Cleanup(one.worker.disconnect)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := one.beginWith(ctx, func(one *trial, ctx context.Context) error { return one.perform(ctx, "plain") }); err != nil {
		t.Fatal(err)
	}
	g.runner.kill()
	if err := one.worker.perform(ctx, &huge); err != nil {
		t.Fatal(err)
	}
	if err := one.dropSlot(ctx); err != nil {
		t.Fatal(err)
	}
	before := 0
	for i, ambush := range lives {
		if err := one.live(ctx, ambush); err != nil {
			t.Fatal(err)
		}
		if err := one.perform(ctx, "insert and delete"); err != nil {
			t.Fatal(err)
		}
		rows, losses := one.walked(ctx)
		if rows < before || rows == before && ambush.point == failpoint.WalkSaved {
			t.Errorf("life %d, until %s, has come to row %d, the one before to row %d", i, ambush, rows, before)
		}
		before = rows
		if losses != 0 {
			t.Errorf("life %d: the slot was lost %d times more", i, losses)
		}
	}
	t.Logf("after %d lives, %d rows of the gap are resolved", len(lives), before)
	one.end()
}

// live lets a walpost live until a failpoint, with no supervisor to start the next.
func (tr *trial) live(ctx context.Context, until ambush) error {
	tr.runner.arm(until)
	if err := tr.runner.start(); err != nil {
		return err
	}
	tr.runner.mu.Lock()
	n := tr.runner.runs[len(tr.runner.runs)-1]
	n.asked = true
	tr.runner.mu.Unlock()
	select {
	case <-n.done:
	case <-ctx.Done():
		tr.t.Fatalf("walpost doesn't come to %s:\n%s", until, n.log)
	}
	if !n.reached {
		tr.t.Errorf("walpost ended with status %d before it came to %s:\n%s", n.code, until, n.log)
	}
	return nil
}

// walked tells how many rows of the gap the ledger knows to be resolved, and how many losses came after the first.
func (tr *trial) walked(ctx context.Context) (rows, losses int) {
	err := tr.with(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `select coalesce((walk ->> 'rows')::int, 0), (select count(*) - 1 from walpost.incident)
			from walpost.checkpoint where slot = $1`, tr.slot).Scan(&rows, &losses)
	})
	if err != nil {
		tr.t.Fatal(err)
	}
	return rows, losses
}
