//go:build unix

package integrations

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/daemon"
	"github.com/walpost/walpost/internal/pgtest"
	"github.com/walpost/walpost/internal/vendormock"
	"github.com/walpost/walpost/outbox"
)

// patience bounds every wait of the tests: reaching it is a failure.
const patience = 60 * time.Second

// rig is an example that runs: a database, the daemon with the example's own walpost.hcl, and its log.
type rig struct {
	t       testing.TB
	pool    *pgxpool.Pool
	daemon  *daemon.Daemon
	cancel  context.CancelFunc
	ended   chan error
	once    sync.Once
	log     logBuffer
	secrets []string
}

// logBuffer takes the daemon's log.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// start runs an example whose variables are those of its README, but for those that are set, which lead to a mock. No
// secret may be seen when it has ended. Nothing but the name of the slot, which is unique on a server, is changed.
func start(t *testing.T, example string, set map[string]string, secrets ...string) *rig {
	t.Helper()
	db := pgtest.New(t)
	db.Outbox(t)
	set["DATABASE_URL"] = db.URL
	cfg := load(t, example, set)
	cfg.Outbox.Slot = db.Name
	r := &rig{t: t, pool: db.Pool(t), ended: make(chan error, 1), secrets: secrets}
	r.run(cfg)
	return r
}

func (r *rig) run(cfg *config.Config) {
	r.t.Helper()
	d, err := daemon.New(daemon.Options{
		Config: cfg, Load: func() (*config.Config, hcl.Diagnostics) { return cfg, nil }, Version: "test", Logger: zerolog.New(&r.log).Level(zerolog.TraceLevel),
		CheckpointEvery: 20 * time.Millisecond, ClaimEvery: 20 * time.Millisecond,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.daemon, r.cancel = d, cancel
	go func() { r.ended <- d.Run(ctx) }()
	r.t.Cleanup(func() { d.Abort(); r.stop() })
	select {
	case <-d.Ready():
	case err := <-r.ended:
		r.t.Fatalf("daemon ended: %v", err)
	case <-time.After(patience):
		r.t.Fatal("daemon isn't ready")
	}
}

// stop ends the daemon, with what runs, and looks for secrets.
func (r *rig) stop() {
	r.t.Helper()
	r.once.Do(func() {
		r.cancel()
		select {
		case err := <-r.ended:
			if err != nil {
				r.t.Errorf("daemon ended: %v", err)
			}
		case <-time.After(patience):
			r.t.Error("daemon doesn't end")
			return
		}
		r.keepsSecrets()
	})
}

// keepsSecrets looks for every secret, in the forms that it has on the wire, in the log and in all tables of the ledger.
func (r *rig) keepsSecrets() {
	r.t.Helper()
	written := map[string]string{"log": r.log.String(), "ledger": r.dump()}
	if !strings.Contains(written["log"], `"level"`) || !strings.Contains(written["ledger"], "checkpoint") {
		r.t.Error("there is no log, or nothing in the ledger, so that the search says nothing")
	}
	for place, text := range written {
		for _, secret := range r.secrets {
			for _, form := range []string{
				secret, url.QueryEscape(secret), url.PathEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)),
			} {
				if strings.Contains(text, form) {
					r.t.Errorf("the %s has a secret: %s", place, form)
				}
			}
		}
		for _, word := range []string{"api_secret", "Bearer ", "Basic ", "client_secret", "BEGIN PRIVATE KEY"} {
			if strings.Contains(text, word) {
				r.t.Errorf("the %s has %q", place, word)
			}
		}
	}
}

// dump is every row of every table of the ledger as text.
func (r *rig) dump() string {
	r.t.Helper()
	ctx := context.Background()
	rows, err := r.pool.Query(ctx, "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname = 'walpost'")
	if err != nil {
		r.t.Error(err)
		return ""
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			r.t.Error(err)
		}
		tables = append(tables, name)
	}
	if err := rows.Err(); err != nil {
		r.t.Error(err)
	}
	var all strings.Builder
	for _, table := range tables {
		var text *string
		if err := r.pool.QueryRow(ctx, "select string_agg(t::text, E'\\n') from "+table+" t").Scan(&text); err != nil {
			r.t.Error(err)
		}
		fmt.Fprintf(&all, "%s:\n", table)
		if text != nil {
			all.WriteString(*text + "\n")
		}
	}
	return all.String()
}

