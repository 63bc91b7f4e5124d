package cdc

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"github.com/walpost/walpost/internal/pgtest"
)

// follower is what a Source and a Poller both are, as a daemon uses them.
type follower interface {
	Run(ctx context.Context) error
	Batches() <-chan Batch
	Progress() (Position, bool)
	Unresolved() bool
	Advanced() <-chan struct{}
	Confirm(Position)
	Stats() Stats
}

// kind is a way to follow the outbox of a database.
type kind struct {
	name string
	ddl  string // beside the outbox
	make func(Options) (follower, error)
}

// pollDDL is what polling needs of the outbox.
const pollDDL = `
	alter table outbox add column walpost_xid xid8 not null default pg_current_xact_id();
	create index on outbox (walpost_xid, id);`

// notifyDDL tells of each commit that has inserted.
const notifyDDL = `
	create function told() returns trigger language plpgsql as $$ begin perform pg_notify('walpost_outbox', ''); return null; end $$;
	create trigger told after insert on outbox for each statement execute function told();`

func pollOptions(o Options) PollOptions {
	return PollOptions{Options: o, ID: "id", XID: "walpost_xid", Interval: 20 * time.Millisecond}
}

var kinds = []kind{
	{"stream", "", func(o Options) (follower, error) { return New(o) }},
	{"polling", pollDDL, func(o Options) (follower, error) { return NewPoller(pollOptions(o)) }},
	{"polling, notified", pollDDL + notifyDDL, func(o Options) (follower, error) {
		p := pollOptions(o)
		p.Interval, p.Channel = time.Minute, "walpost_outbox"
		return NewPoller(p)
	}},
}

// conform runs a test for each kind, with an outbox of its own.
func conform(t *testing.T, test func(t *testing.T, g *ground)) {
	t.Parallel()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			db, pool := outboxDatabase(t)
			if k.ddl != "" {
				db.Exec(t, k.ddl)
			}
			test(t, &ground{t: t, kind: k, db: db, pool: pool})
		})
	}
}

// ground is a database whose outbox is followed, and the checkpoint.
type ground struct {
	t    *testing.T
	kind kind
	db   *pgtest.Database
	pool *pgxpool.Pool

	mu     sync.Mutex
	resume *Resume
}

// following is a follower that runs.
type following struct {
	follower
	g        *ground
	acquired chan Identity
	stop     context.CancelFunc
	result   chan error
	rest     Batch
}

func (g *ground) start(change ...func(*Options)) *following {
	g.t.Helper()
	o := testOptions(g.db)
	f := &following{g: g, acquired: make(chan Identity, 100), result: make(chan error, 1)}
	o.Resume = func(context.Context) (*Resume, error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.resume == nil {
			return nil, nil
		}
		resume := *g.resume
		return &resume, nil
	}
	o.Acquired = func(_ context.Context, id Identity) error {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.resume == nil && id.Snapshot != "" {
			g.resume = &Resume{Snapshot: id.Snapshot}
		}
		f.acquired <- id
		return nil
	}
	if os.Getenv("CDC_TEST_LOG") != "" {
		o.Logger = zerolog.New(zerolog.NewTestWriter(g.t))
	}
	for _, c := range change {
		c(&o)
	}
	var err error
	if f.follower, err = g.kind.make(o); err != nil {
		g.t.Fatal(err)
	}
	var ctx context.Context
	ctx, f.stop = context.WithCancel(context.Background())
	go func() { f.result <- f.Run(ctx) }()
	g.t.Cleanup(func() { f.end() })
	return f
}

// connected waits for the next connection.
func (f *following) connected() Identity {
	f.g.t.Helper()
	select {
	case id := <-f.acquired:
		return id
	case err := <-f.result:
		f.result <- err
		f.g.t.Fatalf("Run ended: %v", err)
	case <-time.After(patience):
		f.g.t.Fatalf("not connected: %+v", f.Stats())
	}
	panic("unreachable")
}

// next takes n rows.
func (f *following) next(n int) []Row {
	f.g.t.Helper()
	for deadline := time.After(patience); len(f.rest) < n; {
		select {
		case b, ok := <-f.Batches():
			if !ok {
				f.g.t.Fatalf("batches closed: %v", <-f.result)
			}
			f.rest = append(f.rest, b...)
		case <-deadline:
			f.g.t.Fatalf("got %v, want %d rows: %+v", ids(f.rest), n, f.Stats())
		}
	}
	rows := f.rest[:n:n]
	f.rest = f.rest[n:]
	return rows
}

// settle waits until all that was received is resolved, and saves the checkpoint.
func (f *following) settle() {
	f.g.t.Helper()
	for deadline := time.After(patience); f.Unresolved(); {
		select {
		case <-f.Advanced():
		case <-time.After(10 * time.Millisecond): // a commit that arrives later gives no signal
		case <-deadline:
			f.g.t.Fatalf("unresolved: %+v", f.Stats())
		}
	}
	f.save()
}

