//go:build unix

package faults

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// How far walpost may be behind before the workload waits: bytes of WAL that aren't confirmed, and deliveries that are due. A suite
// that commits more than walpost works off between two kills would play one endless recovery.
const (
	behindBytes = 64 << 20
	behindDue   = 5_000
)

// behindSQL asks for both. A slot that is gone holds nothing, and counts from when it is made anew.
const behindSQL = `select
	coalesce((select max(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)) from pg_replication_slots where slot_name = $1), 0) > $2
	or (select count(*) from (select from walpost.delivery where state in ('pending', 'retrying') and due_at <= walpost.now() limit $3) d) >= $3`

// keepBehind has the workload wait while walpost is far behind. What can't be asked now is as it was.
func (g *ground) keepBehind(ctx context.Context) {
	defer g.workload.waits.Store(false)
	for wait(ctx, 500*time.Millisecond) {
		within, cancel := context.WithTimeout(ctx, 5*time.Second)
		_ = g.with(within, func(conn *pgx.Conn) error {
			var far bool
			if err := conn.QueryRow(within, behindSQL, g.slot, behindBytes, behindDue).Scan(&far); err != nil {
				return err
			}
			if far && !g.workload.waits.Swap(true) {
				g.workload.count("waits for walpost")
			} else if !far {
				g.workload.waits.Store(false)
			}
			return nil
		})
		cancel()
	}
}
