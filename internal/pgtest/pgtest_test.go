//go:build unix

package pgtest_test

import (
	"testing"

	"github.com/walpost/walpost/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestNew(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Outbox(t)
	db.Exec(t, "insert into public.outbox (aggregate_type, aggregate_id, event_type, payload) values ('contact', '1', 'tagged', '{}')")
	db.Exec(t, "select pg_create_logical_replication_slot('"+db.Name+"', 'pgoutput')")
}
