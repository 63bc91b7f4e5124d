package cdc

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/walpost/walpost/internal/pgtest"
)

// book keeps what a daemon's ledger would: the checkpoint with its snapshot, and losses that are not recovered.
type book struct {
	mu     sync.Mutex
	resume *Resume
	losses []Loss
	// coverage is that of the latest connection
	coverage string
	until    LSN // a checkpoint at or above it ends the recovery
}

// keep makes a Source use the book.
func (b *book) keep(s *Source) {
	s.opts.Resume = func(context.Context) (*Resume, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.resume == nil {
			return nil, nil
		}
		resume := *b.resume
		return &resume, nil
	}
	s.opts.Lost = func(_ context.Context, loss Loss) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.resume.Recovering, b.until = true, 0
		b.losses = append(b.losses, loss)
		return nil
	}
	acquired := s.opts.Acquired
	s.opts.Acquired = func(ctx context.Context, id Identity) error {
		b.mu.Lock()
		if id.Recovery != nil {
			b.until = id.Recovery.End
		}
		b.coverage = id.Coverage
		b.mu.Unlock()
		return acquired(ctx, id)
	}
}

// save saves a checkpoint at what is resolved, with a snapshot that is older.
func (b *book) save(r *running, snapshot string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, ok := r.Progress()
	if !ok {
		r.t.Fatal("no progress to save")
	}
	if b.resume == nil {
		b.resume = &Resume{}
	}
	b.resume.LSN = p.LSN()
	if snapshot != "" {
		b.resume.Snapshot, b.resume.Coverage = snapshot, b.coverage
	}
	if b.until != 0 && p.LSN() >= b.until {
		b.resume.Recovering = false
	}
	r.Confirm(p)
}

func (b *book) seen() (losses int, recovering bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.losses), b.resume.Recovering
}

// mark is a watermark: a snapshot that surely sees all rows that are committed by now. The transactions of other tests,
// whose databases are on the same server, can keep it from that for a while. Those that it waits for are older than the
// rows, so tests that keep transactions open of their own never wait for each other in a circle.
func mark(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	newest := scalar[int64](t, pool, `select coalesce(max(xmin::text::bigint), 0) from outbox`)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		snapshot := scalar[string](t, pool, `select pg_current_snapshot()::text`)
		s, err := parseSnapshot(snapshot)
		if err != nil {
			t.Fatal(err)
		}
		if s.xmin > newest {
			return snapshot
		}
		scalar[bool](t, pool, `select pg_sleep(0.01) is null`) // the end of another session gives no signal
	}
	t.Fatal("an older transaction of another test doesn't end")
	return ""
}

// checkpointed streams one row, "seen", and stops with a checkpoint whose snapshot sees it.
func checkpointed(t *testing.T, o Options, pool *pgxpool.Pool) *book {
	t.Helper()
	b := &book{}
	r := start(t, o, nil, b.keep)
	r.connected()
	insert(t, pool, "seen")
	snapshot := mark(t, pool)
	insert(t, pool, "after the mark")
	rows := r.next(2)
	resolve(rows)
	r.settle(rows[1])
	b.save(r, snapshot)
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	return b
}

