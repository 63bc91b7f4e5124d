package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/outbox"
)

// replicasLong is the variable that makes TestReplicas kill so many leaders, and ask for the times that walpost promises.
const replicasLong = "REPLICAS_KILLS"

// longestPause is what may pass between a COMMIT and its delivery while the leader changes in order or by a kill.
const longestPause = 5 * time.Second

const replicasHCL = `
webhook "good" {
  topics = ["*"]
  url    = "{url}/good"
  retry  = ["1s", "1s", "1s"] # who was frozen while it sent takes that for a timeout
}
webhook "slow" {
  topics      = ["*"]
  url         = "{url}/slow"
  concurrency = 64
  retry       = ["1s", "1s", "1s"]
}
webhook "flaky" {
  topics = ["*"]
  url    = "{url}/flaky"
  retry  = ["1s", "1s", "1s"]
}
`

// TestReplicas runs two daemons in processes of their own under load: the leader is killed again and again, frozen and
// woken, and both are restarted one after the other. Nothing may be lost or invented, nothing may be owed for nothing, and
// a restart in order repeats nothing.
func TestReplicas(t *testing.T) {
	t.Parallel()
	kills, restarts, lease, long := 2, 2, 3*time.Second, false
	if text := os.Getenv(replicasLong); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		kills, restarts, lease, long = n, 10, 10*time.Second, true
	}
	c := newCluster(t, lease)
	c.spawn()
	c.spawn()
	c.awaitPair()
	c.until("select exists (select from walpost.checkpoint)") // there is a slot: what is committed from now on is in it
	stop := c.load()
	defer stop()

	c.phase("kill -9")
	var replaced []time.Duration
	for range kills {
		before := c.awaitPair()
		before.kill()
		at := time.Now()
		took := c.awaitCommitted(at).Sub(at)
		if long && took > longestPause {
			t.Errorf("a killed leader was replaced after %s; between two commits passed up to %s;\n%s", took, c.longestGap(at), c.logs(at))
		}
		replaced = append(replaced, took)
		c.spawn()
	}
	c.report("kill -9", replaced)

	c.phase("SIGSTOP")
	frozen := c.awaitPair()
	c.frozen = frozen.name
	frozen.signal(syscall.SIGSTOP)
	at := time.Now()
	c.report("SIGSTOP", []time.Duration{c.awaitCommitted(at).Sub(at)})
	frozen.signal(syscall.SIGCONT)
	c.awaitPair() // it stands by

	c.phase("rolling restart")
	replaced = nil
	for range restarts {
		leader := c.awaitPair()
		at := time.Now()
		leader.signal(syscall.SIGTERM)
		replaced = append(replaced, c.awaitCommitted(at).Sub(at))
		c.spawn()
		leader.mustEnd()
	}
	c.report("rolling restart", replaced)
	c.awaitPair()
	stop()
	c.awaitAll()
	c.check(kills, restarts, long)
}

// cluster is two daemons, their load, and what arrived.
type cluster struct {
	*rig
	lease    time.Duration
	folder   string // of the configuration and the logs
	book     *ledger.Ledger
	mu       sync.Mutex
	replicas map[string]*replica // by name
	commits  []commit            // in their order
	ghosts   int                 // events that were rolled back
	arrived  map[arrival][]landing
	failed   map[string]bool // ids that "flaky" has refused once
	current  string          // phase
	settled  int             // so many of the commits have arrived at "good"
	frozen   string          // the replica that was
	landed   chan struct{}   // capacity 1
}

type commit struct {
	contact string
	at      time.Time // when COMMIT had returned
}

// landing is a request that was answered with success.
type landing struct {
	id, sender, phase string
	at                time.Time
}

