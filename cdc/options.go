package cdc

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/rs/zerolog"
)

// LSN is a position in the write-ahead log. Positions are compared and passed on, never computed with:
// one byte too far loses a transaction that was committed at the same time.
type LSN = pglogrepl.LSN

// Options configure a Source and Setup. The zero value of every field below Columns is a sensible default.
type Options struct {
	// ConnString is an ordinary Postgres connection string (URL or key=value) of a role with the REPLICATION
	// attribute. It must lead to the server itself: most poolers can't replicate.
	ConnString string
	// Application is the application_name of the connections, unless the connection string has one ("walpost").
	Application string
	// Schema and Table name the table whose inserts are streamed. An empty Schema is "public".
	Schema, Table string
	// Columns must exist in the table; Setup refuses otherwise and says which name may have been meant.
	Columns []string
	// Slot is the replication slot, 1 to 63 characters of a-z, 0-9 and _. Publication is any identifier.
	Slot, Publication string

	// Messages is the prefix of logical messages that are streamed beside the rows (Postgres 14 and later); empty: none. Only
	// transactional ones are: others may tell of what is rolled back, and are counted and left out.
	Messages string

	// Lead is asked before everything else of a connection. It waits until this process may read the slot, and gives a
	// context that ends when it may no longer, which closes the connection. Nil: it always may.
	Lead func(ctx context.Context) (leading context.Context, err error)
	// Resume is asked before every connect for the durable checkpoint; nil means that there is none, and only
	// then may the slot be created. Nil as a function: there never is one.
	Resume func(ctx context.Context) (*Resume, error)
	// Acquired is called once per connection, when the slot is ours and before any of its rows is handed over. When rows
	// are to be read from the table in its place it is called before that, too, with Identity.Reading. An error closes the
	// connection and counts as Retryable says.
	Acquired func(ctx context.Context, id Identity) error

	// Lost is told of a lost slot or publication before anything is done about it, and makes durable that the table has to be read:
	// from then on, and until a checkpoint at or above Identity.Recovery's End is durable, Resume says Recovering. A slot that
	// is gone is then made anew and the rows that Resume.Snapshot doesn't see are read from the table. Nil, or a
	// checkpoint without a snapshot: a lost slot is a SetupError.
	Lost func(ctx context.Context, loss Loss) error
	// Flush returns when all is durable that was committed before it was called. It is called as a walk through the table begins:
	// its snapshot would mean something else if a crash undid what it sees. Nil: all is durable as soon as it is seen.
	Flush func(ctx context.Context) error
	// Start says what the first stream begins with, where there is no checkpoint or one at 0/0 (StartNow).
	Start Start

	// StatusInterval is how often a changed position is sent to the server at most (1 s). An unchanged one is
	// repeated every min(10 s, WALSenderTimeout/3), and at once when the server asks.
	StatusInterval time.Duration
	// LockTimeout limits how long the creation of slot and publication waits for others (30 s). Where the slot is blocked
	// for that long, Run waits twice as long at the next try, and so on, up to 32 times.
	LockTimeout time.Duration
	// WALSenderTimeout is set for our connection on the server, which then frees the slot of a walpost that
	// froze after that long (30 s).
	WALSenderTimeout time.Duration
	// BackoffMin and BackoffMax bound the jittered, doubling wait between connects (250 ms, 5 s).
	BackoffMin, BackoffMax time.Duration
	// StallTimeout is how long Batches may stay full before the connection is closed, so that the host can shut
	// down (2 s). It is opened again when there is room.
	StallTimeout time.Duration
	// MaxBatchRows and MaxBatchBytes bound one Batch (128 rows, 256 KiB of values; one row may be larger).
	MaxBatchRows, MaxBatchBytes int
	// Buffer is the number of batches that wait in Batches (8).
	Buffer int
	// Logger receives connects, outages and warnings; the zero value is silent.
	Logger zerolog.Logger
}

// Resume is the durable checkpoint that streaming continues from.
type Resume struct {
	LSN      LSN    // end of the newest transaction that is wholly dealt with
	SystemID string // of the database cluster (IDENTIFY_SYSTEM); empty = not known
	Timeline int32  // on which LSN was reached; 0 = not known
	// Superseded: another process has read the slot since this Source did, or may have. What was received and isn't
	// resolved was sent to that one: it is forgotten here, and what the slot sends is received anew.
	Superseded bool
	// Snapshot is a pg_snapshot in text form that was taken before an LSN was read that is at or below LSN; so all that
	// it sees is dealt with. Empty = none.
	Snapshot string
	// Coverage is Identity.Coverage of the time when Snapshot was taken. Empty = not known.
	Coverage string
	// Recovering says that Lost was told of a loss and that no checkpoint has passed its recovery yet.
	Recovering bool
	// Unpublished says that this loss is a publication's, and that its recovery's end isn't known yet: what the slot holds
	// of that time can't be decoded, also once the publication is put back.
	Unpublished bool
	// Walk is how far Position.Walk had come; nil: a recovery that was cut off begins anew.
	Walk *Walk
}

