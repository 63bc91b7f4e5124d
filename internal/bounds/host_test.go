//go:build unix

package bounds

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/internal/pgembed"
	"github.com/walpost/walpost/internal/pgtest"
)

// newHost is a server of the test's own, for what is measured of the whole server.
func newHost(t *testing.T) (*pgembed.Server, *pgtest.Database) {
	t.Helper()
	server := pgtest.Start(t, nil)
	db := pgtest.NewOn(t, server)
	db.Outbox(t)
	return server, db
}

// value asks for one value.
func value[T any](t *testing.T, conn *pgx.Conn, sql string, args ...any) (v T) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// until asks again and again until the answer is true, and gives how long that took.
func until(t *testing.T, conn *pgx.Conn, sql string, args ...any) time.Duration {
	t.Helper()
	for begin := time.Now(); ; {
		if value[bool](t, conn, sql, args...) {
			return time.Since(begin)
		}
		if time.Since(begin) > patience() {
			t.Fatalf("never true: %s", sql)
		}
		value[bool](t, conn, "select pg_sleep(0.05) is null")
	}
}

// progress is where a server was at a time, and how far a slot had it confirmed.
type progress struct {
	at                 time.Time
	current, confirmed uint64
}

// retained is the longest that WAL was kept: at each moment, how long ago the confirmed position was the current one.
func retained(samples []progress) (longest time.Duration) {
	made := 0 // the first sample at or above the confirmed position
	for _, s := range samples {
		for samples[made].current < s.confirmed {
			made++
		}
		longest = max(longest, s.at.Sub(samples[made].at))
	}
	return longest
}

// An endpoint that never answers keeps WAL from being confirmed until its deliveries are late, and no longer.
func TestRetainedWALWithDeadEndpoint(t *testing.T) {
	t.Parallel()
	server, db := newHost(t)
	hole := newBlackHole(t)
	run(t, db, fmt.Sprintf("webhook \"hole\" {\n topics = [\"*\"]\n url = %q\n}\n", hole.url))
	conn := db.Conn(t)
	const pause = 20 * time.Millisecond
	lasts, bound := scaled(90*time.Second, time.Second), 15*time.Second
	var samples []progress
	sample := func() uint64 {
		s := progress{at: time.Now()}
		err := conn.QueryRow(t.Context(), `select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint, pg_wal_lsn_diff(confirmed_flush_lsn, '0/0')::bigint
			from pg_replication_slots where slot_name = $1`, db.Name).Scan(&s.current, &s.confirmed)
		if err != nil {
			t.Fatal(err)
		}
		samples = append(samples, s)
		return s.current
	}
	var events int
	for begin := time.Now(); time.Since(begin) < lasts; events += 10 {
		if _, err := conn.Exec(t.Context(), insertSQL, 10); err != nil {
			t.Fatal(err)
		}
		sample()
		value[bool](t, conn, "select pg_sleep($1) is null", pause.Seconds())
	}
	last := sample()
	for begin := time.Now(); samples[len(samples)-1].confirmed < last; {
		if time.Since(begin) > patience() {
			t.Fatal("the last events are never confirmed")
		}
		value[bool](t, conn, "select pg_sleep($1) is null", pause.Seconds())
		sample()
	}
	longest := retained(samples)
	t.Logf("%d events in %s on Postgres %s: WAL was retained for %s at most", events, lasts, server.Version(), longest.Round(10*time.Millisecond))
	// A machine that is busy with other tests is late with everything.
	if limit := scaled(bound, 3*bound); longest > limit {
		t.Errorf("WAL was retained for %s, which is above %s", longest, limit)
	}
}

