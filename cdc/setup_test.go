package cdc

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/walpost/walpost/internal/pgtest"
)

func TestSetupIsRepeatable(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	first, err := Setup(t.Context(), testOptions(db))
	if err != nil {
		t.Fatal(err)
	}
	if !first.PublicationCreated || !first.SlotCreated || first.SlotPosition == 0 || len(first.Warnings) != 0 {
		t.Errorf("first %+v", first)
	}
	insert(t, pool, "between")
	second, err := Setup(t.Context(), testOptions(db))
	if err != nil {
		t.Fatal(err)
	}
	if second.PublicationCreated || second.SlotCreated || second.SlotPosition != first.SlotPosition {
		t.Errorf("second %+v, first %+v", second, first)
	}
	r := start(t, testOptions(db), nil)
	r.connected()
	equal(t, "rows since the slot", ids(r.next(1)), []string{"between"})
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := New(Options{Slot: "Walpost-1", StallTimeout: -1, Buffer: -1})
	wantSetupError(t, err, nil, "options")
	for _, part := range []string{"connection string", "table", `slot name "Walpost-1"`, "publication name", "StallTimeout", "Buffer"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v doesn't name %s", err, part)
		}
	}
}

// Each of these is wrong before the first connection, and no waiting would help.
func TestBadSetups(t *testing.T) {
	t.Parallel()
	const alone = "" // no other statement
	for name, c := range map[string]struct {
		sql      string
		change   func(*testing.T, *pgtest.Database, *Options)
		sentinel error
		problem  string
		fixes    []string
	}{
		"connection string": {
			change:  func(_ *testing.T, _ *pgtest.Database, o *Options) { o.ConnString = "postgres://u:hush%zz@host/db" },
			problem: "cannot be parsed", fixes: []string{"postgres://"},
		},
		"no such user": {
			change: func(_ *testing.T, _ *pgtest.Database, o *Options) {
				o.ConnString = strings.Replace(o.ConnString, "://", "://nobody:hush@", 1)
				if i := strings.LastIndex(o.ConnString, "@"); strings.Count(o.ConnString, "@") > 1 {
					o.ConnString = "postgres://nobody:hush" + o.ConnString[i:]
				}
			},
			problem: "refuses the login", fixes: []string{"pg_hba.conf"},
		},
		"no right to connect": {
			change: func(t *testing.T, db *pgtest.Database, o *Options) {
				_, o.ConnString = db.Role(t, "replication")
				db.Exec(t, "revoke connect on database "+db.Name+" from public")
			},
			problem: "refuses the login", fixes: []string{"right to connect"},
		},
		"no such database": {
			change: func(_ *testing.T, db *pgtest.Database, o *Options) {
				o.ConnString = strings.Replace(o.ConnString, db.Name, "nowhere", 1)
			},
			problem: "database of the connection string does not exist",
		},
		"no REPLICATION": {
			change: func(t *testing.T, db *pgtest.Database, o *Options) {
				_, o.ConnString = db.Role(t, "")
			},
			problem: "may not replicate", fixes: []string{`alter role "role`, "with replication"},
		},
		"not the table's owner": {
			change: func(t *testing.T, db *pgtest.Database, o *Options) {
				_, o.ConnString = db.Role(t, "replication")
			},
			problem: `may not create publication "walpost"`, fixes: []string{`create publication "walpost" for table "public"."outbox" with (publish = 'insert');`},
		},
		"missing table": {
			change:  func(_ *testing.T, _ *pgtest.Database, o *Options) { o.Table = "outbux" },
			problem: "table public.outbux does not exist", fixes: []string{`did you mean "public.outbox"?`},
		},
		"missing table, in another schema": {
			sql:     `create schema app; alter table outbox set schema app; create table outbux ()`,
			problem: "table public.outbox does not exist", fixes: []string{`did you mean "app.outbox"?`},
		},
		"missing column": {
			change: func(_ *testing.T, _ *pgtest.Database, o *Options) {
				o.Columns = []string{"id", "aggregat_id", "shoe_size"}
			},
			problem: `table public.outbox has no column "aggregat_id", "shoe_size"`, fixes: []string{`did you mean "aggregate_id"?`},
		},
		"generated column": {
			sql:     `alter table outbox drop column headers; alter table outbox add column headers jsonb generated always as (payload) stored`,
			problem: `column "headers" of table public.outbox is generated`,
		},
		"view": {
			sql:     `alter table outbox rename to real; create view outbox as select * from real`,
			problem: "public.outbox is not a table",
		},
		"unlogged": {
			sql:     `alter table outbox set unlogged`,
			problem: "not in the WAL", fixes: []string{`alter table "public"."outbox" set logged;`},
		},
		"publication of another table": {
			sql:     `create table other (id int); create publication walpost for table other`,
			problem: `publication "walpost" does not have the table public.outbox`, fixes: []string{`alter publication "walpost" add table "public"."outbox"`},
		},
		"publication without inserts": {
			sql:     `create publication walpost for table outbox with (publish = 'delete')`,
			problem: "does not publish inserts", fixes: []string{`alter publication "walpost" set (publish = 'insert');`},
		},
		"publication with a row filter": {
			sql:     `create publication walpost for table outbox where (event_type <> 'x') with (publish = 'insert')`,
			problem: "hides rows", fixes: []string{`alter publication "walpost" set table "public"."outbox"`},
		},
		"publication with a column list": {
			sql:     `create publication walpost for table outbox (id, event_type, payload, aggregate_id, created_at) with (publish = 'insert')`,
			problem: `hides column "aggregate_type", "headers" of public.outbox`,
		},
		"slot without a publication": {
			change: func(t *testing.T, db *pgtest.Database, _ *Options) {
				db.Exec(t, `select pg_create_logical_replication_slot($1, 'pgoutput')`, db.Name)
			},
			sentinel: ErrPublicationLost, problem: `publication "walpost" does not`, fixes: []string{"pg_drop_replication_slot"},
		},
		"physical slot": {
			change: func(t *testing.T, db *pgtest.Database, o *Options) {
				o.Slot = db.Name[:min(len(db.Name), 50)] + "_physical"
				db.Exec(t, `select pg_create_physical_replication_slot($1)`, o.Slot)
				t.Cleanup(func() { dropSlotNow(t, db, o.Slot) })
			},
			problem: "it is a physical slot",
		},
		"slot of another plugin": {
			change: func(t *testing.T, db *pgtest.Database, _ *Options) {
				db.Exec(t, `select pg_create_logical_replication_slot($1, 'test_decoding')`, db.Name)
			},
			problem: "its output plugin is test_decoding",
		},
		"slot of another database": {
			change: func(t *testing.T, _ *pgtest.Database, o *Options) {
				other := pgtest.New(t)
				other.Exec(t, `select pg_create_logical_replication_slot($1, 'pgoutput')`, other.Name)
				o.Slot = other.Name
			},
			problem: "it was created in database",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, pool := outboxDatabase(t)
			if c.sql != alone {
				db.Exec(t, c.sql)
			}
			o := testOptions(db)
			if c.change != nil {
				c.change(t, db, &o)
			}
			_, err := Setup(t.Context(), o)
			wantSetupError(t, err, c.sentinel, c.problem, c.fixes...)
			if strings.Contains(err.Error(), "hush") {
				t.Errorf("the password is in %q", err)
			}
			made := scalar[int](t, pool, `select count(*) from pg_replication_slots where database = $1 and plugin = 'pgoutput'`, db.Name)
			if name != "slot without a publication" && made != 0 {
				t.Error("a slot was created")
			}
			if s, err := New(o); err == nil {
				if err := s.Run(t.Context()); Retryable(err) || err == nil {
					t.Errorf("Run: %v", err)
				}
			}
		})
	}
}

