package daemon

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/walpost/walpost/outbox"
)

// What a recovery has read is not taken for lost again by whoever comes next. The life that has read it ends in the moment in which
// the ledger knows that all is resolved, or in which the recovery is closed: nothing counts that it would save afterwards.
func TestRecoveryThatIsOverIsNotReadAgain(t *testing.T) {
	t.Parallel()
	const (
		anew     = "drop publication walpost; create publication walpost for table public.outbox with (publish = 'insert')"
		changed  = "alter publication walpost set (publish = 'insert, update')"
		resolved = "after update on walpost.checkpoint for each row when (new.walk ? 'end' and (old.walk ? 'end') is not true)"
		closed   = "after update on walpost.incident for each row when (old.resolved_at is null and new.resolved_at is not null)"
	)
	tests := map[string]struct {
		slot  bool // is dropped
		sql   string
		ends  string // a trigger stands for a kill: it is as exact
		again int    // how often what was committed before may come again: it is in a slot that was kept
	}{
		"slot dropped, killed when all is resolved":          {slot: true, ends: resolved},
		"publication made anew, killed when all is resolved": {sql: anew, ends: resolved},
		"publication changed, killed when all is resolved":   {sql: changed, ends: resolved, again: 1},
		"publication made anew, killed when it is closed":    {sql: anew, ends: closed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, one)
			d := r.startMarked()
			d.mustStop()
			r.insert(tagged("2"), tagged("3"))
			if test.slot {
				r.dropSlot()
			}
			if test.sql != "" {
				r.db.Exec(t, test.sql)
			}
			r.db.Exec(t, `create function public.ends() returns trigger language plpgsql as $$ begin
				update walpost.checkpoint set epoch = epoch + 1; return null; end $$;
				create trigger ends `+test.ends+` execute function public.ends()`)
			gate := make(chan struct{})
			release := sync.OnceFunc(func() { close(gate) })
			defer release()
			r.receiver.answers(r.receiver.holding(gate, nil))
			d = r.start()
			r.until("select count(*) = 1 and bool_and(lsn_to is not null) from walpost.incident")
			release()
			r.until("select bool_and(resolved_at is not null) from walpost.incident")
			r.insert(tagged("next"))
			arrived := map[string]int{}
			for arrived["next"] == 0 {
				contact, _ := r.receiver.next().json(t)["contact"].(map[string]any)
				arrived[fmt.Sprint(contact["id"])]++
			}
			d.mustStop()
			r.start().mustStop() // after a time without rows
			for id, n := range r.drain() {
				arrived[id] += n
			}
			if n := arrived["1"]; n > 1 { // transactions of other tests may have kept the snapshot from surely seeing it
				t.Errorf("1 came %d times again", n)
			}
			for _, id := range []string{"2", "3"} {
				if n := arrived[id]; n < 1 || n > 1+test.again {
					t.Errorf("%s came %d times", id, n)
				}
			}
			if n := arrived["next"]; n > 2 { // a term that was ending may have delivered it, too
				t.Errorf("next came %d times", n)
			}
			if n := r.count("walpost.incident"); n != 1 {
				t.Errorf("%d incidents", n)
			}
			var covered bool
			r.scan(`select c.walk is null and c.snapshot_lsn >= i.lsn_to and split_part(c.coverage, ' ', 2) = p.xmin::text
				from walpost.checkpoint c, walpost.incident i, pg_publication p where p.pubname = 'walpost'`, nil, &covered)
			if !covered {
				t.Error("the checkpoint's snapshot is of before the recovery")
			}
		})
	}
}

// A recovery that can't be closed keeps its walk, however far the stream goes on, and is closed later.
func TestRecoveryKeepsItsWalkUntilItIsClosed(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	r.loseSlot()
	r.db.Exec(t, `create function public.refuses() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$;
		create trigger refuses before update on walpost.incident for each row when (new.resolved_at is not null) execute function public.refuses()`)
	r.start()
	r.receiver.next()
	for range 3 {
		r.insert(tagged("more"))
		r.receiver.next()
	}
	r.until("select c.lsn > i.lsn_to from walpost.checkpoint c, walpost.incident i")
	var kept bool
	r.scan("select c.walk ? 'end' and c.snapshot_lsn < i.lsn_to and i.resolved_at is null from walpost.checkpoint c, walpost.incident i", nil, &kept)
	if !kept {
		t.Error("a sample has ended the walk, and the recovery is open")
	}
	r.db.Exec(t, "drop trigger refuses on walpost.incident")
	r.until("select c.walk is null and c.snapshot_lsn >= i.lsn_to and i.resolved_at is not null from walpost.checkpoint c, walpost.incident i")
}

// What was sampled before the slot was lost, and is resolved while the table is read, doesn't take the walk from who comes next.
func TestSampleOfBeforeALossLeavesTheWalk(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	r.start()
	r.insert(tagged("1"))
	r.receiver.next()
	r.marked()
	r.db.Exec(t, `create table public.changes (snapshot pg_snapshot);
		create function public.changes() returns trigger language plpgsql as $$ begin
			if exists (select from walpost.incident where resolved_at is null) then insert into public.changes values (new.snapshot); end if;
			return null; end $$;
		create trigger changes after update on walpost.checkpoint for each row
			when (old.snapshot::text is distinct from new.snapshot::text) execute function public.changes()`)
	gate := make(chan struct{})
	release := sync.OnceFunc(func() { close(gate) })
	defer release()
	r.receiver.answers(r.receiver.holding(gate, nil))
	for _, id := range []string{"2", "3"} {
		r.insert(tagged(id))
		r.receiver.next()
		var slept bool
		r.scan("select pg_sleep(0.2) is null", nil, &slept) // ten samples' time
	}
	writer, err := r.pool.Begin(t.Context()) // the table isn't read before it ends
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Rollback(context.Background()) //nolint:errcheck // it may be over
	if err := outbox.Insert(t.Context(), writer, tagged("4")); err != nil {
		t.Fatal(err)
	}
	var before string
	r.scan("select lsn::text from walpost.checkpoint", nil, &before)
	r.dropSlot()
	r.until("select count(*) = 1 from walpost.incident")
	release()
	r.until("select lsn > $1::text::pg_lsn from walpost.checkpoint", before)
	if err := writer.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.until("select bool_and(resolved_at is not null) from walpost.incident")
	if n := r.count("public.changes"); n != 0 {
		t.Errorf("the snapshot was changed %d times while the recovery was open", n)
	}
}
