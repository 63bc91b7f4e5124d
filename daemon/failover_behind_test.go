package daemon

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/internal/pgembed"
	"github.com/walpost/walpost/outbox"
)

// A standby that is behind what was delivered becomes the primary, and the ledger is there before the stream is: what the old
// stream's positions stand for is no checkpoint of the new primary, whose own rows are at lower ones. So the term ends.
func TestFailoverBehindTheStream(t *testing.T) {
	t.Parallel()
	p := newPair(t, false)
	network := p.replicateThrough(p.primary)
	release := make(chan struct{})
	d := p.start()
	p.insert(tagged("first"))
	p.receiver.want("first")
	p.marked()
	p.isolateStandby()

	p.receiver.answers(p.receiver.holding(release, nil))
	p.db.Exec(t, "select pg_logical_emit_message(true, 'filler', repeat('x', 4 << 20))")
	p.insert(tagged("ghost"))
	p.receiver.want("ghost")
	d.waitFor(func(s Status) bool { return s.Stream.Transactions == 2 }) // it is whole, unresolved, and far above what the standby has
	p.primary.Halt(t.Context(), pgembed.Immediate)
	if err := p.standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.insertSoon(tagged("new"))
	p.receiver.answers(nil)
	close(release)
	d.waitFor(func(s Status) bool { return s.Lead.Epoch == 0 })
	var below bool
	p.scan("select lsn < pg_current_wal_insert_lsn() from walpost.checkpoint", nil, &below)
	if !below {
		t.Error("the checkpoint is beyond the new primary's WAL")
	}

	network.redirect(hostOf(t, p.standby))
	for arrived := ""; arrived != "new"; {
		contact, _ := p.receiver.next().json(t)["contact"].(map[string]any)
		arrived = fmt.Sprint(contact["id"])
	}
	p.until("select count(*) filter (where kind = 'slot_lost' and resolved_at is not null) = 1 and count(*) filter (where kind = 'failover') = 1" +
		" and count(*) = 2 from walpost.incident")
	d.mustStop()
}

func hostOf(t *testing.T, server *pgembed.Server) string {
	t.Helper()
	at, err := url.Parse(server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	return at.Host
}

// replicateThrough makes the daemon's stream, and its membership, take a way of their own to a server.
func (p *pair) replicateThrough(server *pgembed.Server) *stall {
	p.t.Helper()
	at, err := url.Parse(server.URL("postgres"))
	if err != nil {
		p.t.Fatal(err)
	}
	network := newStall(p.t, at.Host)
	at.Host = network.listener.Addr().String()
	p.mu.Lock()
	defer p.mu.Unlock()
	before := `database { url = env("DATABASE_URL") }`
	after := fmt.Sprintf("database {\n  url             = env(\"DATABASE_URL\")\n  replication_url = %q\n}", at)
	if !strings.Contains(p.hcl, before) {
		p.t.Fatalf("no database in %s", p.hcl)
	}
	p.hcl = strings.Replace(p.hcl, before, after, 1)
	return network
}

// isolateStandby waits until the standby has everything, and lets it have nothing more.
func (p *pair) isolateStandby() {
	p.t.Helper()
	var end string
	p.scan("select pg_current_wal_insert_lsn()::text", nil, &end)
	standby := connect(p.t, p.standby.URL("postgres"))
	awaitOn(p.t, standby, "select pg_last_wal_replay_lsn() >= $1::text::pg_lsn from pg_sleep(0.01)", end)
	execute(p.t, standby, "alter system set primary_conninfo = ''")
	execute(p.t, standby, "select pg_reload_conf()")
	awaitOn(p.t, standby, "select not exists (select from pg_stat_wal_receiver) from pg_sleep(0.01)")
}

// awaitOn waits until a query gives true.
func awaitOn(t testing.TB, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	for deadline := time.Now().Add(testPatience); ; {
		var ok bool
		if err := conn.QueryRow(t.Context(), sql, args...).Scan(&ok); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("never true: %s", sql)
		}
	}
}

// insertSoon inserts once the new primary is found: the pool's connections may be of the old one.
func (p *pair) insertSoon(event outbox.Event) {
	p.t.Helper()
	deadline := time.Now().Add(testPatience)
	for {
		err := outbox.Insert(p.t.Context(), p.pool, event)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatal(err)
		}
	}
}