func dropSlotNow(t *testing.T, db *pgtest.Database, slot string) {
	conn, err := openOrdinary(context.Background(), testOptions(db).withDefaults())
	if err != nil {
		t.Error(err)
		return
	}
	defer closeOrdinary(context.Background(), conn)
	if _, _, err := query[struct{}](context.Background(), conn, "drop_slot", slot); err != nil {
		t.Error(err)
	}
}

func TestServerSettings(t *testing.T) {
	t.Parallel()
	t.Run("wal_level", func(t *testing.T) {
		t.Parallel()
		_, db := ownServer(t, map[string]string{"wal_level": "replica"})
		_, err := Setup(t.Context(), testOptions(db))
		wantSetupError(t, err, nil, "wal_level is replica", "alter system set wal_level = 'logical'", "restart")
		// The server's own words, should it be asked.
		o := testOptions(db).withDefaults()
		_, err = createSlot(t.Context(), o, oldestVersion)
		wantSetupError(t, err, nil, "does not write logical WAL")
	})
	t.Run("max_replication_slots", func(t *testing.T) {
		t.Parallel()
		_, db := ownServer(t, map[string]string{"max_replication_slots": "1"})
		db.Exec(t, `select pg_create_logical_replication_slot('taken', 'pgoutput')`)
		_, err := Setup(t.Context(), testOptions(db))
		wantSetupError(t, err, nil, "all replication slots", "max_replication_slots")
	})
	t.Run("max_wal_senders", func(t *testing.T) {
		t.Parallel()
		_, db := ownServer(t, map[string]string{"max_wal_senders": "1"})
		first := start(t, testOptions(db), nil)
		first.connected()
		o := testOptions(db)
		o.Slot += "x"
		if _, err := Setup(t.Context(), o); !Retryable(err) || !strings.Contains(err.Error(), "max_wal_senders") {
			t.Errorf("with all walsenders taken: %v", err)
		}
	})
}

