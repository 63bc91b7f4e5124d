package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/outbox"
)

// keeping sets how long rows stay, which a configuration can't set that short.
func keeping(d time.Duration) func(*Options) {
	return func(o *Options) { o.Config.Outbox.Retention = d }
}

func TestPrunesWhatWasResolvedARetentionAgo(t *testing.T) {
	t.Parallel()
	r := newRig(t, `
webhook "hook" {
  topics = ["*"]
  url    = "{url}/hook"
}
webhook "slow" {
  topics = ["*"]
  url    = "{url}/slow"
  when   = event.aggregate_id == "unresolved"
}
`)
	release := make(chan struct{})
	hold := r.receiver.holding(release, nil)
	r.receiver.answers(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/slow" {
			hold(w, req)
		}
	})
	r.insert(tagged("before walpost"))
	d := r.start(keeping(time.Second), func(o *Options) { o.ParkAfter = time.Hour })
	for n := range 20 {
		r.insert(tagged(fmt.Sprint(n)))
	}
	r.pruned()
	r.insert(tagged("unresolved"))
	for range 5 { // later rows are delivered, and wait for the one before them
		r.insert(tagged("behind"))
	}
	var at time.Time
	r.scan("select clock_timestamp()", nil, &at)
	r.until("select clock_timestamp() > $1::timestamptz + interval '4 seconds'", at)
	if n := r.count("public.outbox where aggregate_id <> 'another'"); n != 6 {
		t.Errorf("%d rows are left, want the unresolved one and those behind it", n)
	}
	close(release)
	r.pruned()
	d.mustStop()
	r.until(`select (counters ->> 'pruned')::int >= 27 from walpost.checkpoint`)
}

// pruned waits until all rows are gone. A snapshot in which a transaction of another test was running says little of later
// ones, and no other is taken before a row comes: so others come.
func (r *rig) pruned() {
	r.t.Helper()
	r.prunedWhere("aggregate_id <> 'another'")
}

// prunedWhere is pruned for some of the rows.
func (r *rig) prunedWhere(condition string) {
	r.t.Helper()
	for deadline := time.Now().Add(testPatience); r.count("public.outbox where "+condition) > 0; {
		if time.Now().After(deadline) {
			r.t.Fatal("the rows are never pruned")
		}
		r.insert(tagged("another"))
		var slept bool
		r.scan("select pg_sleep(0.2) is null", nil, &slept)
	}
}

func TestPrunesNothingUnlessToldTo(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	d := r.startMarked()
	d.mustStop()
	if n := r.count("walpost.horizon"); n != 0 {
		t.Errorf("%d horizons are noted without a retention", n)
	}
	if n := r.count("public.outbox"); n != 1 {
		t.Errorf("%d rows are left", n)
	}
}

// TestPrunerSaysOnceThatItMayNot: a host may keep the right to delete to itself; walpost goes on without.
func TestPrunerSaysOnceThatItMayNot(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	owner := r.db.URL
	role, url := r.db.Role(t, "replication")
	r.db.Exec(t, "create schema if not exists walpost; alter schema walpost owner to "+role)
	r.db.Exec(t, fmt.Sprintf("grant create on database %s to %s; grant select on public.outbox to %[2]s", r.db.Name, role))
	r.db.Exec(t, "create publication walpost for table public.outbox with (publish = 'insert')")
	log := newLines()
	r.db.URL = url
	d := r.start(keeping(time.Second), func(o *Options) { o.Logger = o.Logger.Output(log) })
	r.db.URL = owner
	r.insert(tagged("1"))
	r.receiver.next()
	log.await(t, "outbox rows are not pruned")
	r.insert(tagged("2")) // another horizon
	r.receiver.next()
	r.until("select count(*) > 1 from walpost.horizon")
	r.db.Exec(t, "grant delete on public.outbox to "+role)
	r.pruned()
	d.mustStop()
	if n := strings.Count(log.String(), "outbox rows are not pruned"); n != 1 {
		t.Errorf("it was said %d times:\n%s", n, log.String())
	}
}

