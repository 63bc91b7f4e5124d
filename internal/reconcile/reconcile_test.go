//go:build unix

package reconcile

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/pgtest"
	"github.com/walpost/walpost/internal/route"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// ground is an outbox with its ledger and a configuration.
type ground struct {
	t    *testing.T
	db   *pgtest.Database
	book *ledger.Ledger
	cfg  *config.Config
}

// newGround makes one whose outbox table has the columns of DESIGN but for created_at.
func newGround(t *testing.T, hcl string) *ground {
	t.Helper()
	g := &ground{t: t, db: pgtest.New(t)}
	book, err := ledger.Open(t.Context(), ledger.Options{ConnString: g.db.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(book.Close)
	if err := book.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.book = book
	env := func(name string) (string, bool) { return g.db.URL, name == "DATABASE_URL" }
	cfg, diagnostics := config.Parse(map[string][]byte{"walpost.hcl": []byte("database {\n  url = env(\"DATABASE_URL\")\n}\n" + hcl)}, config.WithEnv(env))
	if diagnostics.HasErrors() {
		t.Fatal(diagnostics)
	}
	g.cfg = cfg
	return g
}

// resolve says that all rows that are there are dealt with.
func (g *ground) resolve() {
	g.t.Helper()
	g.db.Exec(g.t, `insert into walpost.checkpoint (slot, lsn, system_id, timeline, epoch, snapshot, updated_at)
		select 'walpost', '0/1', '1', 1, 1, (x || ':' || x || ':')::pg_snapshot, now()
		from (select max(xmin::text::bigint) + 1 as x from public.outbox) o`)
}

func (g *ground) run(change func(*Options)) *Report {
	g.t.Helper()
	o := Options{Config: g.cfg, Ledger: g.book}
	if change != nil {
		change(&o)
	}
	r, err := Run(g.t.Context(), o)
	if err != nil {
		g.t.Fatal(err)
	}
	return r
}

// A partitioned table without created_at, with rows over several ranges: good ones, some that nobody wants, and some
// that are in quarantine.
func TestRunReadsWholeTables(t *testing.T) {
	t.Parallel()
	g := newGround(t, `
outbox {
  columns {
    created_at = "-"
    headers    = "-"
  }
}
ledger { record = "all" }
webhook "crm" {
  topics = ["contact.tagged"]
  url    = "https://crm.example.com"
}
`)
	if _, err := Run(t.Context(), Options{Config: g.cfg, Ledger: g.book}); !errors.Is(err, ErrNoCheckpoint) {
		t.Fatalf("without a checkpoint: %v", err)
	}
	g.db.Exec(t, `create table public.outbox (id int not null, aggregate_type text, aggregate_id text, event_type text, payload text)
		partition by hash (id);
		create table public.a partition of public.outbox for values with (modulus 2, remainder 0);
		create table public.b partition of public.outbox for values with (modulus 2, remainder 1)`)
	g.db.Exec(t, `insert into public.outbox
		select i, 'contact', '7', case when i % 10 = 0 then 'nobody.wants.it' else 'contact.tagged' end,
			case when i % 100 = 1 then 'no JSON' else '{"text": "' || repeat('x', 2000) || '"}' end
		from generate_series(1, 2000) i`)
	g.resolve()
	g.db.Exec(t, `insert into public.outbox values (7001, 'contact', '7', 'contact.tagged', '{}'), (7002, 'contact', '7', 'nobody.wants.it', '{}')`)
	r := g.run(func(o *Options) { o.Since = time.Now(); o.Limit = 3 }) // there is no column to tell
	want := Rows{Seen: 2002, Resolved: 2000 - 200 - 20, Unrouted: 201, Rejected: 20, Waiting: 1}
	if r.Rows != want {
		t.Errorf("rows %+v, want %+v", r.Rows, want)
	}
	if d := r.Deliveries; r.Proof != ByLedger || d.Missing != want.Resolved || len(r.Gaps) != 3 || !r.More || !r.Failed() {
		t.Errorf("got %+v, %+v", r, d)
	}
	sender := NewSender(g.book)
	again := g.run(func(o *Options) { o.Repair = sender })
	if d := again.Deliveries; d.Repaired != want.Resolved || again.Failed() {
		t.Errorf("repaired: %+v", d)
	}
	if err := sender.Close(); err != nil {
		t.Fatal(err)
	}
	if r := g.run(nil); r.Failed() || r.Deliveries.Recorded[ledger.Pending] != want.Resolved {
		t.Errorf("after the repair: %+v", r.Deliveries)
	}
	g.cfg.Ledger.Record = config.RecordFailures
	r = g.run(nil) // all resolved ones are only counted: of what nobody wanted, nothing is known
	if want := (Rows{Seen: 2002, Resolved: 2000, Unrouted: 1, Waiting: 1}); r.Rows != want || r.Failed() || r.Deliveries != nil {
		t.Errorf("by the snapshot: %+v", r.Rows)
	}
}

// Requests of batches have ids of their own, so the receiver's list doesn't tell of them.
func TestRunPassesOverBatches(t *testing.T) {
	t.Parallel()
	g := newGround(t, `
webhook "batched" {
  topics = ["contact.tagged"]
  url    = "https://crm.example.com"
  batch {
    max  = 10
    wait = "1s"
  }
}
webhook "crm" {
  topics = ["contact.tagged"]
  url    = "https://crm.example.com"
}
`)
	g.db.Outbox(t)
	const event = "00000000-0000-4000-8000-000000000001"
	g.db.Exec(t, `insert into public.outbox (id, aggregate_type, aggregate_id, event_type, payload) values ($1, 'contact', '7', 'contact.tagged', '{}')`, event)
	g.resolve()
	arrived, err := ReadIDs(strings.NewReader("# arrived\n" + route.DeliveryID(event, "contact.tagged", "crm") + "\n\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := g.run(func(o *Options) { o.Received = arrived })
	if d := r.Deliveries; d.Delivered != 1 || d.Batched != 1 || d.Missing != 0 || r.Strangers != 0 || r.Failed() {
		t.Errorf("got %+v, %+v", r, d)
	}
}

func TestReadIDs(t *testing.T) {
	t.Parallel()
	id := "94fbf78a-47d7-53af-9637-b663eb615edf"
	ids, err := ReadIDs(strings.NewReader(fmt.Sprintf("%s\r\n%s\n", id, strings.ToUpper(id))))
	if err != nil || len(ids) != 1 || !ids[parse(id)] {
		t.Errorf("got %v, %v", ids, err)
	}
	if _, err := ReadIDs(strings.NewReader("\n\nabc\n")); err == nil || !strings.Contains(err.Error(), `line 3: "abc"`) {
		t.Errorf("got %v", err)
	}
}
