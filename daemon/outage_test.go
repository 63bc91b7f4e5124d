package daemon

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/walpost/walpost/internal/pgtest"
)

// logbook keeps what a daemon says, and tells when it says more.
type logbook struct {
	t     testing.TB
	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed at the next line
}

func newLogbook(t testing.TB) *logbook { return &logbook{t: t, more: make(chan struct{})} }

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(p))
	close(l.more)
	l.more = make(chan struct{})
	return len(p), nil
}

// await waits for a line that has all the texts.
func (l *logbook) await(texts ...string) string {
	l.t.Helper()
	deadline := time.After(testPatience)
	for {
		l.mu.Lock()
		more, found := l.more, l.found(texts)
		l.mu.Unlock()
		if len(found) > 0 {
			return found[0]
		}
		select {
		case <-more:
		case <-deadline:
			l.t.Fatalf("the log never says %q:\n%s", texts, strings.Join(l.lines, ""))
		}
	}
}

// count is how many lines have the text.
func (l *logbook) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.found([]string{text}))
}

func (l *logbook) found(texts []string) (lines []string) {
	for _, line := range l.lines {
		has := true
		for _, text := range texts {
			has = has && strings.Contains(line, text)
		}
		if has {
			lines = append(lines, line)
		}
	}
	return lines
}

// outage is what may happen to the ledger while the rest of the server works. hurt and heal run as the superuser.
type outage struct {
	name       string
	says       string // in the log
	hurt, heal func(o *outageRig)
}

// outageRig is a rig whose daemon has a role of its own, which owns the ledger and nothing else.
type outageRig struct {
	*rig
	role string
	log  *logbook
	held func() // lets go of what hurt holds
}

// sql runs statements, in which ROLE is the daemon's role. It then ends the ledger's sessions, so that new ones feel it.
func sql(statements string) func(*outageRig) {
	return func(o *outageRig) {
		o.t.Helper()
		for _, statement := range strings.Split(statements, ";") {
			if _, err := o.pool.Exec(o.t.Context(), strings.ReplaceAll(statement, "ROLE", o.role)); err != nil {
				o.t.Fatalf("%s: %v", statement, err)
			}
		}
		o.scan("select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = $1 and backend_type = 'client backend'",
			[]any{o.role}, new(int))
	}
}

var outages = []outage{
	{"disk full", "53100", fillDisk, func(o *outageRig) { o.db.Exec(o.t, "drop table ballast") }},
	{
		"read-only", "25006", sql("alter role ROLE set default_transaction_read_only = on"),
		sql("alter role ROLE reset default_transaction_read_only"),
	},
	{"lock timeout", "55P03", lockLedger, func(o *outageRig) { o.held() }},
	{
		"permission revoked", "42501", sql("alter table walpost.delivery owner to postgres; revoke all on walpost.delivery from ROLE"),
		sql("alter table walpost.delivery owner to ROLE"),
	},
	{"no connection left", "53300", sql("alter role ROLE connection limit 0"), sql("alter role ROLE connection limit -1")},
}

func lockLedger(o *outageRig) {
	conn := (&pgtest.Database{URL: o.server()}).Conn(o.t)
	if _, err := conn.Exec(o.t.Context(), "begin; lock table walpost.delivery in access exclusive mode"); err != nil {
		o.t.Fatal(err)
	}
	o.held = func() {
		if _, err := conn.Exec(o.t.Context(), "commit"); err != nil {
			o.t.Fatal(err)
		}
	}
}

// fillDisk gives the deliveries a file system of their own, of a few MB, and fills it. Where we may not mount one, a trigger
// says what Postgres would.
func fillDisk(o *outageRig) {
	folder := filepath.Join(filepath.Dir(pgtest.Server(o.t).Log()), "disk_"+o.db.Name)
	owner, err := os.Stat(filepath.Dir(folder))
	if err == nil {
		err = os.Mkdir(folder, 0o700)
	}
	if err != nil {
		o.t.Fatal(err)
	}
	uid, gid := owner.Sys().(*syscall.Stat_t).Uid, owner.Sys().(*syscall.Stat_t).Gid
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, fmt.Sprintf("size=3m,uid=%d,gid=%d,mode=0700", uid, gid)); err != nil {
		o.t.Logf("no full disk, only what one says: mount: %v", err)
		o.db.Exec(o.t, `create table ballast (text text);
			create function refuse() returns trigger language plpgsql as $$ begin
				if to_regclass('ballast') is not null then
					raise exception 'could not extend file: No space left on device' using errcode = 'disk_full';
				end if;
				return new;
			end $$;
			create trigger refuse before insert on walpost.delivery for each row execute function refuse()`)
		return
	}
	o.t.Cleanup(func() {
		for _, statement := range []string{
			"drop table if exists ballast", "alter table walpost.delivery set tablespace pg_default", "drop tablespace " + o.db.Name,
		} {
			if _, err := o.pool.Exec(context.Background(), statement); err != nil {
				o.t.Error(err)
			}
		}
		if err := syscall.Unmount(folder, 0); err != nil {
			o.t.Error(err)
		}
	})
	o.db.Exec(o.t, fmt.Sprintf("create tablespace %s location '%s'", o.db.Name, folder))
	o.db.Exec(o.t, fmt.Sprintf("alter table walpost.delivery set tablespace %s; create table ballast (text text) tablespace %[1]s", o.db.Name))
	full := func(statement string) {
		var err error
		for err == nil {
			_, err = o.pool.Exec(o.t.Context(), statement)
		}
		if stateOf(err) != "53100" {
			o.t.Fatal(err)
		}
	}
	for _, rows := range []int{1000, 100, 10, 1} { // until not even one more page fits
		full(fmt.Sprintf("insert into ballast select repeat(md5(i::text), 60) from generate_series(1, %d) i", rows))
	}
	// A page that is there already takes rows without the disk.
	full(`insert into walpost.delivery (id, event_id, topic, webhook, state, due_at, created_at, updated_at, finished_at)
		values (gen_random_uuid(), 'x', 't', 'old', 'delivered', now(), now(), now(), now())`)
}

