//go:build unix

package faults

import (
	"context"
	"sort"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// marks say when the WAL had reached which position, by the suite's clock: the ledger's is shifted by a fault.
type marks struct {
	mu   sync.Mutex
	list []mark
}

type mark struct {
	lsn uint64
	at  time.Time
}

// markEvery is how far apart marks are, unless Postgres is down.
const markEvery = 100 * time.Millisecond

// keepMarks adds marks until ctx ends.
func (g *ground) keepMarks(ctx context.Context) {
	for ctx.Err() == nil {
		_ = g.with(ctx, func(conn *pgx.Conn) error { // it breaks whenever Postgres does
			for {
				var lsn uint64
				if err := conn.QueryRow(ctx, "select (pg_current_wal_insert_lsn() - '0/0')::bigint").Scan(&lsn); err != nil {
					return err
				}
				g.marks.add(lsn, time.Now())
				if !wait(ctx, markEvery) {
					return nil
				}
			}
		})
	}
}

func (m *marks) add(lsn uint64, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = append(m.list, mark{lsn, at})
}

// below is the latest time at which the WAL surely had not passed a position, zero if there is none.
func (m *marks) below(lsn uint64) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := sort.Search(len(m.list), func(i int) bool { return m.list[i].lsn > lsn })
	if i == 0 {
		return time.Time{}
	}
	return m.list[i-1].at
}

// reached is the earliest time at which it surely had, zero if there is none.
func (m *marks) reached(lsn uint64) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := sort.Search(len(m.list), func(i int) bool { return m.list[i].lsn >= lsn })
	if i == len(m.list) {
		return time.Time{}
	}
	return m.list[i].at
}
