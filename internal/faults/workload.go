//go:build unix

package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// fate is how a transaction ended.
type fate uint8

const (
	open       fate = iota // COMMIT was sent and not answered, or a prepared transaction was left: the database knows
	committed              // COMMIT was answered
	rolledBack             // COMMIT was never sent, or refused
)

// row is an outbox row that was inserted.
type row struct {
	transaction int64
	kind        *kind
	undone      bool // its savepoint was rolled back to
	deleted     bool // by its own transaction: the WAL has it, the table doesn't
	number      int  // counts the rows
	made        time.Time
}

// transaction is one of the application's.
type transaction struct {
	shape string
	fate  fate
	begun time.Time
	ended time.Time // when the answer to its end was there, or it was clear that there is none
	// after and before are positions between which it was committed, of those that delete their rows; before 0: unknown.
	after, before uint64
}

// workload is what all workers did. Every transaction also inserts its number into a table, so that the fate of one whose
// COMMIT was not answered can be read afterwards.
type workload struct {
	source *source
	url    string // past the proxy: the application's network isn't at fault here
	waits  atomic.Bool

	mu           sync.Mutex
	rows         map[string]row
	transactions map[int64]*transaction
	prepared     []int64 // those that were left so, oldest first
	shapes       tally   // transactions by shape
	last         int64   // number of a transaction
}

const workloadDDL = `
create table public.faults_committed (transaction bigint primary key);
create table public.faults_conflict (transaction bigint);
create function public.faults_insert(ids uuid[], types text[], payloads jsonb[], undone boolean[]) returns void
language plpgsql as $$
begin
	for i in 1 .. array_length(ids, 1) loop
		begin
			insert into public.outbox (id, aggregate_type, aggregate_id, event_type, payload)
			values (ids[i], 'contact', ids[i]::text, types[i], payloads[i]);
			if undone[i] then
				raise exception 'undo' using errcode = 'UNDO0';
			end if;
		exception when sqlstate 'UNDO0' then
			null;
		end;
	end loop;
end $$;`

// applicationName tells the workload's sessions from others.
const applicationName = "faults_workload"

func newWorkload(by *source, admin string) *workload {
	return &workload{
		source: by,
		url:    admin + "&application_name=" + applicationName, rows: map[string]row{}, transactions: map[int64]*transaction{}, shapes: tally{},
	}
}

// begin gives the next transaction its number.
func (w *workload) begin(shape string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last++
	w.transactions[w.last] = &transaction{shape: shape, fate: rolledBack, begun: time.Now()}
	w.shapes[shape]++
	return w.last
}

// count counts what is no transaction of its own.
func (w *workload) count(shape string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shapes[shape]++
}

func (w *workload) end(number int64, f fate) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.transactions[number]
	t.fate, t.ended = f, time.Now()
}

// between keeps where in the WAL a transaction was committed.
func (w *workload) between(number int64, after, before uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.transactions[number]
	t.after, t.before = after, before
}

// maxLeft bounds the prepared transactions that are left, and so for how long each is: no slot can be made while one is.
const maxLeft = 2

// leave keeps a prepared transaction for whoever takes it, and reports false if there are too many.
func (w *workload) leave(number int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.prepared) == maxLeft {
		return false
	}
	w.prepared = append(w.prepared, number)
	return true
}

func (w *workload) takeLeft() (number int64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.prepared) == 0 {
		return 0, false
	}
	number, w.prepared = w.prepared[0], w.prepared[1:]
	return number, true
}

func (w *workload) inserted(event string, r row) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.number, r.made = len(w.rows), time.Now()
	w.rows[event] = r
}

func (w *workload) undo(events []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, event := range events {
		r := w.rows[event]
		r.undone = true
		w.rows[event] = r
	}
}

// deleted notes that a row is deleted by its own transaction. Where nobody sees such rows, it is as if it had never been.
func (w *workload) deleted(event string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.rows[event]
	r.deleted, r.undone = true, r.undone || !w.source.seesDeleted
	w.rows[event] = r
}