// lines is a log that can be waited for.
type lines struct {
	mu    sync.Mutex
	text  strings.Builder
	wrote chan struct{} // capacity 1
}

func newLines() *lines { return &lines{wrote: make(chan struct{}, 1)} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	signal(l.wrote)
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await waits for a text.
func (l *lines) await(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(testPatience)
	for !strings.Contains(l.String(), text) {
		select {
		case <-l.wrote:
		case <-deadline:
			t.Fatalf("nothing says %q:\n%s", text, l.String())
		}
	}
}

// journalSQL keeps when each row was deleted, and by whom.
const journalSQL = `
create table public.journal (contact text primary key, at timestamptz not null, application text not null);
create function public.keep() returns trigger language plpgsql as $$ begin
	insert into public.journal values (old.aggregate_id, clock_timestamp(), current_setting('application_name'));
	return null;
end $$;
create trigger keep after delete on public.outbox for each row execute function public.keep()`

// resolutions are when deliveries were answered with success, by this machine's clock, which is the database's too.
type resolutions struct {
	mu sync.Mutex
	at map[arrival]time.Time
}

func (s *resolutions) note(path, contact string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := (arrival{path, contact}); s.at[k].IsZero() {
		s.at[k] = time.Now()
	}
}

// insert commits transactions of a few rows, and rolls every third one back, until stop is closed. Each is open for some
// time, and pauses before the next one.
func (w *workload) insert(ctx context.Context, r *rig, name string, open, pause time.Duration, stop <-chan struct{}) error {
	for n := 0; ; n++ {
		tx, err := r.pool.Begin(ctx)
		if err != nil {
			return err
		}
		var ids []string
		for k := range 1 + n%3 {
			id := fmt.Sprintf("%s-%d-%d", name, n, k)
			ids = append(ids, id)
			if err := outbox.Insert(ctx, tx, tagged(id)); err != nil {
				return err
			}
		}
		wait(stop, open)
		into := w.committed
		if n%3 == 2 {
			into, err = w.ghosts, tx.Rollback(ctx)
		} else {
			err = tx.Commit(ctx)
		}
		if err != nil {
			return err
		}
		w.mu.Lock()
		for _, id := range ids {
			into[id] = true
		}
		w.mu.Unlock()
		if wait(stop, pause) {
			return nil
		}
	}
}

// wait waits, and reports whether stop was closed.
func wait(stop <-chan struct{}, d time.Duration) bool {
	select {
	case <-stop:
		return true
	case <-time.After(d):
		return false
	}
}

// TestPrunesNoUnresolvedRow kills the daemon at random under load and drops its slot, with one endpoint that is slow and
// fails, while rows are deleted a second after they are resolved. The journal shows of each row that it was resolved when
// it was deleted: answered by each webhook, or in the ledger.
func TestPrunesNoUnresolvedRow(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	r := newRig(t, `
webhook "good" {
  topics = ["*"]
  url    = "{url}/good"
}
webhook "slow" {
  topics      = ["*"]
  url         = "{url}/slow"
  retry       = ["1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s"]
  concurrency = 8
  queue       = 100
}
`)
	r.db.Exec(t, journalSQL)
	book := &resolutions{at: map[arrival]time.Time{}}
	var met sync.Map
	r.receiver.answers(func(w http.ResponseWriter, req *http.Request) {
		if _, before := met.LoadOrStore(req.URL.Path+req.Header.Get("webhook-id"), true); !before && req.URL.Path == "/slow" {
			select {
			case <-time.After(50 * time.Millisecond):
			case <-req.Context().Done():
			}
			if req.Header.Get("webhook-id")[0] < '4' {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
		}
		var body struct {
			Contact struct{ ID string }
		}
		if err := json.NewDecoder(req.Body).Decode(&body); err == nil {
			book.note(req.URL.Path, body.Contact.ID)
		}
	})
	path := t.TempDir() + "/walpost.hcl"
	if err := os.WriteFile(path, []byte(r.hcl), 0o600); err != nil {
		t.Fatal(err)
	}
	d := r.start()
	r.insert(tagged("first"))
	r.marked()
	d.mustStop()
	w := &workload{committed: map[string]bool{"first": true}, ghosts: map[string]bool{}}
	stop := make(chan struct{})
	var workers sync.WaitGroup
	halt := sync.OnceFunc(func() { close(stop); workers.Wait() })
	defer halt()
	for name, times := range map[string][2]time.Duration{
		"quick": {0, 20 * time.Millisecond},
		"late":  {1200 * time.Millisecond, 500 * time.Millisecond}, // open for longer than rows stay, with low ids; nothing newer is surely resolved meanwhile
	} {
		workers.Go(func() {
			if err := w.insert(context.Background(), r, name, times[0], times[1], stop); err != nil {
				t.Errorf("workload: %v", err)
			}
		})
	}
	const rounds = 3
	for round := range rounds {
		kill := r.spawn(path, childRetention+"=1s")
		before := r.count("public.journal")
		r.until("select count(*) > $1 from public.journal", before) // it deletes
		<-time.After(time.Duration(random.IntN(600)) * time.Millisecond)
		if round == 1 {
			r.dropSlot()
			<-time.After(time.Duration(random.IntN(300)) * time.Millisecond)
		}
		kill()
		if round == 2 {
			r.dropSlot()
		}
		<-time.After(time.Duration(random.IntN(1500)) * time.Millisecond) // rows grow older than they would stay
	}
	halt()
	r.dropSlot() // once more, when most rows are deleted
	defer r.spawn(path, childRetention+"=1s")()
	r.until("select not exists (select from public.outbox) and not exists (select from walpost.incident where resolved_at is null)")
	r.until("select not exists (select from walpost.delivery where state in ('pending', 'retrying'))")
	r.checkJournal(w, book)
}

// checkJournal compares what was deleted with what was committed, and when it was resolved.
func (r *rig) checkJournal(w *workload, book *resolutions) {
	r.t.Helper()
	recorded := map[arrival]time.Time{}
	var contact, webhook, application string
	var at time.Time
	rows, _ := r.pool.Query(context.Background(), `select e.aggregate_id, d.webhook, d.created_at
		from walpost.delivery d join walpost.event e on e.id = d.event_id`)
	if _, err := pgx.ForEachRow(rows, []any{&contact, &webhook, &at}, func() error {
		recorded[arrival{"/" + webhook, contact}] = at
		return nil
	}); err != nil {
		r.t.Fatal(err)
	}
	book.mu.Lock()
	defer book.mu.Unlock()
	deleted := 0
	rows, _ = r.pool.Query(context.Background(), "select contact, at, application from public.journal")
	if _, err := pgx.ForEachRow(rows, []any{&contact, &at, &application}, func() error {
		deleted++
		if application != "walpost retention" || !w.committed[contact] {
			r.t.Errorf("%s was deleted by %s; committed: %v", contact, application, w.committed[contact])
		}
		for _, path := range []string{"/good", "/slow"} {
			k := arrival{path, contact}
			answered, noted := book.at[k], recorded[k]
			if (answered.IsZero() || answered.After(at)) && (noted.IsZero() || noted.After(at)) {
				r.t.Errorf("%v was deleted at %s: answered %s, recorded %s", k, at, answered, noted)
			}
			if answered.IsZero() {
				r.t.Errorf("%v never arrived", k)
			}
		}
		return nil
	}); err != nil {
		r.t.Fatal(err)
	}
	if deleted != len(w.committed) {
		r.t.Errorf("%d rows were deleted, %d committed", deleted, len(w.committed))
	}
	r.t.Logf("%d rows committed, %d rolled back, %d deleted; %d incidents; %d deliveries in the ledger",
		len(w.committed), len(w.ghosts), deleted, r.count("walpost.incident"), len(recorded))
}
