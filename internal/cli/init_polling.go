package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/daemon"
	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/outbox"
)

// printPollingSQL prints all that run would do to a database that is polled, and the trigger, which is the host's choice.
func (i *initialization) printPollingSQL() error {
	t := i.config.Outbox.Table
	commented := "-- " + strings.ReplaceAll(t.NotifyDDL(), "\n", "\n-- ")
	_, err := fmt.Fprintf(i.Stdout, `-- What walpost needs to poll, in this order. Run it with psql -f, not in one transaction (-1).

-- 1. The table that the application inserts its events into.
%s

-- 2. The transaction that inserted a row, and an index to find new rows by. Adding the column rewrites nothing, but waits
--    for everybody who uses the table and keeps others out meanwhile: with the timeout it gives up, so try again.
set lock_timeout = '5s';
%s
reset lock_timeout;
%s

-- 3. The ledger.
%s
-- 4. If you like: have walpost look at the table as soon as something is committed, not only every poll_interval. Commits
--    that notify wait for each other, and what has notified can't be prepared for a two-phase commit.
%s
`, t.DDL(), t.XIDColumnDDL(), t.XIDIndexDDL(), ledger.SchemaSQL(), commented)
	return err
}

// makePollable gives the table what polling needs, after it has shown how, and makes the checkpoint that polling begins
// with: what is committed from now on is delivered, as with a slot.
func (i *initialization) makePollable(ctx context.Context, book *ledger.Ledger) error {
	made, err := i.addPollingColumn(ctx)
	if err != nil {
		return err
	}
	i.say("column, index", made, outbox.XIDColumn)
	at, err := cdc.PollSetup(ctx, daemon.PollOptions(i.config, zerolog.Nop()))
	if err != nil {
		return err
	}
	o := i.config.Outbox
	saved, err := book.Checkpoint(ctx, o.Slot)
	if err != nil {
		return err
	}
	if saved == nil && o.Start == config.StartNow {
		if err := beginPolling(ctx, book, o.Slot, at); err != nil {
			return err
		}
		i.say("checkpoint", true, o.Slot+" at "+at.Start.String())
		if i.adopted {
			return i.sayOlder(ctx)
		}
		return nil
	}
	if saved != nil {
		i.say("checkpoint", false, o.Slot)
	}
	return nil
}

// beginPolling makes the first checkpoint.
func beginPolling(ctx context.Context, book *ledger.Ledger, name string, at cdc.Identity) error {
	epoch, err := book.Acquire(ctx, name, at.SystemID, at.Timeline, 0)
	if err != nil {
		return err
	}
	return book.SaveCheckpoint(ctx, ledger.Checkpoint{
		Slot: name, Timeline: at.Timeline, Epoch: epoch, Snapshot: at.Snapshot, SnapshotLSN: uint64(at.Start), Coverage: daemon.CoveragePolled, Drained: true,
	})
}

// addPollingColumn adds column and index where they are missing.
func (i *initialization) addPollingColumn(ctx context.Context) (made bool, err error) {
	conn, err := pgx.Connect(ctx, i.config.Database.URL.Reveal())
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // all is done by then
	t := i.config.Outbox.Table
	const there = `select exists (select from pg_catalog.pg_attribute where attrelid = $1::text::regclass and attname = $2 and not attisdropped)`
	var exists bool
	if err := conn.QueryRow(ctx, there, t.Identifier(), outbox.XIDColumn).Scan(&exists); err != nil {
		return false, fmt.Errorf("look at the outbox table: %w", err)
	}
	if exists {
		return false, nil
	}
	if _, err := fmt.Fprintf(i.Stdout, "%s\n%s\n\n", t.XIDColumnDDL(), t.XIDIndexDDL()); err != nil {
		return false, err
	}
	if _, err := conn.Exec(ctx, "set lock_timeout = '5s'"); err != nil {
		return false, fmt.Errorf("limit the time for the table's lock: %w", err)
	}
	_, err = conn.Exec(ctx, t.XIDColumnDDL())
	var server *pgconn.PgError
	if errors.As(err, &server) && server.Code == "55P03" {
		return false, failed("try again, at a quieter time", "others use the table %s, so the column could not be added within 5 s", tableName(t))
	}
	if err == nil {
		_, err = conn.Exec(ctx, t.XIDIndexDDL())
	}
	if err != nil {
		return false, fmt.Errorf("prepare the outbox table for polling: %w", err)
	}
	return true, nil
}
