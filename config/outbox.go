package config

import (
	"fmt"
	"regexp"
	"time"

	"github.com/walpost/walpost/outbox"
)

// Outbox says which table to follow, and by which slot and publication.
type Outbox struct {
	Table        outbox.Table
	Mode         Mode          // how it is followed; default ModeStream
	Slot         string        // [a-z0-9_]{1,63}; default "walpost". With ModePolling only the name of the checkpoint.
	Publication  string        // default "walpost"; "" with ModePolling
	PollInterval time.Duration // the longest time between two looks at the table, with ModePolling; default 1 s
	Messages     string        // prefix of the logical messages that are events, too; "" none are
	Start        Start         // what the first start begins with; default StartNow
	MaxPayload   int64         // bytes; default 16 MiB. A larger payload is quarantined.
	// Retention is how long rows stay in the table after they are resolved. 0, which is the default: walpost deletes none.
	Retention time.Duration
}

// Mode says how committed rows are found.
type Mode string

const (
	// ModeStream reads them from the WAL, by logical replication.
	ModeStream Mode = "stream"
	// ModePolling reads them from the table, through an index on the ids of their transactions.
	ModePolling Mode = "polling"
)

// Polled reports whether the table is polled.
func (o *Outbox) Polled() bool { return o.Mode == ModePolling }

// Start says what walpost begins with where it has no checkpoint.
type Start string

const (
	// StartNow begins with what is committed from the moment on that walpost, or `walpost init`, is first run.
	StartNow Start = "now"
	// StartBacklog begins with the rows that are in the table.
	StartBacklog Start = "backlog"
)

var (
	slotForm        = regexp.MustCompile(`^[a-z0-9_]{1,63}$`) // ReplicationSlotValidateName of Postgres
	prefixForm      = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,63}$`)
	publicationForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)
)

func (l *loader) decodeOutbox() {
	l.config.Outbox = Outbox{
		Table:        outbox.Table{Schema: "public", Name: "outbox", Columns: outbox.DefaultColumns},
		Mode:         ModeStream,
		Slot:         "walpost",
		Publication:  "walpost",
		PollInterval: time.Second,
		Start:        StartNow,
		MaxPayload:   16 << 20,
	}
	b := l.one("outbox")
	if b == nil {
		return
	}
	out := &l.config.Outbox
	if name, ok := b.text("table", "public.outbox"); ok {
		table, err := outbox.ParseTable(name.value)
		if err != nil {
			b.fail(name.at, `Invalid "table"`, "It must be a table's name, such as \"outbox\" or \"public.outbox\": %v.", err)
		} else {
			out.Table.Schema, out.Table.Name = table.Schema, table.Name
		}
	}
	b.identifier("slot", slotForm, &out.Slot,
		`1 to 63 lower-case letters, digits and "_", such as "walpost"`)
	b.identifier("publication", publicationForm, &out.Publication,
		`1 to 63 letters, digits and "_", such as "walpost"`)
	b.identifier("messages", prefixForm, &out.Messages,
		`1 to 63 letters, digits and "_", ".", ":", "-", such as "walpost"`)
	if start, ok := b.choice("start", string(StartNow), string(StartBacklog)); ok {
		out.Start = Start(start)
	}
	if n, ok := b.size("max_payload", 1<<10, 1<<30); ok {
		out.MaxPayload = n
	}
	b.decodeRetention(&out.Retention)
	if columns := b.nested("columns"); columns != nil {
		columns.decodeColumns(&out.Table.Columns)
	}
	b.decodeMode(out)
}

// decodeMode reads how the table is followed, and refuses what that way doesn't have.
func (b *block) decodeMode(out *Outbox) {
	if mode, ok := b.choice("mode", string(ModeStream), string(ModePolling)); ok {
		out.Mode = Mode(mode)
	}
	if interval, ok := b.duration("poll_interval", 10*time.Millisecond, time.Hour); ok {
		out.PollInterval = interval
	}
	if !out.Polled() {
		if attr := b.argument("poll_interval"); attr != nil {
			b.warn(attr.NameRange, `"poll_interval" without polling`,
				"A stream is told of every commit, so it has no effect. Leave it out, or write mode = \"polling\" where there is no logical replication.")
		}
		return
	}
	if attr := b.argument("messages"); attr != nil {
		b.fail(attr.NameRange, `"messages" with polling`,
			"Logical messages are in the WAL only, which mode = \"polling\" doesn't read. Leave it out, or write mode = \"stream\".")
	}
	out.Publication = ""
	if attr := b.argument("publication"); attr != nil {
		b.fail(attr.NameRange, `"publication" with polling`,
			"mode = \"polling\" reads the table itself, so there is no publication. Leave it out, or write mode = \"stream\".")
	}
}

// minRowRetention is the shortest time that rows stay, in which a lost slot has to be noticed; maxRetention is ten years.
const (
	minRowRetention = time.Minute
	maxRetention    = 10 * 365 * 24 * time.Hour
)

// decodeRetention reads a duration, or "never". There is no "0": it could mean either end.
func (b *block) decodeRetention(to *time.Duration) {
	attr := b.argument("retention")
	if attr == nil {
		return
	}
	text, ok := b.loader.text(attr.Expr, "retention", `a duration in quotes, such as "24h", or "never"`)
	switch {
	case !ok:
	case text == "never":
		*to = 0
	case text == "0":
		b.fail(attr.Expr.Range(), `Invalid "retention"`,
			`Write "never" to keep all rows, or a duration from %s: rows that are deleted as soon as they are resolved are missing when a lost slot is recovered from the table.`,
			formatDuration(minRowRetention))
	default:
		if d, ok := b.duration("retention", minRowRetention, maxRetention); ok {
			*to = d
		}
	}
}

func (b *block) identifier(argument string, form *regexp.Regexp, to *string, need string) {
	name, ok := b.text(argument, "walpost")
	switch {
	case !ok:
	case !form.MatchString(name.value):
		b.fail(name.at, fmt.Sprintf("Invalid %q", argument), "It must have %s.", need)
	default:
		*to = name.value
	}
}

// decodeColumns reads the names of columns; two fields can't share one.
func (b *block) decodeColumns(columns *outbox.Columns) {
	fields := map[string]*string{
		"id":             &columns.ID,
		"aggregate_type": &columns.AggregateType,
		"aggregate_id":   &columns.AggregateID,
		"event_type":     &columns.EventType,
		"payload":        &columns.Payload,
		"headers":        &columns.Headers,
		"created_at":     &columns.CreatedAt,
	}
	for _, argument := range shapes[b.kind].names() {
		name, ok := b.text(argument, argument)
		if !ok {
			continue
		}
		optional := argument == "headers" || argument == "created_at"
		switch {
		case name.value == "" || len(name.value) > 63:
			b.fail(name.at, fmt.Sprintf("Invalid %q", argument), "It must be a column's name, of 1 to 63 bytes.")
		case name.value == outbox.None && !optional:
			b.fail(name.at, fmt.Sprintf("Invalid %q", argument), "Only headers and created_at may be \"-\", for a table that has no such column.")
		default:
			*fields[argument] = name.value
		}
	}
	taken := map[string]string{}
	for _, argument := range shapes[b.kind].names() {
		column := *fields[argument]
		if column == outbox.None {
			continue
		}
		if other := taken[column]; other != "" {
			b.fail(b.src.DefRange(), "Column used twice", "Both %s and %s are column %q. Map each to its own column.", other, argument, column)
		}
		taken[column] = argument
	}
}
