package daemon

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
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
}
webhook "slow" {
  topics      = ["*"]
  url         = "{url}/slow"
  concurrency = 64
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
		replaced = append(replaced, c.awaitCommitted(at).Sub(at))
		c.spawn()
	}
	c.report("kill -9", replaced)
	if worst := slices.Max(replaced); long && worst > longestPause {
		t.Errorf("a killed leader was replaced after %s", worst)
	}

	c.phase("SIGSTOP")
	frozen := c.awaitPair()
	c.frozen = frozen.name
	frozen.signal(syscall.SIGSTOP)
	at := time.Now()
	c.report("SIGSTOP", []time.Duration{c.awaitCommitted(at).Sub(at)})
	frozen.signal(syscall.SIGCONT)
	c.awaitPair() // it stands by

	c.phase("rolling restart")
	for range restarts {
		leader := c.awaitPair()
		at := time.Now()
		leader.signal(syscall.SIGTERM)
		c.report("rolling restart", []time.Duration{c.awaitCommitted(at).Sub(at)})
		c.spawn()
		leader.mustEnd()
	}
	c.awaitPair()
	stop()
	c.awaitAll()
	c.check(kills, restarts, long)
}

// cluster is two daemons, their load, and what arrived.
type cluster struct {
	*rig
	lease    time.Duration
	path     string
	book     *ledger.Ledger
	mu       sync.Mutex
	replicas map[string]*replica // by name
	commits  []commit            // in their order
	arrived  map[arrival][]landing
	failed   map[string]bool // ids that "flaky" has refused once
	current  string          // phase
	frozen   string          // the replica that was
	phases   []span
	landed   chan struct{} // capacity 1
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

type span struct {
	phase string
	from  time.Time
}

func newCluster(t *testing.T, lease time.Duration) *cluster {
	t.Helper()
	c := &cluster{
		rig: newRig(t, replicasHCL), lease: lease, path: t.TempDir() + "/walpost.hcl",
		replicas: map[string]*replica{}, arrived: map[arrival][]landing{}, failed: map[string]bool{}, landed: make(chan struct{}, 1),
	}
	if err := os.WriteFile(c.path, []byte(c.hcl), 0o600); err != nil {
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

// load commits an event every few milliseconds until the result is called.
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
			if err := outbox.Insert(ctx, conn, tagged(id)); err != nil {
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

func (c *cluster) phase(name string) {
	c.awaitCommitted(time.Now()) // what was committed before it has arrived, unless it was refused
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = name
	c.phases = append(c.phases, span{name, time.Now()})
}

// awaitPair waits for a leader and a standby, and gives the leader.
func (c *cluster) awaitPair() *replica {
	c.t.Helper()
	deadline := time.Now().Add(testPatience)
	for {
		peers, err := c.book.Peers(c.t.Context(), c.db.Name)
		if err != nil {
			c.t.Fatal(err)
		}
		if len(peers) == 2 && peers[0].Leads {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.replicas[peers[0].Name]
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("no leader and standby: %+v", peers)
		}
		var slept bool
		c.scan("select pg_sleep(0.02) is null", nil, &slept)
	}
}

// awaitCommitted waits until something that was committed after the given time is delivered, and gives the time.
func (c *cluster) awaitCommitted(after time.Time) time.Time {
	c.t.Helper()
	deadline := time.After(testPatience)
	for {
		if at, ok := c.firstAfter(after); ok {
			return at
		}
		select {
		case <-c.landed:
		case <-deadline:
			c.t.Fatal("nothing is delivered any more")
		}
	}
}

func (c *cluster) firstAfter(after time.Time) (at time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, commit := range c.commits {
		if commit.at.After(after) {
			if landings := c.arrived[arrival{"/good", commit.contact}]; len(landings) > 0 {
				return landings[0].at, true
			}
		}
	}
	return at, false
}

// awaitAll waits until every delivery has arrived and none is owed.
func (c *cluster) awaitAll() {
	c.t.Helper()
	deadline := time.After(testPatience)
	for {
		c.mu.Lock()
		var missing []arrival
		for _, commit := range c.commits {
			for _, webhook := range []string{"/good", "/slow", "/flaky"} {
				if k := (arrival{webhook, commit.contact}); len(c.arrived[k]) == 0 {
					missing = append(missing, k)
				}
			}
		}
		c.mu.Unlock()
		if len(missing) == 0 {
			break
		}
		select {
		case <-c.landed:
		case <-deadline:
			c.t.Fatalf("%d deliveries are lost: %v …", len(missing), missing[:min(len(missing), 10)])
		}
	}
	c.until("select not exists (select from walpost.delivery where state <> 'delivered')")
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
	requests := 0
	for k, landings := range c.arrived {
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
		phase := ""
		for _, p := range c.phases {
			if !p.from.After(commit.at) {
				phase = p.phase
			}
		}
		pauses[phase] = max(pauses[phase], c.arrived[arrival{"/good", commit.contact}][0].at.Sub(commit.at))
	}
	var epochs int
	c.scan("select epoch from walpost.checkpoint", nil, &epochs)
	c.t.Logf("%d events, %d deliveries in %d requests; repeats by phase %v; longest COMMIT to delivery by phase %v; %d epochs",
		len(c.commits), len(c.arrived), requests, repeats, pauses, epochs)
	c.t.Logf("requests by daemon: %v", senders)
	// A machine that stands still for longer than a lease changes leaders, too.
	if expected := 1 + kills + 1 + restarts; epochs == expected && repeats["rolling restart"] > 0 {
		c.t.Errorf("%d repeats in a restart in order", repeats["rolling restart"])
	}
	if pause := pauses["rolling restart"]; long && pause > longestPause {
		c.t.Errorf("deliveries paused for %s in a rolling restart", pause)
	}
}

// replica is a daemon in a process of its own.
type replica struct {
	t     testing.TB
	name  string
	cmd   *exec.Cmd
	ended chan error
}

// spawn starts the next daemon.
func (c *cluster) spawn() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	name := fmt.Sprintf("r%d", len(c.replicas)+1)
	r := &replica{t: c.t, name: name, cmd: exec.Command(os.Args[0]), ended: make(chan error, 1)}
	r.cmd.Env = append(os.Environ(), childConfig+"="+c.path, childName+"="+name, childLease+"="+c.lease.String(), "DATABASE_URL="+c.db.URL)
	r.cmd.Stderr = os.Stderr
	if err := r.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() { r.ended <- r.cmd.Wait() }()
	c.t.Cleanup(r.kill)
	c.replicas[name] = r
}

func (r *replica) signal(s syscall.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Errorf("send %v: %v", s, err)
	}
}

// kill ends the process, if it hasn't ended.
func (r *replica) kill() {
	_ = r.cmd.Process.Kill()
	err := <-r.ended
	r.ended <- err
}

// mustEnd waits for an end in order.
func (r *replica) mustEnd() {
	r.t.Helper()
	select {
	case err := <-r.ended:
		r.ended <- err
		if err != nil {
			r.t.Errorf("it ended with %v", err)
		}
	case <-time.After(testPatience):
		r.t.Error("it doesn't end")
	}
}
