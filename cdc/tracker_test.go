package cdc

import (
	"math/rand/v2"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// modelTxn is a transaction as the model of the tracker sees it.
type modelTxn struct {
	end        LSN // 0 until committed
	unresolved int
	abandoned  bool
	txn        *txn
}

// The model: a list of transactions and keepalives; the position is found by looking from the beginning.
func TestTrackerAgreesWithAList(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		advanced := make(chan struct{}, 1)
		start := LSN(rapid.Uint64Range(0, 50).Draw(t, "start"))
		tracker := newTracker(1, start, advanced)
		var list []*modelTxn
		var open *modelTxn
		lsn := LSN(10)
		var want, commit LSN
		want = start
		known := false
		drop := func() { // move the model's position over the resolved head
			for len(list) > 0 {
				head := list[0]
				if (head.end == 0 && !head.abandoned) || head.unresolved > 0 {
					return
				}
				if head.end >= want && head.end > commit {
					want, known = head.end, true
				}
				commit = max(commit, head.end)
				list = list[1:]
			}
		}
		unresolved := func() []*modelTxn {
			var with []*modelTxn
			for _, x := range list {
				if x.unresolved > 0 {
					with = append(with, x)
				}
			}
			return with
		}
		t.Repeat(map[string]func(*rapid.T){
			"begin": func(t *rapid.T) {
				if open != nil {
					t.Skip("inside a transaction")
				}
				lsn += LSN(rapid.Uint64Range(1, 9).Draw(t, "gap"))
				open = &modelTxn{txn: tracker.begin(lsn)}
				list = append(list, open)
			},
			"row": func(t *rapid.T) {
				if open == nil {
					t.Skip("outside")
				}
				open.txn.hold()
				open.unresolved++
			},
			"commit": func(t *rapid.T) {
				if open == nil {
					t.Skip("outside")
				}
				lsn += LSN(rapid.Uint64Range(1, 9).Draw(t, "length"))
				open.end = lsn
				tracker.commit(open.txn, lsn)
				open = nil
				drop()
			},
			"abandon": func(t *rapid.T) {
				if open == nil {
					t.Skip("outside")
				}
				open.abandoned = true
				tracker.abandon(open.txn)
				open = nil
				drop()
			},
			"resolve": func(t *rapid.T) {
				with := unresolved()
				if len(with) == 0 {
					t.Skip("all resolved")
				}
				x := rapid.SampledFrom(with).Draw(t, "txn")
				row := Row{txn: x.txn}
				x.unresolved--
				row.Resolve()
				drop()
			},
			"keepalive": func(t *rapid.T) {
				if open != nil {
					t.Skip("inside a transaction")
				}
				lsn += LSN(rapid.Uint64Range(0, 9).Draw(t, "gap"))
				tracker.idle(lsn)
				if len(list) == 0 && lsn > want {
					want, known = lsn, true
				}
			},
			"": func(t *rapid.T) {
				before := len(advanced)
				p, ok := tracker.progress()
				if ok != known || p.LSN() != want || p.Commit() != commit || p.timeline != 1 {
					t.Fatalf("position %+v %v, want %s, commit %s, %v", p, ok, want, commit, known)
				}
				if known && want > start && before == 0 && len(advanced) > before {
					t.Fatal("asking signals")
				}
			},
		})
		if known && len(advanced) == 0 {
			t.Fatal("no signal")
		}
	})
}

func TestTrackerIsSafeForManyGoroutines(t *testing.T) {
	t.Parallel()
	advanced := make(chan struct{}, 1)
	tracker := newTracker(1, 0, advanced)
	rows := make(chan Row, 64)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			var held []Row // resolved out of order
			for row := range rows {
				held = append(held, row)
				if len(held) > 16 {
					i := rand.N(len(held))
					held[i].Resolve()
					held = append(held[:i], held[i+1:]...)
				}
			}
			for i := range held {
				held[i].Resolve()
			}
		})
	}
	var end LSN
	for i := range 20_000 {
		begin := LSN(10*i + 10)
		x := tracker.begin(begin)
		for range i % 4 {
			x.hold()
			rows <- Row{txn: x}
		}
		end = begin + 5
		tracker.commit(x, end)
	}
	close(rows)
	workers.Wait()
	if p, ok := tracker.progress(); !ok || p.LSN() != end || p.Commit() != end {
		t.Errorf("position %+v, want %s", p, end)
	}
	if tracker.head != nil || tracker.tail != nil {
		t.Error("transactions left")
	}
	select {
	case <-advanced:
	default:
		t.Error("no signal")
	}
}

func TestResolvingTwicePanics(t *testing.T) {
	t.Parallel()
	tracker := newTracker(1, 0, make(chan struct{}, 1))
	x := tracker.begin(1)
	x.hold()
	tracker.commit(x, 2)
	row := Row{txn: x}
	row.Resolve()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	row.Resolve()
}

func TestConfirmOnlyRaises(t *testing.T) {
	t.Parallel()
	s, err := New(Options{ConnString: "postgres://h/d", Table: "t", Slot: "s", Publication: "p"})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		confirm Position
		want    LSN // on timeline 2
	}{
		{Position{lsn: 90, timeline: 1}, 0}, // of the time before
		{Position{lsn: 10, timeline: 2}, 10},
		{Position{lsn: 9, timeline: 2}, 10},
		{Position{lsn: 95, timeline: 1}, 10},
		{Position{lsn: 11, timeline: 2}, 11},
	} {
		s.Confirm(step.confirm)
		if got := s.confirmed(2); got != step.want {
			t.Errorf("after %+v: %s, want %s", step.confirm, got, step.want)
		}
	}
}

func BenchmarkResolve(b *testing.B) {
	tracker := newTracker(1, 0, make(chan struct{}, 1))
	b.ReportAllocs()
	for i := range b.N {
		x := tracker.begin(LSN(2*i + 1))
		x.hold()
		row := Row{txn: x}
		tracker.commit(x, LSN(2*i+2))
		row.Resolve()
	}
}

// What is read from the table ends where the stream begins, and its resolution is progress without any word of the server.
func TestTrackerEndsARecoveryWhereTheStreamBegins(t *testing.T) {
	t.Parallel()
	advanced := make(chan struct{}, 1)
	tracker := newTracker(1, 100, advanced)
	x := tracker.begin(100)
	x.hold()
	tracker.commit(x, 100)
	if _, known := tracker.progress(); known {
		t.Error("progress before the row is resolved")
	}
	x.release()
	if p, known := tracker.progress(); !known || p.LSN() != 100 || p.Commit() != 100 || len(advanced) != 1 {
		t.Errorf("position %+v, known %t, %d signals", p, known, len(advanced))
	}
}