// A slot waits for every open transaction; the wait is bounded, explained, and leaves nothing behind (F24).
func TestSlotCreationIsBlocked(t *testing.T) {
	t.Parallel()
	_, db := ownServer(t, nil)
	pool := db.Pool(t)
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	pid := scalar[int](t, tx, `select pg_backend_pid()`)
	insert(t, tx, "open")
	none := func() {
		t.Helper()
		if n := scalar[int](t, pool, `select count(*) from pg_replication_slots`); n != 0 {
			t.Errorf("%d slots left", n)
		}
	}

	t.Run("until lock_timeout", func(t *testing.T) {
		o := testOptions(db)
		o.LockTimeout = 200 * time.Millisecond
		_, err := Setup(t.Context(), o)
		if !Retryable(err) || !strings.Contains(err.Error(), fmt.Sprintf("pid %d (role ", pid)) {
			t.Errorf("blocked by %d: %v", pid, err)
		}
		none()
	})
	t.Run("until the context ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		creating := make(chan error, 1)
		go func() {
			_, err := Setup(ctx, testOptions(db))
			creating <- err
		}()
		awaitSlot(t, pool)
		cancel()
		if err := <-creating; err == nil {
			t.Error("no error")
		}
		none()
	})
	t.Run("by a creator that never answers", func(t *testing.T) {
		o := testOptions(db).withDefaults()
		conn, err := openCreator(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		creating := make(chan error, 1)
		go func() {
			_, _, err := query[struct{}](context.Background(), conn, "create_slot", o.Slot)
			creating <- err
		}()
		awaitSlot(t, pool)
		if err := abandonSlot(t.Context(), o, conn.PID()); err != nil {
			t.Error(err)
		}
		if err := <-creating; err == nil {
			t.Error("the slot was created")
		}
		none()
	})
	// Where transactions overlap for ever, each shorter than a try in the end, a slot can be made only in this way.
	t.Run("for twice as long at each try", func(t *testing.T) {
		o := testOptions(db)
		o.LockTimeout = 50 * time.Millisecond
		waited := make(chan string, 100)
		o.Logger = zerolog.New(writerFunc(func(line []byte) (int, error) {
			if _, after, found := strings.Cut(string(line), "it waited "); found {
				waited <- strings.Fields(after)[0]
			}
			return len(line), nil
		}))
		r := start(t, o, nil)
		for _, want := range []string{"50ms", "100ms", "200ms"} {
			select {
			case got := <-waited:
				if got != want {
					t.Fatalf("it waited %s, want %s", got, want)
				}
			case <-time.After(patience):
				t.Fatalf("it doesn't wait %s", want)
			}
		}
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.connected()
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// awaitSlot waits until a slot is being created: pg_stat_activity has no event to wait for, so the server itself
// does the waiting, in one statement.
func awaitSlot(t *testing.T, on execer) {
	t.Helper()
	scalar[int](t, on, `with recursive looking as (
		select 1 as turn, 0::bigint as slots
		union all
		select turn + 1, (select count(*) from pg_get_replication_slots() s, pg_sleep(0.01) where turn > 0)
		from looking where slots = 0 and turn < 1000)
		select max(slots)::int from looking`)
}
