package cdc

import (
	"context"
	"testing"
)

// lead is an Options.Lead that a test gives and takes away.
type lead struct {
	won  chan context.Context // each is given to one connection that asks
	asks chan struct{}
}

func newLead() *lead {
	return &lead{won: make(chan context.Context), asks: make(chan struct{}, 100)}
}

func (l *lead) ask(ctx context.Context) (context.Context, error) {
	l.asks <- struct{}{}
	select {
	case leading := <-l.won:
		leading, cancel := context.WithCancel(leading)
		context.AfterFunc(ctx, cancel)
		return leading, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Without the lead nothing is connected; when it is lost the slot is free at once; and what was received and not resolved
// by then is received again, if another process may have had it, while the old rows count no more.
func TestOnlyTheLeaderReads(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	if _, err := Setup(t.Context(), testOptions(db)); err != nil {
		t.Fatal(err)
	}
	insertEach(t, pool, "1", "2", "3")
	l := newLead()
	o := testOptions(db)
	o.Lead = l.ask
	r := start(t, o, nil)
	<-l.asks
	if s := r.Stats(); s.Connected || s.LastError != "" {
		t.Errorf("stats %+v while it waits for the lead", s)
	}
	leading, depose := context.WithCancel(t.Context())
	defer depose()
	l.won <- leading
	r.connected()
	rows := r.next(3)
	rows[0].Resolve()
	r.settle(rows[0])

	depose()
	<-l.asks // the connection has ended
	if rows[1].Obsolete() {
		t.Error("a row is obsolete before another reader is known")
	}
	other := start(t, testOptions(db), r.saved())
	other.connected()
	equal(t, "rows of the other one", ids(other.next(2)), []string{"2", "3"})
	if err := other.end(); err != nil {
		t.Fatal(err)
	}

	r.mu.Lock()
	r.checkpoint = &Resume{LSN: r.checkpoint.LSN, Superseded: true}
	r.mu.Unlock()
	l.won <- t.Context()
	r.connected()
	again := r.next(2)
	equal(t, "rows of the next term", ids(again), []string{"2", "3"})
	if !rows[1].Obsolete() || again[0].Obsolete() {
		t.Errorf("obsolete: the old row %v, the new one %v", rows[1].Obsolete(), again[0].Obsolete())
	}
	resolve(rows[1:]) // late: moves nothing
	again[0].Resolve()
	r.settle(again[0])
	if p, _ := r.Progress(); p.Commit() > again[1].CommitLSN {
		t.Errorf("progress %s has passed a row that is not resolved", p.Commit())
	}
	if s := r.Stats(); s.LastError != "" {
		t.Errorf("a change of leaders is called an outage: %s", s.LastError)
	}
}

// A term that goes on over a connection keeps what it has received.
func TestTermOutlivesAConnection(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	l := newLead()
	o := testOptions(db)
	o.Lead = l.ask
	r := start(t, o, nil)
	l.won <- t.Context()
	r.connected()
	insertEach(t, pool, "1", "2")
	rows := r.next(2)
	db.Exec(t, `select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1`, db.Name)
	l.won <- t.Context()
	r.connected()
	insert(t, pool, "3")
	equal(t, "rows", ids(r.next(1)), []string{"3"})
	if rows[0].Obsolete() {
		t.Error("a row is obsolete though the term goes on")
	}
}
