//go:build unix

package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
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
}

// workload is what all workers did. Every transaction also inserts its number into a table, so that the fate of one whose
// COMMIT was not answered can be read afterwards.
type workload struct {
	url string // past the proxy: the application's network isn't at fault here

	mu     sync.Mutex
	rows   map[string]row
	fates  map[int64]fate
	shapes tally // transactions by shape
	last   int64 // number of a transaction
}

const workloadDDL = `
create table public.faults_committed (transaction bigint primary key);
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

func newWorkload(url string) *workload {
	return &workload{url: url, rows: map[string]row{}, fates: map[int64]fate{}, shapes: tally{}}
}

// begin gives the next transaction its number.
func (w *workload) begin(shape string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last++
	w.fates[w.last] = rolledBack
	w.shapes[shape]++
	return w.last
}

func (w *workload) end(transaction int64, f fate) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fates[transaction] = f
}

func (w *workload) inserted(event string, r row) {
	w.mu.Lock()
	defer w.mu.Unlock()
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

// committed reports whether a row was committed. settle must have been called.
func (w *workload) committed(event string) (row, bool) {
	r, ok := w.rows[event]
	return r, ok && !r.undone && w.fates[r.transaction] == committed
}

// worker is one connection of the application.
type worker struct {
	*workload
	random *rand.Rand
	conn   *pgx.Conn
}

// work commits and rolls back transactions until ctx ends, and connects again whenever the connection is lost.
func (w *workload) work(ctx context.Context, seed uint64, pace time.Duration) {
	one := &worker{workload: w, random: rand.New(rand.NewPCG(seed, 1))}
	defer one.disconnect()
	for ctx.Err() == nil {
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
	w.mu.Lock()
	defer w.mu.Unlock()
	rows, _ := conn.Query(ctx, "select gid from pg_prepared_xacts")
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
	for transaction, f := range w.fates {
		switch {
		case f == open && marked[transaction]:
			w.fates[transaction] = committed
		case f == open:
			w.fates[transaction] = rolledBack
		case (f == committed) != marked[transaction]:
			return fmt.Errorf("transaction %d: the workload has fate %d, the database has it committed: %v", transaction, f, marked[transaction])
		}
	}
	return nil
}

// summary is what the workload did. settle must have been called.
func (w *workload) summary() (rows, ghosts, transactions, rollbacks int) {
	for event := range w.rows {
		if _, ok := w.committed(event); ok {
			rows++
		} else {
			ghosts++
		}
	}
	for _, f := range w.fates {
		if f == committed {
			transactions++
		} else {
			rollbacks++
		}
	}
	return rows, ghosts, transactions, rollbacks
}
