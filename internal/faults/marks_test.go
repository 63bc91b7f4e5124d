//go:build unix

package faults

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/walpost/walpost/internal/ledger"
)

// TestFromTable: rows of a gap have no order, those before and after it do, however long a recovery takes.
func TestFromTable(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	at := func(seconds int) time.Time { return begun.Add(time.Duration(seconds) * time.Second) }
	g := &ground{}
	for i := range 600 {
		g.marks.add(uint64(1000*i), at(i))
	}
	g.journal = &journal{spells: []*spell{
		{from: at(90), to: at(110), fault: "not one that takes something"},
		{from: at(196), to: at(205), loses: true}, // noticed at 200 s
		{from: at(210), to: at(215), loses: true},
	}}
	closed := ledger.Incident{LSNFrom: 100_500, LSNTo: 399_500}
	late := ledger.Incident{LSNFrom: 200_500, LSNTo: 399_500}
	open := ledger.Incident{LSNFrom: 100_500}
	for _, c := range []struct {
		gap         ledger.Incident
		made, ended int
		want        bool
	}{
		{closed, 98, 99, false},
		{closed, 98, 101, true},
		{closed, 300, 301, true},
		{closed, 401, 402, true}, // the new slot may have it, too
		{closed, 406, 407, false},
		{open, 98, 99, false},
		{late, 194, 195, false},
		{late, 196, 198, true},
		{open, 599, 599, true},
	} {
		check := &checker{ground: g, incidents: []ledger.Incident{c.gap}}
		r := &row{made: at(c.made)}
		if got := check.fromTable(r, &transaction{fate: committed, ended: at(c.ended)}); got != c.want {
			t.Errorf("made after %d s, committed by %d s, gap %+v: %v, want %v", c.made, c.ended, c.gap, got, c.want)
		}
	}
}

// TestSpoiltRules: a walpost that is started while the configuration is broken ends with a status that this explains.
func TestSpoiltRules(t *testing.T) {
	t.Parallel()
	r := &rules{path: filepath.Join(t.TempDir(), "walpost.hcl")}
	moment := func(err error) time.Time {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return time.Now()
	}
	written := moment(r.write())
	spoilt := moment(r.spoil(0))
	healed := moment(r.write())
	for _, c := range []struct {
		from, to time.Time
		want     bool
	}{
		{written, written, false}, {written, spoilt, true}, {spoilt, healed, true}, {spoilt, spoilt, true}, {healed, healed.Add(time.Hour), false},
	} {
		if got := r.spoilt(c.from, c.to); got != c.want {
			t.Errorf("from %s to %s: %v, want %v", c.from.Sub(written), c.to.Sub(written), got, c.want)
		}
	}
}
