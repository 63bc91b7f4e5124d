//go:build unix

package bounds

import (
	"fmt"
	"strings"
	"testing"

	"github.com/walpost/walpost/internal/pgtest"
)

// insertSQL makes $1 events with payloads of some 500 bytes in one transaction.
const insertSQL = `insert into public.outbox (aggregate_type, aggregate_id, event_type, payload)
	select 'contact', i, 'contact.tagged',
		jsonb_build_object('contact', jsonb_build_object('id', i, 'name', 'Ada ' || i), 'text', repeat(md5(i::text), 13))
	from generate_series(1, $1::int) i`

func newDatabase(t testing.TB) *pgtest.Database {
	t.Helper()
	db := pgtest.New(t)
	db.Outbox(t)
	return db
}

func TestMemoryOfHugeTransaction(t *testing.T) {
	t.Parallel()
	rows := scaled(1_000_000, 20_000)
	db, good := newDatabase(t), newCounter(t)
	p := run(t, db, fmt.Sprintf("webhook \"good\" {\n topics = [\"*\"]\n url = %q\n}\n", good.url))
	db.Exec(t, insertSQL, rows)
	good.await(t, rows)
	p.within(fmt.Sprintf("a transaction of %d rows", rows))
}

// Owed ones are due all at once, for an endpoint that never answers; parked ones wait for theirs to be enabled.
func TestMemoryOfParkedDeliveries(t *testing.T) {
	t.Parallel()
	each := scaled(1_000_000, 10_000)
	db, good, hole := newDatabase(t), newCounter(t), newBlackHole(t)
	hcl := fmt.Sprintf(`webhook "good" {
		topics = ["*"]
		url    = %q
	}
	webhook "parked" {
		topics = ["*"]
		url    = %q
	}
	webhook "hole" {
		topics = ["*"]
		url    = %[2]q
	}
	`, good.url, hole.url)
	first := run(t, db, hcl) // makes the ledger
	first.stop()
	db.Exec(t, `insert into walpost.webhook (name, disabled_at, disabled_by, disabled_why, updated_at) values ('parked', now(), 'test', '', now())`)
	db.Exec(t, `insert into walpost.event (id, aggregate_type, aggregate_id, type, payload, lsn, recorded_at)
		select i, 'contact', i, 'contact.tagged', jsonb_build_object('text', repeat(md5(i::text), 13)), '0/0'::pg_lsn + i, now()
		from generate_series(1, $1::int) i`, each)
	db.Exec(t, `insert into walpost.delivery (id, event_id, topic, webhook, state, due_at, created_at, updated_at)
		select gen_random_uuid(), i, 'contact.tagged', w.name, w.state, now(), now(), now()
		from generate_series(1, $1::int) i, (values ('parked', 'parked'), ('hole', 'pending')) w (name, state)`, each)
	db.Exec(t, "analyze walpost.delivery, walpost.event")
	p := run(t, db, hcl)
	db.Exec(t, insertSQL, 100)
	good.await(t, 100)
	p.within(fmt.Sprintf("%d parked and %[1]d owed deliveries at the start", each))
}

func TestMemoryOfBlackHoles(t *testing.T) {
	t.Parallel()
	holes, events := scaled(500, 100), scaled(2000, 100)
	db, good, hole := newDatabase(t), newCounter(t), newBlackHole(t)
	var hcl strings.Builder
	fmt.Fprintf(&hcl, "webhook \"good\" {\n topics = [\"*\"]\n url = %q\n}\n", good.url)
	for i := range holes {
		fmt.Fprintf(&hcl, "webhook \"hole_%d\" {\n topics = [\"*\"]\n url = \"%s/%[1]d\"\n}\n", i, hole.url)
	}
	p := run(t, db, hcl.String())
	db.Exec(t, insertSQL, events)
	good.await(t, events)
	p.within(fmt.Sprintf("%d endpoints that never answer, %d connections", holes, hole.taken()))
}
