package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

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
	missing := c.missing(c.expected())
	for len(missing) > 0 {
		select {
		case <-c.landed:
			missing = c.missing(missing)
		case <-deadline:
			c.t.Fatalf("%d deliveries are lost: %v …\n%s", len(missing), missing[:min(len(missing), 10)], c.owed())
		}
	}
	c.awaitNothingOwed()
}

// expected are the deliveries of what was committed.
func (c *cluster) expected() (all []arrival) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, commit := range c.commits {
		for _, webhook := range []string{"/good", "/slow", "/flaky"} {
			all = append(all, arrival{webhook, commit.contact})
		}
	}
	return all
}

// missing are those that have not arrived.
func (c *cluster) missing(of []arrival) []arrival {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(of, func(k arrival) bool { return len(c.arrived[k]) > 0 })
}

// awaitNothingOwed waits until no delivery is owed, and tells those that stay.
func (c *cluster) awaitNothingOwed() {
	c.t.Helper()
	deadline := time.Now().Add(testPatience)
	for {
		owed := c.owed()
		if owed == "" {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("these deliveries are owed for ever:\n%s", owed)
		}
		var slept bool
		c.scan("select pg_sleep(0.05) is null", nil, &slept)
	}
}

// owed lists some of the deliveries that the ledger doesn't have as delivered, with their attempts.
func (c *cluster) owed() string {
	c.t.Helper()
	rows, _ := c.pool.Query(context.Background(), `select format('%s %s of %s, due in %s: %s', id, state, webhook, due_at - walpost.now(),
			(select json_agg(a) from walpost.attempt a where a.delivery_id = d.id))
		from walpost.delivery d where state <> 'delivered' order by due_at limit 20`)
	owed, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.Join(owed, "\n")
}

// longestGap is the longest time between two commits since a time: a server that stood still says nothing of walpost.
func (c *cluster) longestGap(since time.Time) (gap time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, commit := range c.commits {
		if commit.at.After(since) {
			gap, since = max(gap, commit.at.Sub(since)), commit.at
		}
	}
	return gap
}

// logs are what the daemons have said since a time.
func (c *cluster) logs(since time.Time) string {
	c.t.Helper()
	var s strings.Builder
	files, err := filepath.Glob(filepath.Join(c.folder, "*.log"))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			c.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var said struct{ Time time.Time }
			if json.Unmarshal([]byte(line), &said) == nil && said.Time.After(since.Add(-time.Second)) {
				s.WriteString(filepath.Base(path) + " " + line)
			}
		}
	}
	return s.String()
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
	r.cmd.Env = append(os.Environ(), childConfig+"="+c.config(), childLog+"="+filepath.Join(c.folder, name+".log"), childName+"="+name, childLease+"="+c.lease.String(), "DATABASE_URL="+c.db.URL)
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
