package daemon

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"
)

// dropSlot drops the rig's slot, whoever reads it. Its reader may come back in between; one that was killed in its recovery
// may have dropped it.
func (r *rig) dropSlot() {
	r.t.Helper()
	r.db.Exec(r.t, `do $$ begin
		loop
			begin
				perform pg_terminate_backend(active_pid, 5000) from pg_replication_slots where slot_name = '`+r.db.Name+`' and active_pid is not null;
				perform pg_drop_replication_slot('`+r.db.Name+`');
				return;
			exception when undefined_object then return; when object_in_use then
			end;
		end loop;
	end $$`)
}

// marked waits until the checkpoint has a snapshot that is newer than its latest row. What it surely sees depends on the
// transactions of other tests too, whose databases are on the same server.
func (r *rig) marked() {
	r.t.Helper()
	r.until(`select coalesce((select pg_snapshot_xmax(snapshot)::text::bigint > (select max(xmin::text::bigint) from public.outbox)
		from walpost.checkpoint), false)`)
}

// startMarked starts a daemon that delivers row 1 and has it marked.
func (r *rig) startMarked() *running {
	r.t.Helper()
	d := r.start()
	r.insert(tagged("1"))
	r.receiver.next()
	r.marked()
	return d
}

// loseSlot has a daemon that has a row marked stop, and drops the slot with the next one.
func (r *rig) loseSlot() {
	r.t.Helper()
	r.startMarked().mustStop()
	r.insert(tagged("2"))
	r.dropSlot()
}

func TestLostSlotIsRecoveredAndTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	r.loseSlot()
	r.insert(tagged("3"))
	d := r.start()
	r.insert(tagged("4"))
	book := &arrivals{t: t, ids: map[arrival]string{}}
	for len(book.ids) < 3 || book.ids[arrival{"/hook", "1"}] != "" && len(book.ids) < 4 {
		book.take(r.receiver.next())
	}
	for _, id := range []string{"2", "3", "4"} {
		if book.ids[arrival{"/hook", id}] == "" {
			t.Errorf("%s didn't arrive: %v", id, book.ids)
		}
	}
	r.until("select count(*) = 1 from walpost.incident where slot = $1 and kind = 'slot_lost' and resolved_at is not null and detail like '%rows were read from the table, and the stream goes on from%' and lsn_to > lsn_from", r.db.Name)
	d.mustStop()
	book.drain(r.receiver)
	r.start().mustStop()
	r.receiver.none() // it is over
	if n := r.count("walpost.incident"); n != 1 {
		t.Errorf("%d incidents", n)
	}
}

// Without a snapshot nobody can tell what was dealt with: then it is still the end, and never a first start.
func TestLostSlotWithoutAWatermarkEndsTheDaemon(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	d := r.start()
	r.insert(tagged("1"))
	r.receiver.next()
	d.mustStop()
	r.db.Exec(t, "update walpost.checkpoint set snapshot = null, snapshot_lsn = null")
	r.dropSlot()
	r.mustEndWithLostSlot()
	if n := r.count("pg_replication_slots where slot_name = '" + r.db.Name + "'"); n != 0 {
		t.Error("the slot was made anew")
	}
	r.mustEndWithLostSlot()
	if n := r.count("walpost.incident where kind = 'slot_lost' and lsn_from is not null and resolved_at is null"); n != 1 {
		t.Errorf("%d incidents", n)
	}
}

// While a row that was read is unresolved, neither the checkpoint nor its snapshot passes the recovery.
func TestCheckpointStaysBelowAnUnresolvedRecovery(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	r.loseSlot()
	gate := make(chan struct{})
	release := sync.OnceFunc(func() { close(gate) })
	defer release()
	r.receiver.answers(func(http.ResponseWriter, *http.Request) { <-gate })
	r.start(func(o *Options) { o.ParkAfter = time.Hour })
	r.insert(tagged("3"))
	for arrived := map[string]bool{}; !arrived["2"] || !arrived["3"]; {
		contact, _ := r.receiver.next().json(t)["contact"].(map[string]any)
		arrived[fmt.Sprint(contact["id"])] = true
	}
	var slept, stays bool
	r.scan("select pg_sleep(0.2) is null", nil, &slept) // ten checkpoints' time
	r.scan(`select c.lsn < i.lsn_to and c.snapshot_lsn <= c.lsn and i.resolved_at is null from walpost.checkpoint c, walpost.incident i`, nil, &stays)
	if !stays {
		t.Error("a checkpoint has passed the recovery")
	}
	release()
	r.until("select c.lsn >= i.lsn_to and i.resolved_at is not null from walpost.checkpoint c, walpost.incident i")
}

