//go:build unix

package faults

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/walpost/walpost/internal/pgtest"
)

// endSlotReader ends the walsender and waits for it, so that the slot may be changed. Its walpost is frozen meanwhile.
const endSlotReader = "select pg_terminate_backend(active_pid, 10000) from pg_replication_slots where slot_name = '{slot}' and active_pid is not null"

// loss breaks the stream until somebody undoes it. walpost must stop with a SetupError and an incident, whether it runs when
// that happens or is started afterwards, and deliver nothing wrongly. Afterwards it must deliver what the stream has missed.
type loss struct {
	name     string
	incident string
	says     string // in the log
	sql      []string
	undo     string
}

var losses = []loss{
	{
		"publication dropped", "publication_lost", "publication",
		[]string{"drop publication faults", endSlotReader},
		"create publication faults for table outbox with (publish = 'insert')",
	},
	{
		"table taken from the publication", "publication_lost", "does not have the table",
		[]string{"create table other ()", "alter publication faults set table other", endSlotReader},
		"alter publication faults set table outbox",
	},
	{
		"inserts taken from the publication", "publication_lost", "does not publish inserts",
		[]string{"alter publication faults set (publish = 'update')", endSlotReader},
		"alter publication faults set (publish = 'insert')",
	},
	{
		"rows hidden by the publication", "publication_lost", "hides rows",
		[]string{"alter publication faults set table outbox where (aggregate_type = 'nobody')", endSlotReader},
		"alter publication faults set table outbox",
	},
}

// lossPatience is more than the time between two looks at the publication, 30 s.
const lossPatience = 45 * time.Second

func TestLosses(t *testing.T) {
	t.Parallel()
	for _, loss := range losses {
		for _, when := range []string{"under a running walpost", "while it is down"} {
			t.Run(loss.name+" "+when, func(t *testing.T) {
				t.Parallel()
				l := startLoss(t)
				l.insertAndAwait(t, "before")
				running := when == "under a running walpost"
				if running {
					l.freeze(t)
				} else if _, err := l.drainWell(t.Context()); err != nil {
					t.Fatal(err)
				}
				l.insert(t, "between") // it is in the WAL that walpost has not read
				for _, sql := range loss.sql {
					if err := l.exec(t.Context(), strings.ReplaceAll(sql, "{slot}", l.slot)); err != nil {
						t.Fatal(err)
					}
				}
				n := l.resume(t, running)
				select {
				case <-n.done:
				case <-time.After(lossPatience):
					t.Fatalf("walpost goes on:\n%s", n.log)
				}
				if n.code != exitSetup || !strings.Contains(n.log.String(), loss.says) {
					t.Errorf("status %d, and %q isn't in its log:\n%s", n.code, loss.says, n.log)
				}
				l.wantIncident(t, loss.incident)
				l.wantOnly(t, "before", "between")
				l.insert(t, "meanwhile") // in no stream
				if err := l.exec(t.Context(), loss.undo); err != nil {
					t.Fatal(err)
				}
				l.resume(t, false)
				l.insertAndAwait(t, "after")
				l.awaitArrival(t, "between")
				l.awaitArrival(t, "meanwhile")
				l.await(t, "select count(*) = 1 and bool_and(resolved_at is not null and lsn_to > lsn_from) from walpost.incident")
				l.wantOnly(t, "before", "between", "meanwhile", "after")
			})
		}
	}
}

// lostSlots are what happens to slots, and whether to a walpost that runs. A frozen one has what was sent to it before, and
// an advanced slot may not be ahead of that.
var lostSlots = []struct {
	name string
	end  string // of walpost, before: frozen, drained or killed
	sql  []string
}{
	{"dropped under a running walpost", "frozen", []string{"select pg_drop_replication_slot('{slot}')"}},
	{"dropped while it is down", "drained", []string{"select pg_drop_replication_slot('{slot}')"}},
	{"made anew under a running walpost", "frozen", makeAnew},
	{"made anew while it is down", "drained", makeAnew},
	{"made anew after a kill", "killed", makeAnew},
	{"advanced while it is down", "drained", advance},
	{"advanced after a kill", "killed", advance},
}

var advance = []string{"select pg_replication_slot_advance('{slot}', pg_current_wal_insert_lsn())"}

var makeAnew = []string{
	"select pg_drop_replication_slot('{slot}')", "select pg_create_logical_replication_slot('{slot}', 'pgoutput')",
}