// server is the superuser's connection string.
func (o *outageRig) server() string { return pgtest.Server(o.t).URL(o.db.Name) }

func newOutageRig(t *testing.T) *outageRig {
	t.Helper()
	o := &outageRig{rig: newRig(t, `
		webhook "good" {
			topics = ["*"]
			url    = "{url}/good"
		}
		webhook "bad" {
			topics = ["*"]
			url    = "{url}/bad"
		}`), log: newLogbook(t)}
	o.receiver.answers(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	var url string
	o.role, url = o.db.Role(t, "replication")
	o.db.Exec(t, "create publication walpost for table public.outbox with (publish = 'insert')")
	o.db.Exec(t, fmt.Sprintf("grant create on database %s to %s; grant select on public.outbox to %[2]s", o.db.Name, o.role))
	o.db.URL = url + "&lock_timeout=200"
	return o
}

// Whatever happens to the ledger: endpoints that answer get their deliveries, the slot keeps what can't be recorded, and when the
// ledger is well again, all is recorded, by itself and soon.
func TestLedgerOutage(t *testing.T) {
	t.Parallel()
	for _, outage := range outages {
		t.Run(outage.name, func(t *testing.T) {
			t.Parallel()
			outage.play(t)
		})
	}
}

func (c outage) play(t *testing.T) {
	t.Helper()
	o := newOutageRig(t)
	o.start(func(options *Options) {
		options.Logger = zerolog.New(o.log)
		options.ParkAfter = time.Hour // what is late must not be what meets the outage
	})
	o.db.URL = o.server() // for what is done as superuser from here on
	o.insert(tagged("1"))
	o.arrive(2)
	o.until("select count(*) = 1 from walpost.delivery")
	o.confirmed()
	c.hurt(o)
	before := o.position()
	o.insert(tagged("2"))
	o.arrive(2)
	o.log.await("ledger can't be written", c.says)
	o.insert(tagged("3"), tagged("4"))
	o.arrive(4) // deliveries go on
	var passed bool
	o.scan("select confirmed_flush_lsn > $2::text::pg_lsn from pg_replication_slots where slot_name = $1", []any{o.db.Name, before}, &passed)
	if passed {
		t.Error("the slot has passed what is not recorded")
	}
	c.heal(o)
	healed := time.Now()
	o.log.await("ledger recovered")
	t.Logf("%s: recovered %s after it was over", c.name, time.Since(healed).Round(time.Millisecond))
	o.until("select count(*) = 4 from walpost.delivery where webhook = 'bad' and state = 'retrying' and attempts = 1")
	o.confirmed()
	if n := o.log.count("ledger can't be written"); n > 4 { // for sessions that were terminated, and for the true cause
		t.Errorf("the log tells %d times that the ledger can't be written", n)
	}
	if n := o.log.count("ledger recovered"); n != 1 {
		t.Errorf("the log tells %d times that the ledger recovered", n)
	}
	o.receiver.none() // nothing was sent twice
}

// arrive waits for n requests.
func (o *outageRig) arrive(n int) {
	o.t.Helper()
	for range n {
		o.receiver.next()
	}
}

func (o *outageRig) position() (lsn string) {
	o.t.Helper()
	o.scan("select pg_current_wal_lsn()::text", nil, &lsn)
	return lsn
}

// confirmed waits until the slot has passed all that was committed so far.
func (o *outageRig) confirmed() {
	o.t.Helper()
	o.until("select confirmed_flush_lsn >= $2::text::pg_lsn from pg_replication_slots where slot_name = $1", o.db.Name, o.position())
}

// A long outage fills the buffers, and then the reader waits. It still lets the host shut down, and goes on by itself.
func TestLongOutageFillsBuffersAndNoMore(t *testing.T) {
	t.Parallel()
	o := newOutageRig(t)
	const limit = 1 << 20
	d := o.start(func(options *Options) {
		options.Logger, options.MemoryLimit = zerolog.New(o.log), limit
	})
	o.db.URL = o.server()
	lockLedger(o)
	const events = 1600 // of 20 kB: more than all buffers hold
	_, err := o.pool.Exec(context.Background(), `insert into public.outbox (aggregate_type, aggregate_id, event_type, payload)
		select 'contact', i, 'contact.tagged', jsonb_build_object('text', repeat('x', 20000)) from generate_series(1, $1::int) i`, events)
	if err != nil {
		t.Fatal(err)
	}
	o.log.await("ledger can't be written", "55P03")
	o.log.await("nobody takes the batches") // the reader has let go of the connection
	if rows := d.Status().Stream.Rows; rows >= events {
		t.Errorf("%d rows were read: nothing bounds them", rows)
	}
	o.held()
	o.log.await("ledger recovered")
	o.until("select count(*) = $1 from walpost.delivery where webhook = 'bad'", events)
	o.confirmed()
}