// A recovered row may be known to the ledger: what is recorded goes its own way, and isn't attempted anew.
func TestRecoveredRowsThatAreRecordedAreNotSentAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	r.receiver.answers(status(500))
	d := r.start()
	r.insert(tagged("1"), tagged("2"))
	r.receiver.next()
	r.receiver.next()
	r.until("select count(*) = 2 from walpost.delivery where state = 'retrying'")
	d.mustStop()
	r.db.Exec(t, "update walpost.checkpoint set snapshot = '3:3:'") // sees nothing
	r.dropSlot()
	r.receiver.answers(nil)
	d = r.start()
	r.insert(tagged("3"))
	if contact, _ := r.receiver.next().json(t)["contact"].(map[string]any); contact["id"] != "3" {
		t.Errorf("%v was sent again", contact["id"])
	}
	r.until("select count(*) = 1 from walpost.incident where resolved_at is not null")
	d.mustStop()
	r.receiver.none()
	r.until("select counters->>'duplicates' = '2' from walpost.checkpoint")
}

func TestBacklogIsDeliveredAtTheFirstStart(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	r.edit(one + fmt.Sprintf("\noutbox {\n slot = %q\n start = \"backlog\"\n}\n", r.db.Name))
	r.insert(tagged("1"), tagged("2"))
	d := r.start()
	r.receiver.next()
	r.receiver.next()
	d.mustStop()
	r.start().mustStop()
	r.receiver.none()
	if n := r.count("walpost.incident"); n != 0 {
		t.Errorf("%d incidents", n)
	}
}

// TestSlotDroppedAtRandomLosesNothing drops the slot and kills the daemon at random points under load, also within a
// recovery, and checks the invariants of the kill test.
func TestSlotDroppedAtRandomLosesNothing(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	r := newRig(t, one)
	path := t.TempDir() + "/walpost.hcl"
	if err := os.WriteFile(path, []byte(r.hcl), 0o600); err != nil {
		t.Fatal(err)
	}
	d := r.start()
	r.insert(tagged("first"))
	r.receiver.next()
	r.marked()
	d.mustStop()
	w := &workload{committed: map[string]bool{}, ghosts: map[string]bool{}}
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for worker := range 2 {
		workers.Go(func() {
			if err := w.run(context.Background(), r.db.URL, worker, seed, stop); err != nil {
				t.Errorf("workload: %v", err)
			}
		})
	}
	const rounds = 5
	book := &arrivals{t: t, ids: map[arrival]string{}}
	for round := range rounds {
		kill := r.spawn(path)
		book.drain(r.receiver)
		book.take(r.receiver.next())
		<-time.After(time.Duration(random.IntN(300)) * time.Millisecond)
		if round%2 == 0 { // under the running daemon, which is killed somewhere in its recovery
			r.dropSlot()
			<-time.After(time.Duration(random.IntN(500)) * time.Millisecond)
			kill()
		} else {
			kill()
			r.dropSlot()
		}
	}
	close(stop)
	workers.Wait()
	defer r.spawn(path)()
	for len(book.ids) < len(w.committed) && !t.Failed() {
		book.take(r.receiver.next())
	}
	r.until("select not exists (select from walpost.incident where resolved_at is null)")
	book.drain(r.receiver)
	for k := range book.ids {
		if w.ghosts[k.contact] {
			t.Errorf("%s arrived and was rolled back", k.contact)
		}
	}
	t.Logf("%d drops; %d rows committed, %d rolled back; %d arrivals of %d; %d incidents", rounds,
		len(w.committed), len(w.ghosts), book.count, len(book.ids), r.count("walpost.incident"))
}

// Two daemons: the other one waits while the table is read, and nothing is lost whoever goes on.
func TestTwoDaemonsLoseTheirSlot(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	leader := r.start()
	standby := r.make()
	r.insert(tagged("first"))
	r.receiver.next()
	r.marked()
	book := &arrivals{t: t, ids: map[arrival]string{}}
	want := 0
	for round := range 3 {
		for n := range 50 {
			r.insert(tagged(fmt.Sprintf("%d-%d", round, n)))
			if n == 25 {
				r.dropSlot()
			}
		}
		want += 50
		for len(book.ids) < want && !t.Failed() {
			book.take(r.receiver.next())
		}
		r.until("select not exists (select from walpost.incident where resolved_at is null)")
	}
	t.Logf("%d arrivals of %d", book.count, len(book.ids))
	standby.mustStop()
	leader.mustStop()
}