// Identity is what a connection turned out to be connected to.
type Identity struct {
	SystemID string
	Timeline int32
	// Start is sent with START_REPLICATION; 0 = the slot's own position. With a Poller: where the WAL was.
	Start LSN
	// Passed is where the slot was found, or made: all rows before it are dealt with, or are none of ours. A checkpoint
	// may be raised to it. 0 = rows before Start may be unresolved, since the table has to be read.
	Passed        LSN
	ServerVersion int // as in server_version_num, e.g. 150018
	// Coverage tells the publication's present state from every other: with a snapshot, that it was the same when that
	// was taken says that the stream has all rows which the snapshot sees.
	Coverage string
	// Snapshot is what a Poller begins after where there is no checkpoint, a pg_snapshot in text form: Acquired makes it
	// durable, or what is committed before the first checkpoint is not seen by who begins again.
	Snapshot string
	// Reading says that rows from the table come first, and that the slot is not being read yet.
	Reading bool
	end     LSN // of the WAL by now
	// Recovery is the latest that this process has read from the table; nil = none.
	Recovery *Recovery
}

var slotName = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)

// withDefaults fills the zero fields.
func (o Options) withDefaults() Options {
	if o.Schema == "" {
		o.Schema = "public"
	}
	if o.Application == "" {
		o.Application = "walpost"
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.StatusInterval, time.Second},
		{&o.LockTimeout, 30 * time.Second},
		{&o.WALSenderTimeout, 30 * time.Second},
		{&o.BackoffMin, 250 * time.Millisecond},
		{&o.BackoffMax, 5 * time.Second},
		{&o.StallTimeout, 2 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *int
		value int
	}{
		{&o.MaxBatchRows, 128},
		{&o.MaxBatchBytes, 256 << 10},
		{&o.Buffer, 8},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return o
}

// validate reports every problem at once.
func (o Options) validate() error {
	problems := o.problems()
	if o.Publication == "" || len(o.Publication) > 63 {
		problems = append(problems, fmt.Errorf("publication name %q: use 1 to 63 bytes", o.Publication))
	}
	if len(problems) == 0 {
		return nil
	}
	return &SetupError{
		Problem: "the options of the replication source are invalid",
		Fix:     "correct them in the configuration",
		Err:     errors.Join(problems...),
	}
}

// problems are those that a Poller has too.
func (o Options) problems() []error {
	var problems []error
	if o.ConnString == "" {
		problems = append(problems, errors.New("no connection string"))
	}
	if o.Table == "" {
		problems = append(problems, errors.New("no table"))
	}
	if !slotName.MatchString(o.Slot) {
		problems = append(problems, fmt.Errorf("slot name %q: use 1 to 63 characters of a-z, 0-9 and _", o.Slot))
	}
	for name, d := range map[string]time.Duration{
		"StatusInterval": o.StatusInterval, "LockTimeout": o.LockTimeout, "WALSenderTimeout": o.WALSenderTimeout,
		"BackoffMin": o.BackoffMin, "BackoffMax": o.BackoffMax, "StallTimeout": o.StallTimeout,
	} {
		if d < time.Millisecond {
			problems = append(problems, fmt.Errorf("%s %s: use at least 1ms", name, d))
		}
	}
	if o.Start != "" && o.Start != StartNow && o.Start != StartBacklog {
		problems = append(problems, fmt.Errorf("start %q: use %q or %q", o.Start, StartNow, StartBacklog))
	}
	if o.BackoffMax < o.BackoffMin {
		problems = append(problems, fmt.Errorf("BackoffMax %s is below BackoffMin %s", o.BackoffMax, o.BackoffMin))
	}
	for name, n := range map[string]int{
		"MaxBatchRows": o.MaxBatchRows, "MaxBatchBytes": o.MaxBatchBytes, "Buffer": o.Buffer,
	} {
		if n < 1 {
			problems = append(problems, fmt.Errorf("%s %d: use at least 1", name, n))
		}
	}
	return problems
}
