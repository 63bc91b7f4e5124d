package cdc

import (
	"context"
	"errors"
	"testing"
	"time"
)

// While nobody takes the rows the session takes no notifications, which the server would have to keep; afterwards what was
// committed meanwhile is found, and the next commit is told of again.
func TestAStalledPollerStopsListening(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	db.Exec(t, pollDDL+notifyDDL)
	g := &ground{t: t, kind: kinds[2], db: db, pool: pool}
	f := g.start(func(o *Options) { o.MaxBatchRows, o.Buffer, o.StallTimeout = 1, 1, 50*time.Millisecond })
	f.connected()
	insertEach(t, pool, sequence(1, 5)...)
	for deadline := time.Now().Add(patience); f.Stats().Stalls == 0; {
		scalar[bool](t, pool, "select pg_sleep(0.01) is null") // nothing tells of it
		if time.Now().After(deadline) {
			t.Fatalf("it doesn't stall: %+v", f.Stats())
		}
	}
	if s := f.Stats(); !s.Connected {
		t.Errorf("the connection is gone: %+v", s)
	}
	insert(t, pool, "6")
	equal(t, "arrived", ids(f.next(6)), sequence(1, 6))
	insert(t, pool, "7")
	equal(t, "told of", ids(f.next(1)), []string{"7"})
}

// What is missing is said with the statement that makes it.
func TestTablesThatCannotBePolled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ ddl, problem, fix string }{
		"no column": {"", `no column "walpost_xid"`, "add column"},
		"another type": {
			"alter table outbox add column walpost_xid bigint not null default 1", "is not xid8", "drop column",
		},
		"no default": {"alter table outbox add column walpost_xid xid8 not null default '1'", "is not xid8", "drop column"},
		"no index":   {"alter table outbox add column walpost_xid xid8 not null default pg_current_xact_id()", "no index", "create index concurrently"},
		"half an index": {
			"alter table outbox add column walpost_xid xid8 not null default pg_current_xact_id(); create index on outbox (walpost_xid)",
			"no index", "create index concurrently",
		},
		"ids that may be null": {pollDDL + "alter table outbox drop constraint outbox_pkey, alter column id drop not null", `"id" may be null`, "set not null"},
		"no table":             {"drop table outbox", "does not exist", "walpost init"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := newOutbox(t)
			if c.ddl != "" {
				db.Exec(t, c.ddl)
			}
			_, err := PollSetup(t.Context(), pollOptions(testOptions(db)))
			wantSetupError(t, err, nil, c.problem, c.fix)
		})
	}
}

// A checkpoint that says nothing of polling, or of another server's future, is not polled from.
func TestUselessCheckpointsAreRefused(t *testing.T) {
	t.Parallel()
	db := newOutbox(t)
	db.Exec(t, pollDDL)
	for _, c := range []struct {
		resume  Resume
		problem string
	}{
		{Resume{LSN: 1}, "has no snapshot"},
		{Resume{Snapshot: "900000000:900000000:"}, "snapshot cannot be used"},
		{Resume{Snapshot: "nonsense"}, "snapshot cannot be used"},
		{Resume{Snapshot: "3:3:", SystemID: "1"}, "database system"},
	} {
		o := pollOptions(testOptions(db))
		o.Resume = func(context.Context) (*Resume, error) { return &c.resume, nil }
		p, err := NewPoller(o)
		if err != nil {
			t.Fatal(err)
		}
		wantSetupError(t, p.Run(t.Context()), nil, c.problem)
	}
	_, err := NewPoller(PollOptions{Options: testOptions(db)})
	wantSetupError(t, err, nil, "options of polling are invalid")
	if !errors.Is(errPolledElsewhere, ErrSlotActive) {
		t.Error("a standby doesn't know that it is one")
	}
}
