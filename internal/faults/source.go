//go:build unix

package faults

import (
	"slices"
	"strings"
	"time"

	"github.com/walpost/walpost/internal/failpoint"
	"github.com/walpost/walpost/outbox"
)

// source is how walpost gets the rows, and what follows from that for a suite.
type source struct {
	name string
	role string // whom walpost connects as
	// attributes are the role's.
	attributes string
	// table is what the source takes beside the outbox table.
	table []string
	// outbox is HCL of the outbox block, beside the slot's name.
	outbox string
	// processes are the faults of walpost itself, hosts those of Postgres and network; breaks take from it what it needs.
	processes, hosts, breaks []fault
	// incidents are the kinds that breaks leave.
	incidents []string
	// elsewhere are failpoints that it doesn't come by.
	elsewhere []failpoint.Point
	// last is a query for what there is now, and passed, of that ($1), whether the slot or checkpoint $2 has passed it.
	last, passed string
	// seesDeleted reports whether rows arrive that their own transaction deletes.
	seesDeleted bool
	// remembers reports whether a connection that is lost repeats nothing.
	remembers bool
	// inserts reports whether the rows of a transaction come as they were inserted: else they come as their ids are sorted.
	inserts bool
}

// sources are those that a suite may be played with.
var sources = []*source{&streaming, &polling}

var streaming = source{
	name: "stream", role: "walpost_faults", attributes: "login replication",
	table:       []string{"create publication " + publication + " for table public.outbox with (publish = 'insert')"},
	outbox:      `publication = "` + publication + `"`,
	processes:   processFaults,
	hosts:       slices.Concat(hostFaults, walsenderFaults),
	breaks:      streamFaults,
	incidents:   []string{"slot_lost", "publication_lost"},
	elsewhere:   slices.Concat(pollPoints, prunePoints),
	last:        "select pg_current_wal_lsn()::text",
	passed:      "(select confirmed_flush_lsn >= $1::text::pg_lsn - 1 from pg_replication_slots where slot_name = $2)",
	seesDeleted: true,
	remembers:   true,
	inserts:     true,
}

var polling = source{
	name: "polling", role: "walpost_polling", attributes: "login", // it takes no right to replicate
	table:     []string{outbox.Table{}.XIDColumnDDL(), outbox.Table{}.XIDIndexDDL()},
	outbox:    "mode = \"polling\"\npoll_interval = \"200ms\"",
	processes: append(slices.Clone(processFaults), columnRemade),
	hosts:     slices.Concat(hostFaults, pollerFaults),
	breaks:    pollFaults,
	elsewhere: slices.Concat([]failpoint.Point{failpoint.AfterStatus, failpoint.DrainConfirmed}, recoveryPoints, prunePoints),
	last:      "select ''",
	passed: `$1 = '' and (select bool_and(pg_visible_in_snapshot(o.walpost_xid, c.snapshot)) from public.outbox o
		join walpost.checkpoint c on c.slot = $2 and o.walpost_xid >= pg_snapshot_xmin(c.snapshot)) is not false`,
}

// points are the failpoints that it comes by.
func (s *source) points() []failpoint.Point {
	return slices.DeleteFunc(failpoint.All(), func(p failpoint.Point) bool { return slices.Contains(s.elsewhere, p) })
}

// hands are those that play.
func (s *source) hands() []hand {
	return []hand{
		// A process that lives for less than ParkAfter gets nowhere while an endpoint hangs.
		{"process", s.processes, 8 * time.Second},
		{"host", s.hosts, 2500 * time.Millisecond},
		{"endpoint", endpointFaults(), 800 * time.Millisecond},
		{"breaks", s.breaks, 40 * time.Second},
		{"operator", operatorFaults, 5 * time.Second},
	}
}

// hostFaultsOf names those spells that may keep outcomes from the ledger.
func (s *source) hostFaultsOf(spells []*spell) string {
	var found []string
	for _, spell := range spells {
		if slices.ContainsFunc(s.hosts, func(f fault) bool { return f.name == spell.fault }) {
			found = append(found, spell.fault)
		}
	}
	slices.Sort(found)
	return strings.Join(slices.Compact(found), " and ")
}
