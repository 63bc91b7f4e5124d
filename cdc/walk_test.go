package cdc

import (
	"strconv"
	"strings"
	"testing"
)

// saveWalk keeps how far the rows are resolved that were read, as a daemon's checkpointer does.
func (b *book) saveWalk(r *running) *Walk {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, _ := r.Progress()
	if w := p.Walk(); w != nil {
		b.resume.Walk = w
	}
	return b.resume.Walk
}

// Who is cut off is followed by one who goes on behind what was resolved, with the same slot; so a recovery comes to its end
// however short the lives are. What is deleted at once meanwhile comes by the slot.
func TestRecoveryGoesOnWhereItWasCutOff(t *testing.T) {
	t.Parallel()
	const n = 2000
	db, pool := outboxDatabase(t)
	o := testOptions(db)
	o.MaxBatchRows, o.Buffer = 10, 1
	b := checkpointed(t, o, pool)
	insert(t, pool, sequence(1, n)...)
	dropSlotNow(t, db, db.Name)
	arrived := map[string]int{}
	resolved := 0
	var last uint64
	lives := 0
	for ; resolved < n/2; lives++ {
		r := start(t, o, nil, b.keep)
		rows := r.next(100 + 50*lives)
		tx := begin(t, pool)
		gone := "deleted in life " + strconv.Itoa(lives)
		insert(t, tx, gone)
		if _, err := tx.Exec(t.Context(), "delete from outbox where aggregate_id = $1", gone); err != nil {
			t.Fatal(err)
		}
		commit(t, tx)
		resolve(rows)
		for _, id := range ids(rows) {
			arrived[id]++
		}
		resolved += len(rows)
		walk := b.saveWalk(r)
		if err := r.end(); err != nil {
			t.Fatal(err)
		}
		if walk.Rows <= last && lives > 0 {
			t.Errorf("life %d ends at %+v, the one before had come to row %d", lives, walk, last)
		}
		last = walk.Rows
	}
	r := start(t, o, nil, b.keep)
	id := r.connectedTaking(func(rows []Row) {
		for _, id := range ids(rows) {
			arrived[id]++
		}
		resolve(rows)
	})
	insert(t, pool, "next")
	for arrived["next"] == 0 {
		rows := r.next(1)
		arrived[ids(rows)[0]]++
		resolve(rows)
	}
	repeats := 0
	for _, id := range append(sequence(1, n), "after the mark") {
		if arrived[id] == 0 {
			t.Errorf("%s is lost", id)
		}
		repeats += max(0, arrived[id]-1)
	}
	for life := range lives {
		if gone := "deleted in life " + strconv.Itoa(life); arrived[gone] != 1 {
			t.Errorf("%s came %d times", gone, arrived[gone])
		}
	}
	// A range at most, of those that were handed over, had not been resolved as a whole.
	t.Logf("%d lives, %d rows of %d came again", lives+1, repeats, n)
	if repeats > lives*maxRangeRows/8 || id.Recovery.Rows < n+1 {
		t.Errorf("%d rows came again in %d lives; the walks have %d rows", repeats, lives, id.Recovery.Rows)
	}
	if losses, _ := b.seen(); losses != 1 {
		t.Errorf("%d losses", losses)
	}
}

// connectedTaking is connected for who takes rows meanwhile.
func (r *running) connectedTaking(take func([]Row)) Identity {
	r.t.Helper()
	for {
		select {
		case id := <-r.acquired:
			return id
		case batch := <-r.Batches():
			take(batch)
		}
	}
}

