package cdc

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
)

// slot is a row of pg_replication_slots, with the columns that the server's version has.
type slot struct {
	Type         string `json:"slot_type"`
	Plugin       string `json:"plugin"`
	Database     string `json:"database"`
	ActivePID    int    `json:"active_pid"`
	Confirmed    string `json:"confirmed_flush_lsn"`
	WALStatus    string `json:"wal_status"`          // from 13
	Invalidation string `json:"invalidation_reason"` // from 17
	Synced       bool   `json:"synced"`              // from 17

	confirmed LSN
	created   bool  // by us, just now
	lost      error // why the server has invalidated it; nil = it has not
}

// findSlot returns nil when there is none, and refuses one that can't serve us.
func findSlot(ctx context.Context, conn *pgconn.PgConn, o Options) (*slot, error) {
	type document struct {
		Slot     slot   `json:"slot"`
		Database string `json:"database"`
	}
	d, ok, err := query[document](ctx, conn, "slot", o.Slot)
	if err != nil || !ok {
		return nil, err
	}
	s := &d.Slot
	switch {
	case s.Type != "logical":
		return nil, foreignSlot(o, "it is a physical slot", nil)
	case s.Plugin != "pgoutput":
		return nil, foreignSlot(o, fmt.Sprintf("its output plugin is %s, not pgoutput", s.Plugin), nil)
	case s.Database != d.Database:
		return nil, foreignSlot(o, fmt.Sprintf("it was created in database %q, this is %q", s.Database, d.Database), nil)
	case s.WALStatus == "lost" || s.Invalidation != "":
		reason := s.Invalidation
		if reason == "" {
			reason = "its WAL was removed (max_slot_wal_keep_size)"
		}
		s.lost = errors.New(reason)
		return s, nil
	}
	if s.Confirmed != "" {
		if s.confirmed, err = pglogrepl.ParseLSN(s.Confirmed); err != nil {
			return nil, fmt.Errorf("read the position of slot %q: %w", o.Slot, err)
		}
	}
	return s, nil
}

// createSlot creates the slot in a session of its own. Its creation waits for every open transaction of the
// cluster; when lock_timeout or the end of ctx cuts that short, no slot is left behind.
func createSlot(ctx context.Context, o Options, serverVersion int) (*slot, error) {
	conn, err := openCreator(ctx, o)
	if err != nil {
		return nil, classify(err, o)
	}
	defer closeOrdinary(ctx, conn)

	file := "create_slot"
	if serverVersion >= 170000 {
		file = "create_slot_failover"
	}
	type document struct{ LSN string }
	made, _, err := queryLong[document](ctx, conn, file, o.Slot)
	if err == nil && ctx.Err() != nil {
		return nil, dropSlot(ctx, conn, o)
	}
	if err == nil {
		s := &slot{created: true}
		if s.confirmed, err = pglogrepl.ParseLSN(made.LSN); err != nil {
			return nil, fmt.Errorf("read the position of slot %q: %w", o.Slot, err)
		}
		return s, nil
	}
	err = fmt.Errorf("create slot %q: %w", o.Slot, err)

	var pg *pgconn.PgError
	switch {
	case !errors.As(err, &pg):
		// No answer: the server may still be at it.
		return nil, errors.Join(err, abandonSlot(ctx, o, conn.PID()))
	case pg.Code == stateLockNotAvailable:
		return nil, slotBlocked(ctx, conn, o, err)
	case pg.Code == stateDuplicateObject:
		return nil, fmt.Errorf("beside another process: %w", err) // found at the next connect
	}
	return nil, classify(err, o) // the server has dropped what it began
}

// dropSlot takes back a slot that was completed just when ctx ended.
func dropSlot(ctx context.Context, conn *pgconn.PgConn, o Options) error {
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if _, _, err := query[struct{}](cleanup, conn, "drop_slot", o.Slot); err != nil {
		return fmt.Errorf("drop slot %q, created as we were stopped: %w", o.Slot, err)
	}
	return fmt.Errorf("create slot %q: %w", o.Slot, ctx.Err())
}

// abandonSlot ends the session that was creating the slot and never answered, so that it can't complete the
// slot after we are gone.
func abandonSlot(ctx context.Context, o Options, creator uint32) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	conn, err := openOrdinary(ctx, o)
	if err != nil {
		return fmt.Errorf("look for a slot left behind: %w", err)
	}
	defer closeOrdinary(ctx, conn)
	type document struct{ Terminated bool }
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for { // until the session is gone, and the slot with it
		d, _, err := query[document](ctx, conn, "terminate_creator", o.Slot, strconv.FormatUint(uint64(creator), 10))
		if err != nil {
			return fmt.Errorf("end the creation of slot %q: %w", o.Slot, err)
		}
		if !d.Terminated {
			return nil
		}
		<-again.C
	}
}

// slotBlocked names those whose transactions were waited for.
func slotBlocked(ctx context.Context, conn *pgconn.PgConn, o Options, cause error) error {
	type blocker struct {
		PID               int // 0 = a prepared transaction
		Application, Role string
		Since             string
	}
	blockers, _, err := query[[]blocker](ctx, conn, "blockers")
	if err != nil {
		return errors.Join(cause, err)
	}
	var names []string
	for _, b := range blockers {
		name := fmt.Sprintf("pid %d", b.PID)
		if b.PID == 0 {
			name = "a prepared transaction (pg_prepared_xacts)"
		}
		var details []string
		for _, detail := range [][2]string{{"role", b.Role}, {"application", b.Application}, {"since", b.Since}} {
			if detail[1] != "" {
				details = append(details, detail[0]+" "+detail[1])
			}
		}
		if len(details) > 0 {
			name += " (" + strings.Join(details, ", ") + ")"
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		names = []string{"none that is still open"}
	}
	return fmt.Errorf("%w; %w %s for open transactions to end: %s", cause, errSlotBlocked, o.LockTimeout, strings.Join(names, "; "))
}