// committed gives a row and its transaction if it was committed. settle must have been called.
func (w *workload) committed(event string) (row, *transaction, bool) {
	r, ok := w.rows[event]
	t := w.transactions[r.transaction]
	return r, t, ok && !r.undone && t.fate == committed
}

// worker is one connection of the application.
type worker struct {
	*workload
	random *rand.Rand
	conn   *pgx.Conn
	turn   int  // how many transactions it has begun
	first  bool // of the workers
}

// work commits and rolls back transactions until ctx ends, and connects again whenever the connection is lost.
func (w *workload) work(ctx context.Context, seed uint64, number int, pace time.Duration) {
	one := &worker{workload: w, random: rand.New(rand.NewPCG(seed, uint64(number))), first: number == 0}
	defer one.disconnect()
	for ctx.Err() == nil {
		if w.waits.Load() {
			wait(ctx, 100*time.Millisecond)
			continue
		}
		// A transaction is not cut by the end of the run: the faults do that.
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		if err := one.transact(within); err != nil {
			one.disconnect()
		}
		cancel()
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(one.random.Int64N(int64(2 * pace)))):
		}
	}
}

func (w *worker) disconnect() {
	if w.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = w.conn.Close(ctx) // it may be broken
		w.conn = nil
	}
}

// settle learns from the database what became of transactions whose COMMIT was not answered. It ends prepared
// transactions that were left, half of them by committing. What contradicts the record is an error.
func (w *workload) settle(ctx context.Context, conn *pgx.Conn) error {
	if err := w.awaitSessions(ctx, conn); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	rows, _ := conn.Query(ctx, "select gid from pg_prepared_xacts where database = current_database()")
	left, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("list prepared transactions: %w", err)
	}
	for i, gid := range left {
		verb := [2]string{"commit", "rollback"}[i%2]
		if _, err := conn.Exec(ctx, fmt.Sprintf("%s prepared '%s'", verb, gid)); err != nil {
			return fmt.Errorf("end a prepared transaction: %w", err)
		}
	}
	rows, _ = conn.Query(ctx, "select transaction from public.faults_committed")
	marked := map[int64]bool{}
	var number int64
	if _, err := pgx.ForEachRow(rows, []any{&number}, func() error { marked[number] = true; return nil }); err != nil {
		return fmt.Errorf("read what was committed: %w", err)
	}
	for number, t := range w.transactions {
		switch {
		case t.fate == open && marked[number]:
			t.fate = committed
		case t.fate == open:
			t.fate = rolledBack
		case (t.fate == committed) != marked[number]:
			return fmt.Errorf("transaction %d (%s): the workload has fate %d, the database has it committed: %v", number, t.shape, t.fate, marked[number])
		}
	}
	return nil
}

// awaitSessions waits until the server has ended the workload's sessions: it may still be at a COMMIT whose sender is gone.
func (w *workload) awaitSessions(ctx context.Context, conn *pgx.Conn) error {
	const left = `select count(*) from pg_stat_activity where application_name = $1 and datname = current_database()`
	for {
		var sessions int
		if err := conn.QueryRow(ctx, left, applicationName).Scan(&sessions); err != nil {
			return fmt.Errorf("count the workload's sessions: %w", err)
		}
		if sessions == 0 {
			return nil
		}
		if !wait(ctx, 20*time.Millisecond) {
			return fmt.Errorf("%d sessions of the workload don't end: %w", sessions, ctx.Err())
		}
	}
}

// summary is what the workload did. settle must have been called.
func (w *workload) summary() (rows, ghosts, transactions, rollbacks int) {
	for event := range w.rows {
		if _, _, ok := w.committed(event); ok {
			rows++
		} else {
			ghosts++
		}
	}
	for _, t := range w.transactions {
		if t.fate == committed {
			transactions++
		} else {
			rollbacks++
		}
	}
	return rows, ghosts, transactions, rollbacks
}
