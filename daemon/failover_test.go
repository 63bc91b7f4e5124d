package daemon

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/walpost/walpost/internal/pgembed"
	"github.com/walpost/walpost/internal/pgtest"
	"github.com/walpost/walpost/outbox"
)

// failoverSlots is the first Postgres whose standbys keep a copy of logical slots.
const failoverSlots = 170000

// failoverCase is one way of a primary's end.
type failoverCase struct {
	name   string
	mode   pgembed.Mode
	synced bool // the standby has the slot
	polled bool // there is none
}

// TestFailover fails over to a physical standby under load, with a daemon that lives through it: all that is committed on
// the new primary arrives, each with one id. What arrived and isn't there was lost by the failover itself (F46); with
// synchronized_standby_slots nothing is delivered before the standby has it, so there is none.
func TestFailover(t *testing.T) {
	t.Parallel()
	cases := []failoverCase{
		{name: "planned, without the slot", mode: pgembed.Fast},
		{name: "unplanned, without the slot", mode: pgembed.Immediate},
		{name: "unplanned, polled", mode: pgembed.Immediate, polled: true},
	}
	var version int
	if err := connect(t, pgtest.Server(t).URL("postgres")).QueryRow(t.Context(), "select current_setting('server_version_num')::int").Scan(&version); err != nil {
		t.Fatal(err)
	}
	if version >= failoverSlots {
		cases = append(cases, failoverCase{name: "planned, with the slot", mode: pgembed.Fast, synced: true},
			failoverCase{name: "unplanned, with the slot", mode: pgembed.Immediate, synced: true})
	}
	for _, f := range cases {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, f.synced)
			if f.polled {
				p.poll()
			}
			d := p.start()
			book := &arrivals{t: t, ids: map[arrival]string{}}
			p.insert(tagged("first"))
			book.take(p.receiver.next())
			if f.synced {
				p.awaitSync()
			}
			p.marked()
			stop := make(chan struct{})
			var workers sync.WaitGroup
			for worker := range 3 {
				workers.Go(func() { p.work(worker, stop) })
			}
			for book.count < 100 {
				book.take(p.receiver.next())
			}
			p.primary.Halt(t.Context(), f.mode)
			if err := p.standby.Promote(t.Context()); err != nil {
				t.Fatal(err)
			}
			for before := book.count; book.count < before+100; { // it goes on
				book.take(p.receiver.next())
			}
			close(stop)
			workers.Wait()
			committed := p.committed()
			for _, id := range committed {
				for book.ids[arrival{"/hook", id}] == "" && !t.Failed() {
					select {
					case got := <-p.receiver.got:
						book.take(got)
					case <-time.After(testPatience):
						t.Errorf("%s doesn't arrive: %s", id, p.story(id))
					}
				}
			}
			known := make(map[string]bool, len(committed))
			for _, id := range committed {
				known[id] = true
			}
			ghosts := 0
			for k := range book.ids {
				if !known[k.contact] {
					ghosts++
				}
			}
			if f.synced && ghosts > 0 {
				t.Errorf("%d were delivered that the new primary doesn't have", ghosts)
			}
			lost := 1
			if f.synced || f.polled {
				lost = 0
			}
			p.until("select count(*) filter (where kind = 'slot_lost' and resolved_at is not null) = $1 and count(*) filter (where kind = 'failover') = 1"+
				" and count(*) = $1 + 1 from walpost.incident", lost)
			t.Logf("%d committed, %d arrivals of %d, %d of them only on the old primary", len(committed), book.count, len(book.ids), ghosts)
			d.mustStop()
		})
	}
}

// pair is a rig on a primary with a standby, and a connection string that leads to whichever of them is the primary.
type pair struct {
	*rig
	primary, standby *pgembed.Server
}

func newPair(t *testing.T, synced bool) *pair {
	t.Helper()
	settings := map[string]string{"wal_keep_size": "64MB"}
	primary := pgtest.Start(t, settings)
	admin := connect(t, primary.URL("postgres"))
	execute(t, admin, "select pg_create_physical_replication_slot('standby', true)")
	following := map[string]string{"primary_slot_name": "standby", "hot_standby_feedback": "on", "wal_receiver_status_interval": "1s"}
	if synced {
		following["sync_replication_slots"] = "on"
	}
	standby, err := primary.Standby(t.Context(), following)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := standby.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if synced {
		execute(t, admin, "alter system set synchronized_standby_slots = 'standby'")
		execute(t, admin, "select pg_reload_conf()")
	}
	p := &pair{primary: primary, standby: standby}
	p.rig = newRigOn(t, &pgtest.Database{URL: multiHost(t, primary, standby), Name: "walpost"}, one)
	return p
}

// multiHost leads to the one of two servers that is the primary.
func multiHost(t *testing.T, first, second *pgembed.Server) string {
	t.Helper()
	a, err := url.Parse(first.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := url.Parse(second.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	a.Host += "," + b.Host
	a.RawQuery += "&target_session_attrs=read-write"
	return a.String()
}

func connect(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // its server may be gone
	return conn
}

func execute(t testing.TB, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// awaitSync waits until the standby has a copy of the slot that would survive a promotion.
func (p *pair) awaitSync() {
	p.t.Helper()
	pool, err := pgxpool.New(context.Background(), p.standby.URL("postgres"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer pool.Close()
	for deadline := time.Now().Add(testPatience); ; {
		var ok bool
		sql := "select exists (select from pg_replication_slots where slot_name = 'walpost' and synced and not temporary) from pg_sleep(0.05)"
		if err := pool.QueryRow(context.Background(), sql).Scan(&ok); err != nil {
			p.t.Fatal(err)
		}
		if ok {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatal("the standby doesn't get the slot")
		}
	}
}

// work inserts until it is told to stop, over whichever server is the primary. What fails is of no interest: the table
// says what was committed.
func (p *pair) work(worker int, stop <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(5 * time.Millisecond): // the load
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_ = outbox.Insert(ctx, p.pool, tagged(fmt.Sprintf("%d-%d", worker, n)))
		cancel()
	}
}

// story is what the database knows of an event that doesn't arrive.
func (p *pair) story(id string) (story string) {
	p.t.Helper()
	p.scan(`select concat_ws(E'\n  ', 'xmin ' || o.xmin || ', created ' || o.created_at, (select c::text from walpost.checkpoint c),
		(select string_agg(d::text, E'\n  ') from walpost.delivery d where d.event_id = o.id::text), (select string_agg(i::text, E'\n  ') from walpost.incident i))
		from public.outbox o where o.aggregate_id = $1`, []any{id}, &story)
	return story
}

// committed is what the primary has.
func (p *pair) committed() (ids []string) {
	p.t.Helper()
	p.scan("select array_agg(aggregate_id) from public.outbox", nil, &ids)
	return ids
}
