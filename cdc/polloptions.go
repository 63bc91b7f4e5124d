package cdc

import (
	"errors"
	"fmt"
	"time"
)

// PollOptions configure a Poller.
type PollOptions struct {
	// Options say where, from which checkpoint, and in which batches. Slot is only the name of the checkpoint;
	// Publication, Lost and the times of a replication connection are not used. ConnString must lead to a session that is
	// ours alone: to the server itself, or through a pooler in session mode.
	Options
	// ID is the column with the rows' ids: not null, and of a type that can be sorted.
	ID string
	// XID is the column with the id of the transaction that inserted the row: xid8 not null default
	// pg_current_xact_id(). An index begins with XID and ID.
	XID string
	// Interval is the longest time between two looks at the table (1 s).
	Interval time.Duration
	// Channel is listened to: a notification makes the Poller look at once. Empty: none.
	Channel string
}

func (o PollOptions) withDefaults() PollOptions {
	o.Options = o.Options.withDefaults()
	if o.Interval == 0 {
		o.Interval = time.Second
	}
	return o
}

// validate reports every problem at once.
func (o PollOptions) validate() error {
	problems := o.problems()
	for _, name := range [][2]string{{"ID", o.ID}, {"XID", o.XID}} {
		if name[1] == "" {
			problems = append(problems, fmt.Errorf("no column %s", name[0]))
		}
	}
	if o.Interval < time.Millisecond {
		problems = append(problems, fmt.Errorf("interval %s: use at least 1ms", o.Interval))
	}
	if len(problems) == 0 {
		return nil
	}
	return &SetupError{
		Problem: "the options of polling are invalid", Fix: "correct them in the configuration", Err: errors.Join(problems...),
	}
}
