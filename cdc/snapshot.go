package cdc

import (
	"fmt"
	"strconv"
	"strings"
)

// snapshot is what pg_current_snapshot() says: which transactions were over, by their 64-bit ids.
// https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
type snapshot struct {
	xmin    int64   // oldest transaction that was not over; all below are
	xmax    int64   // all from here on had not ended
	running []int64 // those between that had not; subtransactions are not listed
}

// parseSnapshot reads the text form, xmin:xmax:xip_list.
func parseSnapshot(text string) (snapshot, error) {
	var s snapshot
	malformed := fmt.Errorf("read snapshot %q: it is not xmin:xmax:xip_list", text)
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return s, malformed
	}
	numbers := parts[:2]
	if parts[2] != "" {
		numbers = append(numbers[:2:2], strings.Split(parts[2], ",")...)
	}
	for i, number := range numbers {
		n, err := strconv.ParseInt(number, 10, 64)
		switch {
		case err != nil || n < 1:
			return s, malformed
		case i == 0:
			s.xmin = n
		case i == 1:
			s.xmax = n
		case n < s.xmin || n >= s.xmax:
			return s, malformed
		default:
			s.running = append(s.running, n)
		}
	}
	if s.xmin > s.xmax {
		return s, malformed
	}
	return s, nil
}

// span is a range of transactions whose rows are to be read: those that an older snapshot doesn't surely see
// and a newer one may see.
type span struct {
	from    int64   // oldest one
	to      int64   // the first that is too new; xids of rows are widened to at or below it
	running []int64 // too new as well
}

// between gives what upTo sees and since doesn't surely see.
//
// A row carries the id of the subtransaction that wrote it, and a snapshot's list has only whole transactions:
// an id between xmin and xmax that isn't listed may belong to one that was running. It counts as not seen by the
// older snapshot and as seen by the newer one, so that a row may be read twice and never not at all.
func between(since, upTo snapshot) span {
	from := since.xmin
	if from > upTo.xmax { // not of this server's history: nothing is known to have been seen
		from = 0
	}
	return span{from: from, to: upTo.xmax, running: upTo.running}
}

// everything is what upTo sees.
func everything(upTo snapshot) span { return span{to: upTo.xmax, running: upTo.running} }

// widenSQL makes the 64-bit id of the row's xmin: the nearest one at or below $3. It is right for every row that the
// newer snapshot sees and that is younger than 2^32 transactions; an older one looks younger, and is read once more.
const widenSQL = `($3::bigint - (($3::bigint - t.xmin::text::bigint) & 4294967295))`

// widen is widenSQL.
func widen(xid uint32, to int64) int64 { return to - (to-int64(xid))&(1<<32-1) }
