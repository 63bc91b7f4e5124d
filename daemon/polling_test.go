package daemon

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/outbox"
)

// mode rewrites the configuration's outbox block.
func (r *rig) mode(attributes string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := strings.Index(r.hcl, "outbox {")
	r.hcl = r.hcl[:at] + fmt.Sprintf("outbox {\n slot = %q\n %s\n}\n", r.db.Name, attributes)
}

// poll makes the rig's table pollable, and has it polled.
func (r *rig) poll() {
	r.t.Helper()
	var t outbox.Table
	r.db.Exec(r.t, t.XIDColumnDDL())
	r.db.Exec(r.t, t.XIDIndexDDL())
	r.mode(`mode = "polling"
	poll_interval = "50ms"`)
}

func TestPollingDelivers(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	r.poll()
	r.insert(tagged("before the first start"))
	d := r.start()
	r.insert(tagged("1"))
	first := r.receiver.next()
	if contact, _ := first.json(t)["contact"].(map[string]any); contact["id"] != "1" {
		t.Errorf("got %s", first.body)
	}
	d.mustStop()
	r.insert(tagged("2"))
	d = r.start()
	r.receiver.next()
	d.mustStop()
	r.start().mustStop()
	r.receiver.none() // nothing is repeated
	var slots, publications int
	r.scan("select count(*) from pg_replication_slots where slot_name = $1", []any{r.db.Name}, &slots)
	r.scan("select count(*) from pg_publication", nil, &publications)
	if slots+publications != 0 {
		t.Errorf("%d slots, %d publications", slots, publications)
	}
	r.until("select drained and lsn = '0/0' and coverage = 'polled' and counters->>'delivered' = '2' from walpost.checkpoint")
}

// Killed before anything was delivered, it still goes on from where it first began.
func TestPollingBeginsOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	r.poll()
	r.make(func(o *Options) { o.CheckpointEvery = time.Hour }).abandon()
	r.until("select snapshot is not null from walpost.checkpoint")
	r.insert(tagged("1"))
	d := r.start()
	r.receiver.next()
	d.mustStop()
}

// abandon lets the daemon begin and stops it as soon as it is ready.
func (d *running) abandon() {
	select {
	case <-d.Ready():
	case <-time.After(testPatience):
		d.t.Fatal("daemon isn't ready")
	}
	d.mustStop()
}

// A long transaction elsewhere costs nothing and holds nothing up; it is found when it ends, also after a restart.
func TestPollingFindsLateCommits(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	r.poll()
	d := r.start()
	tx, err := r.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background()) //nolint:errcheck // it was committed
	if err := outbox.Insert(t.Context(), tx, tagged("late")); err != nil {
		t.Fatal(err)
	}
	r.insert(tagged("1"))
	r.receiver.next()
	d.mustStop()
	d = r.start()
	r.insert(tagged("2"))
	r.receiver.next()
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := r.receiver.next()
	if contact, _ := got.json(t)["contact"].(map[string]any); contact["id"] != "late" {
		t.Errorf("got %s", got.body)
	}
	d.mustStop()
	r.receiver.none()
}

func TestPollingKilledAtRandomLosesNothing(t *testing.T) {
	t.Parallel()
	killAtRandom(t, 3, (*rig).poll)
}

// From a stream to polling and back: each goes on from the other's checkpoint, and what both may have seen keeps its id.
func TestModesFollowEachOther(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	book := &arrivals{t: t, ids: map[arrival]string{}}
	n := 0
	deliver := func(restart bool) {
		t.Helper()
		if restart {
			n++
			r.insert(tagged(fmt.Sprint(n))) // while nobody runs
		}
		d := r.start()
		n++
		r.insert(tagged(fmt.Sprint(n)))
		for len(book.ids) < n {
			book.take(r.receiver.next())
		}
		d.mustStop()
		book.drain(r.receiver)
	}
	deliver(false)
	r.poll() // adds the column, after the checkpoint
	deliver(true)
	deliver(true)
	r.mode("")
	deliver(true) // the slot is still there, and behind
	r.mode(`mode = "polling"`)
	r.insert(tagged("ghost"))
	r.db.Exec(t, "delete from outbox where aggregate_id = 'ghost'")
	deliver(true)
	r.dropSlot()
	r.mode("")
	deliver(true)
	t.Logf("%d arrivals of %d", book.count, len(book.ids))
	if n := r.count("walpost.incident where resolved_at is null"); n != 0 {
		t.Errorf("%d incidents are open", n)
	}
}

// A checkpoint covers a row only when it is resolved.
func TestPollingCheckpointStaysBelowUnresolvedRows(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	r.poll()
	gate := make(chan struct{})
	release := sync.OnceFunc(func() { close(gate) })
	defer release()
	r.receiver.answers(r.receiver.holding(gate, nil))
	r.start(func(o *Options) { o.ParkAfter = time.Hour })
	r.insert(tagged("1"))
	r.receiver.next()
	r.insert(tagged("2"))
	r.receiver.next()
	visible := "select bool_or(pg_visible_in_snapshot(walpost_xid, snapshot)) from outbox, walpost.checkpoint"
	var slept, passed bool
	r.scan("select pg_sleep(0.2) is null", nil, &slept) // ten checkpoints' time
	r.scan(visible, nil, &passed)
	if passed {
		t.Error("the checkpoint has passed a row that is not resolved")
	}
	release()
	r.until(strings.Replace(visible, "bool_or", "bool_and", 1))
}

// What a webhook owes when polling is cut off is in the ledger, and isn't sent from the table again.
func TestPollingAsksTheLedger(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	r.poll()
	r.receiver.answers(status(http.StatusInternalServerError))
	d := r.start()
	r.insert(tagged("1"))
	r.receiver.next()
	r.until("select count(*) = 1 from walpost.delivery where state = 'retrying'")
	d.mustStop()
	r.db.Exec(t, "update walpost.checkpoint set snapshot = '1:1:', drained = false") // as if killed before the checkpoint
	r.receiver.answers(nil)
	d = r.start()
	r.insert(tagged("2"))
	if contact, _ := r.receiver.next().json(t)["contact"].(map[string]any); contact["id"] != "2" {
		t.Errorf("%v was sent again", contact["id"])
	}
	d.mustStop()
	r.receiver.none()
	r.until("select counters->>'duplicates' = '1' from walpost.checkpoint")
	var state ledger.State
	r.scan("select state from walpost.delivery", nil, &state)
	if state != ledger.Retrying {
		t.Errorf("the delivery is %s", state)
	}
}

// BenchmarkPolling is the time from the return of COMMIT to the request, of rows that come one by one, with the trigger.
func BenchmarkPolling(b *testing.B) {
	r := newRig(b, one)
	r.poll()
	r.mode(`mode = "polling"`)
	r.db.Exec(b, outbox.Table{}.NotifyDDL())
	r.start(func(o *Options) { o.Logger = zerolog.Nop() })
	var latencies []time.Duration
	for n := range b.N {
		r.insert(tagged(fmt.Sprint(n)))
		committed := time.Now()
		r.receiver.next()
		latencies = append(latencies, time.Since(committed))
		<-time.After(5 * time.Millisecond)
	}
	slices.Sort(latencies)
	b.ReportMetric(float64(latencies[len(latencies)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(latencies[len(latencies)*99/100].Microseconds()), "p99-µs")
}
