package cdc

import (
	"slices"
	"strconv"
	"strings"
)

// String is the text form, xmin:xmax:xip_list.
func (s snapshot) String() string {
	var b strings.Builder
	b.WriteString(strconv.FormatInt(s.xmin, 10))
	b.WriteByte(':')
	b.WriteString(strconv.FormatInt(s.xmax, 10))
	b.WriteByte(':')
	for i, xid := range s.running {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(xid, 10))
	}
	return b.String()
}

// sees reports whether a transaction, not a subtransaction, was over.
func (s snapshot) sees(xid int64) bool {
	if xid < s.xmin || xid >= s.xmax {
		return xid < s.xmin
	}
	_, running := slices.BinarySearch(s.running, xid)
	return !running
}

// nothing is a snapshot that sees no transaction.
var nothing = snapshot{xmin: 1, xmax: 1}

// gap is what a newer snapshot sees and an older one doesn't, in whole transactions: exact, as an xid8 column has no ids of
// subtransactions. It is as large as what has happened in between, however old the oldest running transaction is.
type gap struct {
	since   snapshot
	ended   []int64 // running then and over now, ascending
	from    int64   // the first transaction of those that began in between
	to      int64   // the first one after them
	running []int64 // those of them that are not over, ascending
}

func newGap(since, now snapshot) gap {
	g := gap{since: since, from: since.xmax, to: now.xmax}
	for _, xid := range since.running {
		if _, still := slices.BinarySearch(now.running, xid); !still {
			g.ended = append(g.ended, xid)
		}
	}
	first, _ := slices.BinarySearch(now.running, since.xmax)
	g.running = now.running[first:]
	return g
}

// empty reports whether there is nothing to see.
func (g *gap) empty() bool { return len(g.ended) == 0 && g.from == g.to }

// endedBefore is the snapshot that sees, beside what was seen before, those of the ended that are below next.
func (g *gap) endedBefore(next int64) snapshot {
	return newSnapshot(g.since.xmax, g.stillRunning(next))
}

// before is the snapshot that sees, beside what was seen before and all that ended, those from from on that are below
// next and over.
func (g *gap) before(next int64) snapshot {
	later, _ := slices.BinarySearch(g.running, next)
	return newSnapshot(next, append(g.stillRunning(g.from), g.running[:later]...))
}

// stillRunning are those that ran before, without those that have ended and are below next.
func (g *gap) stillRunning(next int64) []int64 {
	var running []int64
	for _, xid := range g.since.running {
		if _, ended := slices.BinarySearch(g.ended, xid); !ended || xid >= next {
			running = append(running, xid)
		}
	}
	return running
}

func newSnapshot(xmax int64, running []int64) snapshot {
	s := snapshot{xmin: xmax, xmax: xmax, running: running}
	if len(running) > 0 {
		s.xmin = running[0]
	}
	return s
}