func newCluster(t *testing.T, lease time.Duration) *cluster {
	t.Helper()
	c := &cluster{
		rig: newRig(t, replicasHCL), lease: lease, folder: t.TempDir(),
		replicas: map[string]*replica{}, arrived: map[arrival][]landing{}, failed: map[string]bool{}, landed: make(chan struct{}, 1),
	}
	if err := os.WriteFile(c.config(), []byte(c.hcl), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if c.book, err = ledger.Open(t.Context(), ledger.Options{ConnString: c.db.URL}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.book.Close)
	c.receiver.answers(c.answer)
	return c
}

func (c *cluster) config() string { return filepath.Join(c.folder, "walpost.hcl") }

// answer is that of all endpoints: one event in fifty takes a while at "slow", one in four fails at first at "flaky".
func (c *cluster) answer(w http.ResponseWriter, req *http.Request) {
	var body struct{ Contact struct{ ID string } }
	text, err := io.ReadAll(req.Body)
	if err == nil {
		err = json.Unmarshal(text, &body)
	}
	if err != nil {
		return // the sender was killed while it sent
	}
	n, _ := strconv.Atoi(body.Contact.ID)
	id := req.Header.Get("webhook-id")
	switch {
	case req.URL.Path == "/slow" && n%50 == 0:
		select {
		case <-time.After(2 * time.Second):
		case <-req.Context().Done():
			return
		case <-c.receiver.closed:
			return
		}
	case req.URL.Path == "/flaky" && n%4 == 0:
		c.mu.Lock()
		before := c.failed[id]
		c.failed[id] = true
		c.mu.Unlock()
		if !before {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k := arrival{req.URL.Path, body.Contact.ID}
	c.arrived[k] = append(c.arrived[k], landing{
		id: id, sender: strings.TrimPrefix(req.UserAgent(), "walpost/"), phase: c.current, at: time.Now(),
	})
	signal(c.landed)
}

// ghostly marks the ids of events that are rolled back, every tenth.
const ghostly = "ghost-"

// load commits an event every few milliseconds, and now and then rolls one back, until the result is called.
func (c *cluster) load() (stop func()) {
	c.t.Helper()
	conn, err := pgx.Connect(c.t.Context(), c.db.URL)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx := c.t.Context()
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer conn.Close(ctx) //nolint:errcheck // nothing is under way
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for n := 1; ; n++ {
			id := strconv.Itoa(n)
			err := outbox.Insert(ctx, conn, tagged(id))
			if err == nil && n%10 == 0 {
				err = c.rollBack(ctx, conn, id)
			}
			if err != nil {
				c.t.Errorf("insert: %v", err)
				return
			}
			c.mu.Lock()
			c.commits = append(c.commits, commit{id, time.Now()})
			c.mu.Unlock()
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	}()
	return sync.OnceFunc(func() { close(done); <-ended })
}

func (c *cluster) rollBack(ctx context.Context, conn *pgx.Conn, id string) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	c.ghosts++ // read when the load has ended
	return errors.Join(outbox.Insert(ctx, tx, tagged(ghostly+id)), tx.Rollback(ctx))
}

// phase begins the next one, once all that was committed before has arrived where nothing is refused.
func (c *cluster) phase(name string) {
	c.t.Helper()
	deadline := time.After(testPatience)
	for !c.begun(name) {
		select {
		case <-c.landed:
		case <-deadline:
			c.t.Fatalf("%s doesn't begin: deliveries of before are missing\n%s", name, c.owed())
		}
	}
}

func (c *cluster) begun(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.settled < len(c.commits) && len(c.arrived[arrival{"/good", c.commits[c.settled].contact}]) > 0 {
		c.settled++
	}
	if c.settled < len(c.commits) {
		return false
	}
	c.current = name
	return true
}

// report prints how long changes of the leader took.
func (c *cluster) report(what string, times []time.Duration) {
	c.t.Helper()
	slices.Sort(times)
	c.t.Logf("%s: %d times; delivered again after %s at the median, %s at most", what, len(times),
		times[len(times)/2].Round(time.Millisecond), times[len(times)-1].Round(time.Millisecond))
}

// check asks for the invariants and prints the figures.
func (c *cluster) check(kills, restarts int, long bool) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	repeats, senders, pauses := map[string]int{}, map[string]int{}, map[string]time.Duration{}
	requests, ghosts := 0, 0
	for k, landings := range c.arrived {
		if strings.HasPrefix(k.contact, ghostly) {
			ghosts++
			c.t.Errorf("%v arrived and was rolled back", k)
		}
		for i, l := range landings {
			requests++
			senders[l.sender]++
			if l.id != landings[0].id {
				c.t.Errorf("%v arrived as %s and as %s", k, landings[0].id, l.id)
			}
			if i > 0 {
				repeats[landings[i-1].phase]++ // when it had succeeded, and that was forgotten
				if l.sender == c.frozen && l.phase != "kill -9" && landings[i-1].sender != c.frozen {
					repeats["by who woke after SIGSTOP"]++
				}
			}
		}
	}
	for _, commit := range c.commits {
		first := c.arrived[arrival{"/good", commit.contact}][0]
		pauses[first.phase] = max(pauses[first.phase], first.at.Sub(commit.at))
	}
	var epochs int
	c.scan("select epoch from walpost.checkpoint", nil, &epochs)
	if n := c.count("walpost.incident"); n > 0 {
		c.t.Errorf("%d incidents, and nothing was lost", n)
	}
	c.t.Logf("%d events, %d rolled back; %d deliveries in %d requests: lost 0, ghosts %d; repeats by phase %v; longest COMMIT to delivery by phase %v; %d epochs",
		len(c.commits), c.ghosts, len(c.arrived), requests, ghosts, repeats, pauses, epochs)
	c.t.Logf("requests by daemon: %v", senders)
	// A machine that stands still for longer than a lease changes leaders, too.
	if expected := 1 + kills + 1 + restarts; epochs == expected && repeats["rolling restart"] > 0 {
		c.t.Errorf("%d repeats in a restart in order", repeats["rolling restart"])
	}
	if pause := pauses["rolling restart"]; long && pause > longestPause {
		c.t.Errorf("deliveries paused for %s in a rolling restart", pause)
	}
}