// TestLostSlotIsRecovered: the rows that went with the slot are read from the table, and the incident is resolved.
func TestLostSlotIsRecovered(t *testing.T) {
	t.Parallel()
	for _, lost := range lostSlots {
		t.Run(lost.name, func(t *testing.T) {
			t.Parallel()
			l := startLoss(t)
			l.insertAndAwait(t, "before")
			l.await(t, "select snapshot is not null from walpost.checkpoint")
			switch lost.end {
			case "frozen":
				l.freeze(t)
			case "drained":
				if _, err := l.drainWell(t.Context()); err != nil {
					t.Fatal(err)
				}
			case "killed":
				l.runner.kill()
			}
			l.insert(t, "between")
			for _, sql := range append([]string{endSlotReader}, lost.sql...) {
				if err := l.exec(t.Context(), strings.ReplaceAll(sql, "{slot}", l.slot)); err != nil {
					t.Fatal(err)
				}
			}
			l.resume(t, lost.end == "frozen")
			l.insertAndAwait(t, "after")
			l.await(t, "select count(*) = 1 and bool_and(resolved_at is not null) from walpost.incident where kind = 'slot_lost'")
			for _, event := range []string{"before", "between"} {
				l.awaitArrival(t, event)
			}
			l.wantOnly(t, "before", "between", "after")
		})
	}
}

// await waits until a query gives true.
func (l *lossGround) await(t *testing.T, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := l.with(ctx, func(conn *pgx.Conn) error {
		for ok := false; !ok; {
			if err := conn.QueryRow(ctx, "select coalesce(("+sql+"), false) from pg_sleep(0.02)").Scan(&ok); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// lossGround is a ground with rows of its own.
type lossGround struct {
	*ground
	kept *run
}

func startLoss(t *testing.T) *lossGround {
	t.Helper()
	db := pgtest.New(t)
	g, err := prepare(t.Context(), &streaming, db.URL, db.Name, logFolder(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.close)
	if err := g.runner.start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := g.runner.awaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return &lossGround{ground: g}
}

func (l *lossGround) insert(t *testing.T, id string) {
	t.Helper()
	payload := fmt.Sprintf(`{"contact": {"id": %q}}`, id)
	err := l.exec(t.Context(), fmt.Sprintf(`insert into public.outbox (aggregate_type, aggregate_id, event_type, payload)
		values ('contact', '7', 'contact.tagged', '%s')`, payload))
	if err != nil {
		t.Fatal(err)
	}
}

// insertAndAwait inserts a row and waits until each webhook has it.
func (l *lossGround) insertAndAwait(t *testing.T, id string) {
	t.Helper()
	l.insert(t, id)
	l.awaitArrival(t, id)
}

// awaitArrival waits until every delivery of an event has arrived, also one that an endpoint refuses at first.
func (l *lossGround) awaitArrival(t *testing.T, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for list := kinds[0].deliveries(id); l.receiver.arrived(list) < len(list); {
		select {
		case <-l.receiver.heard:
		case <-ctx.Done():
			t.Fatalf("%s doesn't arrive:\n%s", id, l.state())
		}
	}
}

// freeze stops walpost for as long as the damage is being done.
func (l *lossGround) freeze(t *testing.T) {
	t.Helper()
	if l.kept = l.runner.current(true); l.kept == nil {
		t.Fatal("walpost doesn't run")
	}
	l.kept.signal(syscall.SIGSTOP)
}

// resume lets the process go on, or starts another, and gives it.
func (l *lossGround) resume(t *testing.T, running bool) *run {
	t.Helper()
	if running {
		l.kept.signal(syscall.SIGCONT)
		return l.kept
	}
	if err := l.runner.start(); err != nil {
		t.Fatal(err)
	}
	l.runner.mu.Lock()
	defer l.runner.mu.Unlock()
	n := l.runner.runs[len(l.runner.runs)-1]
	n.asked = true // its end is expected
	return n
}

func (l *lossGround) wantIncident(t *testing.T, kind string) {
	t.Helper()
	err := l.with(t.Context(), func(conn *pgx.Conn) error {
		rows, _ := conn.Query(t.Context(), "select kind from walpost.incident where resolved_at is null")
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if len(found) != 1 || found[0] != kind {
			t.Errorf("incidents %v, want %s", found, kind)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// wantOnly checks that nothing has arrived but what may have.
func (l *lossGround) wantOnly(t *testing.T, events ...string) {
	t.Helper()
	l.receiver.mu.Lock()
	defer l.receiver.mu.Unlock()
	for d, all := range l.receiver.book {
		known := false
		for _, event := range events {
			known = known || d.event == event
		}
		for i := range all {
			if !known || d.topic != "contact.tagged" || all[i].id != all[0].id || all[i].body != all[0].body {
				t.Errorf("arrived: %v %+v", d, all[i])
			}
		}
	}
	for _, p := range l.problems {
		t.Error(p)
	}
}
