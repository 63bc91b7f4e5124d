//go:build unix

package pgembed

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestStandbyFollowsAndIsPromoted(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	primary, err := Start(ctx, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = primary.Stop(context.Background()) })
	query := func(s *Server, sql string) (n int) {
		t.Helper()
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx) //nolint:errcheck // it has answered
		if err := conn.QueryRow(ctx, sql).Scan(&n); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return n
	}
	query(primary, "with t as (select pg_create_logical_replication_slot('mine', 'pgoutput')) select count(*) from t")
	standby, err := primary.Standby(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := standby.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if query(standby, "select pg_is_in_recovery()::int") != 1 || query(standby, "select count(*) from pg_replication_slots") != 0 {
		t.Error("it is no standby without slots")
	}
	query(primary, "with t as (select txid_current()) select count(*) from t")
	primary.Halt(ctx, Fast) // waits until the standby has all
	if err := standby.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	if timeline := query(standby, "select timeline_id from pg_control_checkpoint()"); timeline > 2 {
		t.Errorf("timeline %d", timeline)
	}
	if query(standby, "select pg_is_in_recovery()::int") != 0 {
		t.Error("it is still a standby")
	}
	if err := primary.Restart(ctx, Fast); err != nil { // the old one comes back beside it
		t.Fatal(err)
	}
}