// save is what the checkpointer does.
func (f *following) save() {
	p, ok := f.Progress()
	if !ok {
		return
	}
	f.g.mu.Lock()
	if p.Snapshot() != "" {
		f.g.resume = &Resume{Snapshot: p.Snapshot()}
	} else if p.Commit() != 0 {
		f.g.resume = &Resume{LSN: p.LSN()}
	}
	f.g.mu.Unlock()
	f.Confirm(p)
}

// end stops it, and checks that it ends well.
func (f *following) end() {
	f.stop()
	select {
	case err := <-f.result:
		f.result <- nil
		if err != nil {
			f.g.t.Errorf("Run: %v", err)
		}
	case <-time.After(patience):
		f.g.t.Errorf("Run goes on: %+v", f.Stats())
	}
}

// left gives what has arrived beyond what was asked for, once Run has ended.
func (f *following) left() []string {
	f.end()
	for b := range f.Batches() {
		f.rest = append(f.rest, b...)
	}
	return ids(f.rest)
}

// exec runs statements in one transaction block of their own.
func (g *ground) exec(sql string) { g.t.Helper(); g.db.Exec(g.t, sql) }

func row(id string) string {
	return fmt.Sprintf(`insert into outbox (aggregate_type, aggregate_id, event_type, payload) values ('contact', '%s', 'created', '{}');`, id)
}

func TestWhatIsCommittedComesOnce(t *testing.T) {
	conform(t, func(t *testing.T, g *ground) {
		f := g.start()
		f.connected()
		g.exec(row("1"))
		g.exec("begin;" + row("ghost") + "rollback;" + row("2"))
		g.exec("begin;" + row("3") + "savepoint a;" + row("ghost") + "rollback to a; savepoint b;" + row("4") + "savepoint c;" + row("5") + "release b;" + row("6") + "commit")
		g.exec("begin; insert into outbox select * from outbox where false; commit") // writes nothing
		g.exec("begin;" + row("7") + "delete from outbox where aggregate_id = '7'; commit;" + row("8"))
		rows := f.next(6)
		for len(rows) < 8 && value(rows[len(rows)-1], "aggregate_id") != "8" {
			rows = append(rows, f.next(1)...)
		}
		got := sorted(ids(rows))
		got = slices.DeleteFunc(got, func(id string) bool { return id == "7" }) // the stream has it, the table doesn't
		equal(t, "arrived", got, []string{"1", "2", "3", "4", "5", "6", "8"})
		resolve(rows)
		f.settle()
		equal(t, "left", f.left(), nil)
		again := g.start()
		again.connected()
		insert(t, g.pool, "9")
		equal(t, "after a restart", ids(again.next(1)), []string{"9"})
	})
}

// A transaction that began first and ends last is found, also over a checkpoint and a restart.
func TestLateCommitsUnderLowIDsCome(t *testing.T) {
	conform(t, func(t *testing.T, g *ground) {
		f := g.start()
		f.connected()
		early, earlier := begin(t, g.pool), begin(t, g.pool)
		insert(t, earlier, "late 2")
		insert(t, early, "late 1")
		nested := begin2(t, early)
		insert(t, nested, "late, nested")
		commit(t, nested)
		insertEach(t, g.pool, "1", "2")
		rows := f.next(2)
		equal(t, "meanwhile", ids(rows), []string{"1", "2"})
		resolve(rows)
		f.settle()
		commit(t, early)
		rows = f.next(2)
		equal(t, "late", sorted(ids(rows)), []string{"late 1", "late, nested"})
		resolve(rows)
		f.settle()
		f.end()
		insert(t, g.pool, "3")
		commit(t, earlier)
		f = g.start()
		f.connected()
		rows = f.next(2)
		equal(t, "after a restart", sorted(ids(rows)), []string{"3", "late 2"})
		equal(t, "left", f.left(), nil)
	})
}

func TestUnresolvedRowsComeAgain(t *testing.T) {
	conform(t, func(t *testing.T, g *ground) {
		f := g.start()
		f.connected()
		insert(t, g.pool, "1")
		rows := f.next(1)
		resolve(rows)
		f.settle()
		insert(t, g.pool, "2", "3")
		rows = f.next(2)
		rows[1].Resolve()
		insert(t, g.pool, "4")
		resolve(f.next(1))
		if !f.Unresolved() {
			t.Error("all is resolved")
		}
		f.save()
		f.end()
		again := g.start()
		again.connected()
		equal(t, "again", sorted(ids(again.next(3))), []string{"2", "3", "4"})
		equal(t, "left", again.left(), nil)
	})
}

func TestBacklogOrNow(t *testing.T) {
	conform(t, func(t *testing.T, g *ground) {
		insertEach(t, g.pool, "1", "2")
		f := g.start()
		f.connected()
		insert(t, g.pool, "3")
		equal(t, "now", ids(f.next(1)), []string{"3"})
		f.end() // nothing was resolved: what it began with still counts
		f = g.start(func(o *Options) { o.Start = StartBacklog })
		f.connected()
		if g.kind.name == "stream" { // a checkpoint at 0/0 is a first start
			equal(t, "backlog", sorted(ids(f.next(3))), sequence(1, 3))
			return
		}
		equal(t, "again", ids(f.next(1)), []string{"3"})
		f.end()
		g.resume = nil
		f = g.start(func(o *Options) { o.Start = StartBacklog })
		f.connected()
		equal(t, "backlog", sorted(ids(f.next(3))), sequence(1, 3))
		equal(t, "left", f.left(), nil)
	})
}

