package daemon

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	ossignal "os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/outbox"
)

const (
	// childConfig is the variable that makes this test's program run a daemon, to be killed.
	childConfig = "WALPOST_TEST_CHILD_CONFIG"
	// childRetention says for how long that daemon keeps outbox rows; "": for ever.
	childRetention = "WALPOST_TEST_CHILD_RETENTION"
	// childName is what it is called, "" by default, and childLease its lease.
	childName  = "WALPOST_TEST_CHILD_NAME"
	childLease = "WALPOST_TEST_CHILD_LEASE"
	// childLog is the file that takes all of its log; without, its errors go where ours do.
	childLog = "WALPOST_TEST_CHILD_LOG"
)

// child runs a daemon until it is killed or, in order, until SIGTERM, if this process was started for that.
func child() bool {
	path := os.Getenv(childConfig)
	if path == "" {
		return false
	}
	log := zerolog.New(os.Stderr).Level(zerolog.ErrorLevel)
	if path := os.Getenv(childLog); path != "" {
		file, err := os.Create(path)
		if err != nil {
			log.Fatal().Err(err).Msg("log")
		}
		log = zerolog.New(file).Level(zerolog.InfoLevel).With().Timestamp().Logger()
	}
	cfg, diagnostics := config.Load(path)
	if diagnostics.HasErrors() {
		log.Fatal().Err(diagnostics).Msg("configuration")
	}
	if text := os.Getenv(childRetention); text != "" {
		keep, err := time.ParseDuration(text)
		if err != nil {
			log.Fatal().Err(err).Msg("retention")
		}
		cfg.Outbox.Retention = keep
	}
	lease, _ := time.ParseDuration(os.Getenv(childLease)) // 0: the default
	name := os.Getenv(childName)
	d, err := New(Options{
		Config: cfg, Name: name, Version: cmp.Or(name, "test"), Logger: log, Lease: lease,
		ParkAfter: 300 * time.Millisecond, CheckpointEvery: 20 * time.Millisecond,
	})
	ctx, stop := ossignal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err == nil {
		err = d.Run(ctx)
	}
	if ctx.Err() != nil && err == nil {
		return true
	}
	log.Fatal().Err(err).Msg("the daemon ended before it was killed")
	return true
}

// workload commits and rolls back events concurrently, and keeps which is which.
type workload struct {
	mu                sync.Mutex
	committed, ghosts map[string]bool
}

// run inserts until stop is closed, in transactions of one to twenty rows; a fifth of them rolls back.
func (w *workload) run(ctx context.Context, url string, worker int, seed uint64, stop <-chan struct{}) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing is under way
	random := rand.New(rand.NewPCG(seed, uint64(worker)))
	for n := 0; ; {
		select {
		case <-stop:
			return nil
		default:
		}
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		var ids []string
		for range 1 + random.IntN(20) {
			n++
			id := fmt.Sprintf("%d-%d", worker, n)
			ids = append(ids, id)
			if err := outbox.Insert(ctx, tx, tagged(id)); err != nil {
				return err
			}
		}
		into := w.committed
		if random.IntN(5) == 0 {
			into = w.ghosts
			err = tx.Rollback(ctx)
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
	}
}

// TestKilledAtRandomLosesNothing kills the daemon with SIGKILL at random points under load, again and again, and then
// checks the invariants: every committed row is delivered at least once, no rolled-back row ever is, and repeats carry
// the same id.
func TestKilledAtRandomLosesNothing(t *testing.T) {
	t.Parallel()
	killAtRandom(t, 8, func(*rig) {})
}

// killAtRandom is the test on ground that was prepared.
func killAtRandom(t *testing.T, kills int, prepare func(*rig)) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	r := newRig(t, `
webhook "good" {
  topics = ["*"]
  url    = "{url}/good"
}
webhook "flaky" {
  topics      = ["*"]
  url         = "{url}/flaky"
  retry       = ["1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s"]
  concurrency = 4
  queue       = 50
}
`)
	var failed sync.Map // delivery ids that were answered once; a quarter of them first with 500
	r.receiver.answers(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/flaky" {
			id := req.Header.Get("webhook-id")
			if _, before := failed.LoadOrStore(id, true); !before && id[0] < '4' {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}
	})
	prepare(r)
	path := t.TempDir() + "/walpost.hcl"
	if err := os.WriteFile(path, []byte(r.hcl), 0o600); err != nil {
		t.Fatal(err)
	}
	r.start().mustStop() // makes the slot: what is committed before it isn't ours
	w := &workload{committed: map[string]bool{}, ghosts: map[string]bool{}}
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for worker := range 3 {
		workers.Go(func() {
			if err := w.run(t.Context(), r.db.URL, worker, seed, stop); err != nil {
				t.Errorf("workload: %v", err)
			}
		})
	}
	book := &arrivals{t: t, ids: map[arrival]string{}}
	for range kills {
		kill := r.spawn(path)
		book.drain(r.receiver)
		book.take(r.receiver.next()) // it delivers
		<-time.After(time.Duration(random.IntN(600)) * time.Millisecond)
		kill()
	}
	close(stop)
	workers.Wait()
	kill := r.spawn(path)
	defer kill()
	for len(book.ids) < 2*len(w.committed) && !t.Failed() {
		book.take(r.receiver.next())
	}
	r.until("select not exists (select from walpost.delivery where state in ('pending', 'retrying'))")
	book.drain(r.receiver)
	for k := range book.ids {
		if w.ghosts[k.contact] {
			t.Errorf("%s arrived at %s, and was rolled back", k.contact, k.path)
		}
	}
	if n := r.count("walpost.delivery where state <> 'delivered'"); n != 0 {
		t.Errorf("%d deliveries in the ledger aren't delivered", n)
	}
	var skipped string
	r.scan("select counters->>'duplicates' from walpost.checkpoint", nil, &skipped)
	t.Logf("%d kills; %d rows committed, %d rolled back; %d arrivals of %d deliveries; %s repeats not sent as the ledger had them",
		kills, len(w.committed), len(w.ghosts), book.count, len(book.ids), skipped)
}

// arrival is what must arrive: a row at a webhook.
type arrival struct{ path, contact string }

// arrivals checks what arrives: each with the same id whenever it does.
type arrivals struct {
	t     testing.TB
	ids   map[arrival]string
	count int
}

func (a *arrivals) take(got request) {
	a.t.Helper()
	a.count++
	contact, _ := got.json(a.t)["contact"].(map[string]any)
	k := arrival{got.path, fmt.Sprint(contact["id"])}
	if before, ok := a.ids[k]; ok && before != got.id {
		a.t.Errorf("%v arrived as %s and as %s", k, before, got.id)
	}
	a.ids[k] = got.id
}

func (a *arrivals) drain(r *receiver) {
	for len(r.got) > 0 {
		a.take(<-r.got)
	}
}

// spawn starts a daemon in a process of its own; the function kills it with SIGKILL.
func (r *rig) spawn(path string, env ...string) (kill func()) {
	r.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), childConfig+"="+path, "DATABASE_URL="+r.db.URL), env...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	return sync.OnceFunc(func() {
		if err := cmd.Process.Kill(); err != nil {
			r.t.Error(err)
		}
		_ = cmd.Wait() // says that it was killed
	})
}