func begin(t *testing.T, pool *pgxpool.Pool) pgx.Tx {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

func commit(t *testing.T, tx pgx.Tx) {
	t.Helper()
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func rollback(t *testing.T, tx pgx.Tx) {
	t.Helper()
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// dropUnderReader ends whoever reads the slot, and drops it.
func dropUnderReader(t *testing.T, db *pgtest.Database) {
	t.Helper()
	db.Exec(t, `do $$ begin
		loop
			begin
				perform pg_terminate_backend(active_pid, 5000) from pg_replication_slots where slot_name = '`+db.Name+`' and active_pid is not null;
				perform pg_drop_replication_slot('`+db.Name+`');
				return;
			exception when object_in_use then -- its reader was quicker
			end;
		end loop;
	end $$`)
}

func sorted(values []string) []string {
	slices.Sort(values)
	return values
}

// What the checkpoint's snapshot doesn't see is read, and nothing else: neither rolled-back nor deleted rows nor what it
// sees. Transactions that were running then count as not seen, with their savepoints, however low their ids are.
func TestLostSlotIsRecoveredFromTheTable(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	o := testOptions(db)
	b := &book{}
	r := start(t, o, nil, b.keep)
	r.connected()
	insert(t, pool, "seen")

	late := begin(t, pool) // its id is lower than that of all that follow
	insert(t, late, "late")
	savepoint := begin2(t, late)
	insert(t, savepoint, "late, under a savepoint")
	commit(t, savepoint)
	undone := begin2(t, late)
	insert(t, undone, "ghost of a savepoint")
	rollback(t, undone)
	never := begin(t, pool)
	insert(t, never, "ghost")
	snapshot := mark(t, pool)
	rows := r.next(1)
	resolve(rows)
	r.settle(rows[0])
	b.save(r, snapshot)
	if err := r.end(); err != nil {
		t.Fatal(err)
	}

	insertEach(t, pool, "2", "3")
	commit(t, late)
	rollback(t, never)
	insertEach(t, pool, "deleted", "4")
	db.Exec(t, `delete from outbox where aggregate_id = 'deleted'`)
	dropSlotNow(t, db, db.Name)

	again := start(t, o, nil, b.keep)
	id := again.connected()
	if id.Recovery == nil || id.Recovery.Rows != 5 || id.Start != id.Recovery.Position {
		t.Errorf("identity %+v, recovery %+v", id, id.Recovery)
	}
	recovered := again.next(5)
	equal(t, "read from the table", sorted(ids(recovered)), sorted([]string{"late", "late, under a savepoint", "2", "3", "4"}))
	for i, row := range recovered {
		if !row.Recovered || row.CommitLSN != id.Recovery.Position || row.Ordinal != i || time.Since(row.CommitTime) > time.Minute {
			t.Errorf("row %+v", row)
		}
	}
	insert(t, pool, "5")
	streamed := again.next(1)
	equal(t, "streamed", ids(streamed), []string{"5"})
	if streamed[0].Recovered {
		t.Error("a streamed row is marked as recovered")
	}
	// Nothing moves before all that was read is resolved.
	resolve(streamed)
	resolve(recovered[1:])
	if p, ok := again.Progress(); ok {
		t.Errorf("position %+v passed an unresolved row", p)
	}
	recovered[0].Resolve()
	again.settle(streamed[0])
	b.save(again, "")
	if losses, recovering := b.seen(); losses != 1 || recovering {
		t.Errorf("%d losses, recovering %t", losses, recovering)
	}
	if err := again.end(); err != nil {
		t.Fatal(err)
	}
	// It is over: the next start streams.
	last := start(t, o, nil, b.keep)
	last.connected()
	insert(t, pool, "6")
	equal(t, "streamed", ids(last.next(1)), []string{"6"})
}

func begin2(t *testing.T, tx pgx.Tx) pgx.Tx {
	t.Helper()
	inner, err := tx.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return inner
}

// recoveredAfter waits for a connection whose recovery is a later one; before, the ended reader may have come back.
func (r *running) recoveredAfter(last LSN) LSN {
	r.t.Helper()
	for {
		if id := r.connected(); id.Recovery != nil && id.Recovery.Position > last {
			return id.Recovery.Position
		}
	}
}

// A transaction that had arrived in part, and others that wait to be resolved, are whole after the recovery.
func TestSlotLostUnderTheStream(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	o := testOptions(db)
	b := checkpointed(t, o, pool)
	r := start(t, o, nil, b.keep)
	r.connected()
	insertEach(t, pool, "1", "2")
	held := r.next(2)
	dropUnderReader(t, db)
	insertEach(t, pool, "3", "4")
	r.recoveredAfter(0)
	got := ids(r.next(5))
	equal(t, "read from the table", sorted(got), []string{"1", "2", "3", "4", "after the mark"})
	if p, ok := r.Progress(); ok && p.Commit() >= held[0].CommitLSN {
		t.Errorf("position %+v passed an unresolved row of the old slot", p)
	}
}

// F18
func TestInvalidatedSlotIsRecovered(t *testing.T) {
	t.Parallel()
	_, db := ownServer(t, map[string]string{"max_slot_wal_keep_size": "1MB"})
	pool := db.Pool(t)
	o := testOptions(db)
	b := checkpointed(t, o, pool)
	for _, id := range sequence(1, 4) {
		insert(t, pool, id)
		scalar[string](t, pool, `select pg_switch_wal()::text`)
	}
	db.Exec(t, `checkpoint`)
	if status := scalar[string](t, pool, `select wal_status from pg_replication_slots where slot_name = $1`, db.Name); status != "lost" {
		t.Fatalf("the slot is %s", status)
	}
	r := start(t, o, nil, b.keep)
	r.connected()
	equal(t, "read from the table", ids(r.next(5)), append([]string{"after the mark"}, sequence(1, 4)...))
	insert(t, pool, "5")
	equal(t, "streamed", ids(r.next(1)), []string{"5"})
}

// F19: from Postgres 18 on a slot that nobody reads may be given up.
func TestIdleSlotThatWasInvalidatedIsRecovered(t *testing.T) {
	t.Parallel()
	const since = 180000
	if scalar[int](t, newOutbox(t).Pool(t), `select current_setting('server_version_num')::int`) < since {
		return // there is no such thing
	}
	_, db := ownServer(t, map[string]string{"idle_replication_slot_timeout": "1s"})
	pool := db.Pool(t)
	o := testOptions(db)
	b := checkpointed(t, o, pool)
	insert(t, pool, "1")
	for deadline := time.Now().Add(patience); scalar[string](t, pool, `select coalesce(invalidation_reason, '') from pg_replication_slots where slot_name = $1`, db.Name) == ""; {
		if time.Now().After(deadline) {
			t.Fatal("the slot stays valid")
		}
		scalar[bool](t, pool, `select pg_sleep(0.3) is null`)
		db.Exec(t, `checkpoint`)
	}
	r := start(t, o, nil, b.keep)
	r.connected()
	equal(t, "read from the table", ids(r.next(2)), []string{"after the mark", "1"})
	if losses := b.losses; len(losses) != 1 || !strings.Contains(losses[0].Reason, "idle_timeout") {
		t.Errorf("losses %+v", losses)
	}
}

// A recovery that was cut off begins anew from the same snapshot, by whoever comes.
func TestRecoveryThatWasCutOffBeginsAnew(t *testing.T) {
	t.Parallel()
	const n = 3000
	db, pool := outboxDatabase(t)
	o := testOptions(db)
	o.MaxBatchRows, o.Buffer = 10, 1
	b := checkpointed(t, o, pool)
	insert(t, pool, sequence(1, n)...)
	dropSlotNow(t, db, db.Name)
	for try := range 3 {
		r := start(t, o, nil, b.keep)
		resolve(r.next(100 * (try + 1))) // it is in the middle
		if p, ok := r.Progress(); ok {
			t.Errorf("position %+v", p)
		}
		if err := r.end(); err != nil {
			t.Fatal(err)
		}
	}
	r := start(t, o, nil, b.keep)
	rows := r.next(n + 1)
	equal(t, "read from the table", sorted(ids(rows)), sorted(append(sequence(1, n), "after the mark")))
	r.connected()
	// The stream is cut, and this process has read the gap: it isn't read again.
	db.Exec(t, `select pg_terminate_backend(active_pid, 5000) from pg_replication_slots where slot_name = $1`, db.Name)
	r.connected()
	insert(t, pool, "next")
	equal(t, "streamed", ids(r.next(1)), []string{"next"})
	if _, recovering := b.seen(); !recovering {
		t.Error("recovered, though nothing is resolved")
	}
}

// Two processes: one reads, the other waits, and nobody streams past what isn't read.
func TestOnlyOneRecovers(t *testing.T) {
	t.Parallel()
	const n = 500
	db, pool := outboxDatabase(t)
	o := testOptions(db)
	o.MaxBatchRows, o.Buffer = 10, 1
	b := checkpointed(t, o, pool)
	insert(t, pool, sequence(1, n)...)
	dropSlotNow(t, db, db.Name)
	first := start(t, o, nil, b.keep)
	rows := first.next(10)
	second := start(t, o, nil, b.keep)
	deadline := time.After(patience)
	for second.Stats().LastError == "" {
		select {
		case <-deadline:
			t.Fatal("the second doesn't wait")
		case <-second.acquired:
			t.Fatal("the second streams")
		case <-time.After(10 * time.Millisecond):
		}
	}
	rows = append(rows, first.next(n-9)...)
	first.connected()
	resolve(rows)
	insert(t, pool, "next")
	next := first.next(1)
	resolve(next)
	first.settle(next[0])
	b.save(first, "")
	if err := first.end(); err != nil {
		t.Fatal(err)
	}
	second.connected()
	insert(t, pool, "last")
	equal(t, "of the second", ids(second.next(1)), []string{"last"})
	if losses, recovering := b.seen(); losses != 1 || recovering {
		t.Errorf("%d losses, recovering %t", losses, recovering)
	}
}

func TestRecoveriesAreBounded(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	b := checkpointed(t, testOptions(db), pool)
	r := start(t, testOptions(db), nil, b.keep)
	r.connected()
	var last LSN
	for range maxRecoveries {
		dropUnderReader(t, db)
		last = r.recoveredAfter(last)
	}
	dropUnderReader(t, db)
	wantSetupError(t, r.failure(), ErrSlotLost, "recovered 3 times", "max_slot_wal_keep_size")
}

func TestNothingIsRecoveredWithoutAPublication(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	b := checkpointed(t, testOptions(db), pool)
	dropSlotNow(t, db, db.Name)
	db.Exec(t, `drop publication walpost`)
	wantSetupError(t, start(t, testOptions(db), nil, b.keep).failure(), ErrPublicationLost, "is gone", "create publication", "reads from the table")
	if losses, _ := b.seen(); losses != 0 {
		t.Errorf("%d losses", losses)
	}
}

func TestNothingIsRecoveredWithoutASnapshot(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	b := checkpointed(t, testOptions(db), pool)
	b.resume.Snapshot = ""
	dropSlotNow(t, db, db.Name)
	wantSetupError(t, start(t, testOptions(db), nil, b.keep).failure(), ErrSlotLost, "slot is gone", "adopt --start")
}

// What was read in a term that has ended is read again, in the middle of the reading and after it: its rows were forgotten,
// and nobody else may have them.
func TestRecoveryIsReadAgainAfterAnEndedTerm(t *testing.T) {
	t.Parallel()
	const n = 300
	db, pool := outboxDatabase(t)
	o := testOptions(db)
	b := checkpointed(t, o, pool)
	insert(t, pool, sequence(1, n)...)
	dropSlotNow(t, db, db.Name)
	all := sorted(append(sequence(1, n), "after the mark"))

	l := newLead()
	o.Lead, o.MaxBatchRows, o.Buffer = l.ask, 10, 1
	r := start(t, o, nil, b.keep)
	term, depose := context.WithCancel(t.Context())
	l.won <- term
	first := r.next(100)
	depose()

	b.supersede()
	term, depose = context.WithCancel(t.Context())
	again := r.leadAndTake(l, term, &first, n+1)
	equal(t, "read in the second term", sorted(ids(again)), all)
	r.connected()
	depose()

	b.supersede()
	whole := r.leadAndTake(l, t.Context(), &again, n+1)
	equal(t, "read in the third term", sorted(ids(whole)), all)
	r.connected()
	resolve(first) // late: moves nothing
	resolve(again)
	if p, ok := r.Progress(); ok {
		t.Errorf("position %+v passed rows that were read", p)
	}
	insert(t, pool, "next")
	streamed := r.next(1)
	resolve(append(whole, streamed...))
	r.settle(streamed[0])
	b.save(r, "")
	if losses, recovering := b.seen(); losses != 1 || recovering {
		t.Errorf("%d losses, recovering %t", losses, recovering)
	}
}

// supersede makes the next connection forget what was received.
func (b *book) supersede() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.resume.Superseded = true
}

// leadAndTake begins a term and takes n rows that count. What had been handed over of an earlier one is put to old: it is
// obsolete once the term has begun.
func (r *running) leadAndTake(l *lead, term context.Context, old *[]Row, n int) (rows []Row) {
	r.t.Helper()
	for won := false; !won; { // what waits to be handed over comes before the lead is asked for
		select {
		case l.won <- term:
			won = true
		case batch := <-r.Batches():
			*old = append(*old, batch...)
		case <-time.After(patience):
			r.t.Fatal("nobody asks for the lead")
		}
	}
	for len(rows) < n {
		rows = append(rows, r.next(n-len(rows))...)
		rows = slices.DeleteFunc(rows, func(row Row) bool {
			if row.Obsolete() {
				*old = append(*old, row)
			}
			return row.Obsolete()
		})
	}
	return rows
}