// insert commits events, all in one transaction.
func (r *rig) insert(events ...outbox.Event) {
	r.t.Helper()
	if err := outbox.Insert(context.Background(), r.pool, events...); err != nil {
		r.t.Fatal(err)
	}
}

// until waits until a query gives true: what it waits for is a commit of the daemon's, which gives no other signal.
func (r *rig) until(condition string, args ...any) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		var ok, slept bool
		if err := r.pool.QueryRow(context.Background(), "select "+condition, args...).Scan(&ok); err != nil {
			r.t.Fatalf("%s: %v", condition, err)
		}
		if ok {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("never true: %s %v\n%s\n%s", condition, args, r.dump(), r.log.String())
		}
		if err := r.pool.QueryRow(context.Background(), "select pg_sleep(0.01) is null").Scan(&slept); err != nil {
			r.t.Fatal(err)
		}
	}
}

// state waits until so many of a webhook's deliveries are in a state.
func (r *rig) state(webhook, state string, n int) {
	r.t.Helper()
	r.until("count(*) = $3 from walpost.delivery where webhook = $1 and state = $2", webhook, state, n)
}

// retries lets n deliveries of a webhook fail together once for each wait, after which they are sent again. It returns the
// time from the first attempt to the last.
func (r *rig) retries(webhook string, n int, vendor *vendormock.Server, waits ...time.Duration) (total time.Duration) {
	r.t.Helper()
	for i, wait := range waits {
		vendor.Next()
		r.until("count(*) = $1 from walpost.delivery where webhook = $2 and state = 'retrying' and attempts = $3", n, webhook, i+1)
		// Not a moment before.
		r.until("bool_and(due_at between walpost.now() + $1::interval - interval '5 seconds' and walpost.now() + $1::interval) from walpost.delivery "+
			"where webhook = $2 and state = 'retrying'", wait, webhook)
		total += wait + time.Second
		r.advance(total, wait+time.Second, vendor)
	}
	return total
}

// advance puts the ledger's clock ahead, so that what is due by then is sent, and the vendor's with it. A webhook that was asked to
// wait goes by the daemon's own clock, so a reload ends that.
func (r *rig) advance(total, step time.Duration, vendor *vendormock.Server) {
	r.t.Helper()
	sql := fmt.Sprintf(`create or replace function walpost.now() returns timestamptz language sql stable parallel safe
		as 'select pg_catalog.now() + interval ''%d seconds'''`, int(total.Seconds()))
	if _, err := r.pool.Exec(context.Background(), sql); err != nil {
		r.t.Fatal(err)
	}
	vendor.Advance(step)
	if err := r.daemon.Reload(context.Background()); err != nil {
		r.t.Fatal(err)
	}
}

// advanceUntil puts the clock ahead step by step until a condition holds. One step isn't enough where attempts run when
// the clock jumps: what they come to is due by the time after the jump.
func (r *rig) advanceUntil(total, step time.Duration, vendor *vendormock.Server, condition string, args ...any) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		var ok bool
		sql := "select pg_sleep(0.2) is not null and (select " + condition + ")"
		if err := r.pool.QueryRow(context.Background(), sql, args...).Scan(&ok); err != nil {
			r.t.Fatalf("%s: %v", condition, err)
		}
		if ok {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("never true: %s %v\n%s\n%s", condition, args, r.dump(), r.log.String())
		}
		total += step
		r.advance(total, step, vendor)
	}
}

// statuses are the statuses of an operation's requests so far.
func statuses(requests []*vendormock.Request) (all []int) {
	for _, r := range requests {
		all = append(all, r.Answered)
	}
	return all
}

func same[T comparable](t testing.TB, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
