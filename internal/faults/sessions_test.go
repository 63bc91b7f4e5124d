//go:build unix

package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestSessions has what happens to connections without a word.
func TestSessions(t *testing.T) {
	t.Parallel()
	// The server has ended all connections, and walpost isn't told: one is missed after its lease, and the others with it.
	t.Run("forgotten connections", func(t *testing.T) {
		t.Parallel()
		l := startLoss(t)
		l.insertAndAwait(t, "before")
		l.proxy.forget()
		l.insertAndAwait(t, "after")
		l.wantRecorded(t)
	})
	// Ledger sessions that began while the role was read-only are given up when it no longer is.
	t.Run("read-only sessions", func(t *testing.T) {
		t.Parallel()
		l := startLoss(t)
		l.insertAndAwait(t, "before")
		heal, err := refuseWrites(t.Context(), l.ground, rand.New(rand.NewPCG(1, 1)))
		if err != nil {
			t.Fatal(err)
		}
		l.receiver.behave("good", broken)
		l.insert(t, "during")
		wait(t.Context(), 3*time.Second) // it connects again, and is refused
		if err := heal(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.wantRecorded(t)
	})
}

// wantRecorded checks that a delivery which fails comes into the ledger within a minute.
func (l *lossGround) wantRecorded(t *testing.T) {
	t.Helper()
	l.receiver.behave("good", broken)
	l.insert(t, "recorded")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := l.with(ctx, func(conn *pgx.Conn) error {
		for recorded := false; !recorded; {
			const sql = "select exists (select from walpost.delivery where webhook = 'good' and event_id in " +
				"(select id::text from public.outbox where payload->'contact'->>'id' = 'recorded')) or pg_sleep(0.1) is null"
			if err := conn.QueryRow(ctx, sql).Scan(&recorded); err != nil {
				return fmt.Errorf("nothing is recorded: %w\n%s", err, l.state())
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