// Rows that are moved by an update, or by a rewrite of the table, from behind the place where a walk was cut off to before it.
func TestRowsThatMoveBetweenTwoLives(t *testing.T) {
	t.Parallel()
	const room, update = "delete from outbox where event_type = 'filler'", "update outbox set payload = '{}' where event_type <> 'filler' and aggregate_id::int > 1900"
	for name, sql := range map[string][]string{
		"updated":            {room, "vacuum outbox", update},
		"updated, rewritten": {room, update, "vacuum full outbox"},
		"rewritten":          {room, "vacuum full outbox"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 2000
			db, pool := outboxDatabase(t)
			o := testOptions(db)
			o.MaxBatchRows, o.Buffer = 10, 1
			db.Exec(t, `insert into outbox (aggregate_type, aggregate_id, event_type, payload)
				select 'contact', '0', 'filler', jsonb_build_object('filler', repeat('x', 500)) from generate_series(1, 200)`)
			b := checkpointed(t, o, pool)
			db.Exec(t, "delete from outbox where event_type <> 'filler'")
			insert(t, pool, sequence(1, n)...)
			dropSlotNow(t, db, db.Name)
			r := start(t, o, nil, b.keep)
			seen := map[string]bool{}
			rows := r.next(500)
			resolve(rows)
			for _, id := range ids(rows) {
				seen[id] = true
			}
			b.saveWalk(r)
			if err := r.end(); err != nil {
				t.Fatal(err)
			}
			for _, statement := range sql {
				db.Exec(t, statement)
			}
			r = start(t, o, nil, b.keep)
			r.connectedTaking(func(rows []Row) {
				for _, id := range ids(rows) {
					seen[id] = true
				}
				resolve(rows)
			})
			var lost []string
			for _, id := range sequence(1, n) {
				if !seen[id] {
					lost = append(lost, id)
				}
			}
			if len(lost) > 0 {
				t.Errorf("lost: %s", strings.Join(lost, " "))
			}
		})
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	at := Place{Leaf: 20, File: 7, Block: 3, Offset: 4}
	for _, of := range []struct {
		leaf leaf
		from tid
		past bool
	}{
		{leaf{OID: 19, File: 7}, tid{}, true},
		{leaf{OID: 20, File: 7}, tid{3, 4}, false},
		{leaf{OID: 20, File: 8}, tid{}, false},
		{leaf{OID: 21, File: 7}, tid{}, false},
	} {
		if from, past := at.in(of.leaf); from != of.from || past != of.past {
			t.Errorf("%+v: from %v, past %t", of.leaf, from, past)
		}
	}
	if got := (leaf{OID: 20, File: 7}).place(tid{3, 4}); got != at {
		t.Errorf("place %+v", got)
	}
}

// A walk helps with the gap for which it is, and with what is left of it once the walk before has become the checkpoint's.
func TestWalkFillsAGap(t *testing.T) {
	t.Parallel()
	second := Walk{Gap: "1:1:", Since: "5:5:", First: "9:9:"}
	for gap, want := range map[string]bool{"1:1:": true, "5:5:": true, "9:9:": false, "": false} {
		if second.fills(gap) != want || second.Over(gap) {
			t.Errorf("gap %q: fills %t, over %t", gap, second.fills(gap), second.Over(gap))
		}
		ended := second
		ended.End = 7
		if ended.Over(gap) != want {
			t.Errorf("gap %q: over %t at its end", gap, ended.Over(gap))
		}
	}
	if backlog := (&Walk{First: "9:9:", End: 7}); !backlog.fills("") || backlog.Over("") || (*Walk)(nil).Over("1:1:") {
		t.Error("a backlog is for no snapshot, and its end closes none")
	}
}

func TestOverlap(t *testing.T) {
	t.Parallel()
	o := newOverlap()
	row := func(values ...string) (row [][]byte) {
		for _, v := range values {
			if v == "null" {
				row = append(row, nil)
			} else {
				row = append(row, []byte(v))
			}
		}
		return row
	}
	rows := [][][]byte{row("a", "b"), row("ab", ""), row("", "ab"), row("a", "null"), row("null", "a"), row("a", "")}
	for i, r := range rows {
		if i%2 == 0 {
			o.add([]rowKey{o.key(r)})
		}
	}
	for i, r := range rows {
		if got := o.take(r); got != (i%2 == 0) {
			t.Errorf("%q: %t", r, got)
		}
		if o.take(r) {
			t.Errorf("%q twice", r)
		}
	}
}