func TestOneFollowsAtATime(t *testing.T) {
	conform(t, func(t *testing.T, g *ground) {
		leader := g.start()
		leader.connected()
		standby := g.start()
		insert(t, g.pool, "1")
		rows := leader.next(1)
		resolve(rows)
		leader.settle()
		for standby.Stats().LastError == "" {
			scalar[bool](t, g.pool, "select pg_sleep(0.01) is null")
		}
		if s := standby.Stats(); s.Connected || len(standby.acquired) > 0 {
			t.Fatalf("both follow: %+v", s)
		}
		leader.end()
		standby.connected()
		insert(t, g.pool, "2")
		equal(t, "the standby gets", ids(standby.next(1)), []string{"2"})
	})
}

// cut ends the sessions of the follower.
func (g *ground) cut() {
	g.exec(`select pg_terminate_backend(pid, 5000) from pg_stat_activity
		where datname = current_database() and application_name = 'walpost' and pid <> pg_backend_pid()`)
}

// Writers that overlap, cuts and restarts: what is committed arrives, what isn't doesn't, and what was resolved under the
// last checkpoint doesn't come again.
func TestFollowingUnderFaults(t *testing.T) {
	conform(t, func(t *testing.T, g *ground) {
		const writers, each, faults = 3, 60, 6
		var mu sync.Mutex
		committed := map[string]bool{}
		var group sync.WaitGroup
		first := g.start()
		first.connected()
		first.end()
		for w := range writers {
			group.Go(func() {
				for n := range each {
					id := fmt.Sprintf("%d-%d", w, n)
					tx := begin(t, g.pool)
					insert(t, tx, id)
					nested := begin2(t, tx)
					insert(t, nested, id+" nested")
					if n%3 == 0 {
						rollback(t, nested)
					} else {
						commit(t, nested)
					}
					scalar[bool](t, tx, "select pg_sleep(random() * 0.02) is null")
					if n%5 == 0 {
						rollback(t, tx)
						continue
					}
					commit(t, tx)
					mu.Lock()
					committed[id] = true
					if n%3 != 0 {
						committed[id+" nested"] = true
					}
					mu.Unlock()
				}
			})
		}
		arrived := map[string]int{}
		take := func(rows []Row) {
			for _, id := range ids(rows) {
				arrived[id]++
			}
			resolve(rows)
		}
		for round := range faults {
			f := g.start()
			f.connected()
			take(f.next(10))
			if round%2 == 0 {
				g.cut()
				take(f.next(20))
			}
			f.save()
			f.end()
		}
		group.Wait()
		f := g.start()
		f.connected()
		missing := func() (list []string) {
			for id := range committed {
				if arrived[id] == 0 {
					list = append(list, id)
				}
			}
			return list
		}
		for len(missing()) > 0 && !t.Failed() {
			take(f.next(1))
		}
		take(f.rest) // and the repeats of the last restart
		for f.rest = nil; f.Unresolved(); {
			select {
			case b := <-f.Batches():
				take(b)
			case <-f.Advanced():
			case <-time.After(10 * time.Millisecond): // a commit that arrives later gives no signal
			}
		}
		f.settle()
		equal(t, "left", f.left(), nil)
		again := g.start()
		again.connected()
		insert(t, g.pool, "last")
		equal(t, "after all", ids(again.next(1)), []string{"last"})
		repeats := 0
		for id, n := range arrived {
			repeats += n - 1
			if !committed[id] {
				t.Errorf("%s was rolled back and arrived", id)
			}
		}
		t.Logf("%d committed, %d repeats", len(committed), repeats)
	})
}

func TestPreparedTransactionsCome(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, map[string]string{"max_prepared_transactions": "10"})
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			db := pgtest.NewOn(t, server)
			db.Outbox(t)
			if k.ddl != "" {
				db.Exec(t, k.ddl)
			}
			g := &ground{t: t, kind: k, db: db, pool: db.Pool(t)}
			f := g.start()
			f.connected()
			prepare := func(id string) { // without the trigger: what notifies can't be prepared
				g.exec("begin; set local session_replication_role = replica;" + row(id) + "prepare transaction '" + id + "'")
			}
			prepare("kept")
			prepare("ghost")
			insert(t, g.pool, "1")
			rows := f.next(1)
			equal(t, "while prepared", ids(rows), []string{"1"})
			resolve(rows)
			f.settle()
			f.end()
			f = g.start()
			f.connected()
			g.exec("commit prepared 'kept'")
			g.exec("rollback prepared 'ghost'")
			g.exec(row("2"))
			equal(t, "after", sorted(ids(f.next(2))), []string{"2", "kept"})
			equal(t, "left", f.left(), nil)
		})
	}
}