// WAL of others passes the slot of an idle outbox, and walpost writes nothing for it.
func TestIdleOutboxRetainsNoWAL(t *testing.T) {
	t.Parallel()
	server, db := newHost(t)
	good := newCounter(t)
	run(t, db, fmt.Sprintf("webhook \"good\" {\n topics = [\"*\"]\n url = %q\n}\n", good.url))
	conn := db.Conn(t)
	if _, err := conn.Exec(t.Context(), insertSQL, 1); err != nil {
		t.Fatal(err)
	}
	good.await(t, 1)
	confirmed := "select confirmed_flush_lsn >= $2::text::pg_lsn from pg_replication_slots where slot_name = $1"
	until(t, conn, confirmed, db.Name, value[string](t, conn, "select pg_current_wal_lsn()::text"))
	const writesSQL = `select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint from pg_stat_user_tables where schemaname = 'walpost'`
	until(t, conn, "select updated_at < now() - interval '2 seconds' from walpost.checkpoint where slot = $1", db.Name)
	before := value[int64](t, conn, writesSQL)

	traffic := scaled(200, 24)
	const trafficSQL = "insert into traffic select repeat(md5(i::text), 30) from generate_series(1, $1::int) i"
	for _, name := range []string{db.Name, "postgres"} { // beside the outbox, and in another database
		other, err := pgx.Connect(t.Context(), server.URL(name))
		if err != nil {
			t.Fatal(err)
		}
		_, err = other.Exec(t.Context(), "create table traffic (text text)")
		for range traffic / 2 { // one MB each
			if err == nil {
				_, err = other.Exec(t.Context(), trafficSQL, 1000)
			}
		}
		if err = errors.Join(err, other.Close(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	if !full() { // what the server does every 15 s: only behind it may a slot's beginning move
		for range 2 {
			if _, err := conn.Exec(t.Context(), "checkpoint"); err != nil {
				t.Fatal(err)
			}
		}
	}
	const retainedSQL = "select pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint from pg_replication_slots where slot_name = $1"
	atMost := int64(scaled(32<<20, 4<<20))
	took := until(t, conn, "select ("+retainedSQL+") < $2::bigint", db.Name, atMost)
	kept, wrote := value[int64](t, conn, retainedSQL, db.Name), value[int64](t, conn, writesSQL)-before
	t.Logf("beside %d MB of other traffic: %.1f MB of WAL are retained %s after its end, walpost wrote %d rows",
		traffic, float64(kept)/1e6, took.Round(100*time.Millisecond), wrote)
	if took > time.Minute {
		t.Errorf("it took %s", took)
	}
	if wrote != 0 {
		t.Errorf("walpost wrote %d rows on an idle outbox", wrote)
	}
}

// The host shuts down while nothing of walpost's works: endpoints that never answer, a flood, a locked ledger.
func TestHostStopsFastWhileEverythingFails(t *testing.T) {
	t.Parallel()
	server, db := newHost(t)
	hole := newBlackHole(t)
	walpost := *db
	walpost.URL += scaled("", "&lock_timeout=300")
	p := run(t, &walpost, fmt.Sprintf("webhook \"hole\" {\n topics = [\"*\"]\n url = %q\n}\n", hole.url))
	stop := func(when string, before func()) {
		conn := db.Conn(t)
		if _, err := conn.Exec(t.Context(), "begin; lock table walpost.event, walpost.delivery, walpost.checkpoint in access exclusive mode"); err != nil {
			t.Fatal(err)
		}
		db.Exec(t, insertSQL, scaled(200_000, 20_000))
		before()
		if err := server.Restart(context.WithoutCancel(t.Context()), pgembed.Fast); err != nil {
			t.Fatal(err)
		}
		took := shutdownTime(t, server.Log())
		t.Logf("pg_ctl stop -m fast, %s: %s on Postgres %s", when, took, server.Version())
		if limit := scaled(5*time.Second, 9*time.Second); took > limit {
			t.Errorf("the host took %s to shut down", took)
		}
	}
	stop("with the ledger's writer stuck", func() { p.await(regexp.MustCompile("ledger can't be written.*lock|lock.*ledger can't be written")) })
	p.await(regexp.MustCompile("replication recovered")) // by itself, once the host is back
	stop("just after the flood", func() {})
}

// shutdownTime reads from the server's log how long its latest fast shutdown took.
func shutdownTime(t *testing.T, log string) time.Duration {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	at := func(what string) time.Time {
		all := regexp.MustCompile(`(?m)^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) .*`+what).FindAllSubmatch(text, -1)
		if len(all) == 0 {
			t.Fatalf("the server's log doesn't say %q", what)
		}
		when, err := time.Parse("2006-01-02 15:04:05.000", string(all[len(all)-1][1]))
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	return at("database system is shut down").Sub(at("received fast shutdown request"))
}
