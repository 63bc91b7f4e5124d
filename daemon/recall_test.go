package daemon

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/pgtest"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/outbox"
)

// After a kill the ledger may know deliveries of what the slot sends again, for half a minute. It is asked for a batch at
// once: with a question for each event a busy daemon's successor falls behind as soon as it leads.
func TestBacklogAfterAKillIsLookedUpByTheBatch(t *testing.T) {
	t.Parallel()
	const events = 300
	r := newRig(t, one)
	r.start().mustStop()
	r.db.Exec(t, "update walpost.checkpoint set drained = false") // as a kill leaves it
	r.db.Exec(t, fmt.Sprintf("alter database %q set log_statement = 'all'", r.db.Name))
	tx, err := r.pool.Begin(t.Context())
	for n := 0; n < events && err == nil; n++ {
		err = outbox.Insert(t.Context(), tx, tagged(fmt.Sprint(n)))
	}
	if err == nil {
		err = tx.Commit(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	d := r.start()
	for range events {
		r.receiver.next()
	}
	d.mustStop()
	text, err := os.ReadFile(pgtest.Server(t).Log())
	if err != nil {
		t.Fatal(err)
	}
	asked := bytes.Count(text, []byte("-- States of those deliveries that are recorded"))
	if asked == 0 || asked > events*3/4 { // how many come at once is the machine's
		t.Errorf("the ledger was asked %d times for %d events", asked, events)
	}
}

// TestBacklogIsJoined as long as the ledger may know of its rows, and what comes after that is not.
func TestBacklogIsJoined(t *testing.T) {
	t.Parallel()
	until := time.Now()
	r := &router{recordedUntil: func() time.Time { return until }}
	row := func(after time.Duration) cdc.Row { return cdc.Row{CommitTime: until.Add(after)} }
	batches := make(chan cdc.Batch, 8)
	for _, b := range []cdc.Batch{{row(-3), row(-2)}, {row(-1)}, {row(1)}, {row(2)}} {
		batches <- b
	}
	if got := r.backlog(cdc.Batch{row(-4)}, batches); len(got) != 5 || len(batches) != 1 {
		t.Errorf("%d rows at once, %d batches are left; want 5 and 1", len(got), len(batches))
	}
	if got := r.backlog(<-batches, batches); len(got) != 1 {
		t.Errorf("%d rows at once", len(got))
	}
	batches <- make(cdc.Batch, maxBacklog)
	batches <- cdc.Batch{row(-1)}
	if got := r.backlog(cdc.Batch{row(-4)}, batches); len(got) != maxBacklog+1 || len(batches) != 1 {
		t.Errorf("%d rows at once, without a bound", len(got))
	}
	close(batches)
	if got := r.backlog(cdc.Batch{row(-4)}, batches); len(got) != 2 {
		t.Errorf("%d rows at the end of the stream, want 2", len(got))
	}
}

// TestRecallIsBounded: rows that each have hundreds of deliveries are not asked about all at once.
func TestRecallIsBounded(t *testing.T) {
	t.Parallel()
	const webhooks, rows = 300, 1000
	var hcl strings.Builder
	hcl.WriteString("database {\n url = \"postgres://localhost/x\"\n}\noutbox {\n messages = \"walpost\"\n}\n")
	for i := range webhooks {
		fmt.Fprintf(&hcl, "webhook \"w%d\" {\n topics = [\"*\"]\n url = \"http://127.0.0.1/%[1]d\"\n}\n", i)
	}
	cfg, diagnostics := config.Parse(map[string][]byte{"walpost.hcl": []byte(hcl.String())})
	if diagnostics.HasErrors() {
		t.Fatal(diagnostics)
	}
	table, diagnostics := route.Compile(cfg)
	if diagnostics.HasErrors() {
		t.Fatal(diagnostics)
	}
	now := time.Now()
	r := &router{pipeline: &pipeline{}, recordedUntil: func() time.Time { return now }}
	r.plan.Store(&plan{config: cfg, table: table})
	batch := make(cdc.Batch, rows)
	for i := range batch {
		message := fmt.Sprintf(`{"id": %q, "aggregate_type": "contact", "aggregate_id": "1", "event_type": "contact.tagged", "payload": {"contact": {"id": 1}}}`, uuid.NewString())
		batch[i] = cdc.Row{Message: true, Values: [][]byte{[]byte(message)}, CommitTime: now.Add(-time.Second)}
	}
	for taken, ids := 0, 0; taken < rows; {
		some, n := r.doubtful(batch[taken:])
		if ids += len(some); len(some) >= maxRecalled+webhooks || n == 0 || len(some) != n*webhooks {
			t.Fatalf("%d deliveries of %d rows at once", len(some), n)
		}
		if taken += n; taken == rows && ids != rows*webhooks {
			t.Errorf("%d deliveries in all, want %d", ids, rows*webhooks)
		}
	}
	for i := range batch {
		batch[i].CommitTime = now.Add(time.Second)
	}
	if some, n := r.doubtful(batch); len(some) != 0 || n != rows {
		t.Errorf("%d deliveries of %d rows that the ledger can't know", len(some), n)
	}
}
