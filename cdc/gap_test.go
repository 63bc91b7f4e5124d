package cdc

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A gap has exactly what the newer snapshot sees and the older one doesn't, and every place to stop in it is a snapshot that
// sees what was read up to there.
func TestGapIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const first, last = 3, 40
		draw := func(from, to int64, among []int64, label string) snapshot {
			xmax := rapid.Int64Range(from, to).Draw(t, label)
			var running []int64
			for xid := int64(first); xid < xmax; xid++ {
				if (xid >= from || slices.Contains(among, xid)) && rapid.Bool().Draw(t, "running") {
					running = append(running, xid)
				}
			}
			return newSnapshot(xmax, running)
		}
		since := draw(first, 20, nil, "since")
		now := draw(since.xmax, last, since.running, "now")
		g := newGap(since, now)
		var read []int64 // in the order of reading
		read = append(read, g.ended...)
		for xid := g.from; xid < g.to; xid++ {
			if !slices.Contains(g.running, xid) {
				read = append(read, xid)
			}
		}
		if g.empty() != (len(read) == 0 && since.xmax == now.xmax) {
			t.Fatalf("empty %t with %v", g.empty(), read)
		}
		check := func(what string, s snapshot, wanted []int64) {
			for xid := int64(1); xid < last+2; xid++ {
				if want := since.sees(xid) || slices.Contains(wanted, xid); s.sees(xid) != want {
					t.Fatalf("%s: %s sees %d: %t; since %s, now %s", what, s, xid, !want, since, now)
				}
			}
			if parsed, err := parseSnapshot(s.String()); err != nil || parsed.String() != s.String() {
				t.Fatalf("%s is read as %s, %v", s, parsed, err)
			}
		}
		check("now", now, read)
		for i, xid := range g.ended {
			check("among the ended", g.endedBefore(xid), read[:i])
		}
		for i, xid := range read[len(g.ended):] {
			check("after the ended", g.before(xid), read[:len(g.ended)+i])
		}
		if at := g.before(g.to); at.String() != now.String() {
			t.Fatalf("the end is %s, now %s", at, now)
		}
	})
}
