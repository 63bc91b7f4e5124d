package cdc

import (
	"fmt"
	"slices"
	"testing"
)

func TestParseHistory(t *testing.T) {
	t.Parallel()
	got, err := parseHistory("1\t0/5000158\tno recovery target specified\n\n# a comment\n2\t1/A0\tbefore 2026-11-24 10:00:00\n")
	want := []branch{{1, 0x5000158}, {2, 0x1000000A0}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"1", "x 0/1 y", "1 somewhere z"} {
		if got, err := parseHistory(bad); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
}

// Files of an older copy under a running Source: positions of the lost future must not hide what is committed now.
func TestRewoundServerIsReadAnew(t *testing.T) {
	play(t, nil, func(s *script) {
		s.insertTxn(200, 208, "lost future")
		resolve(s.taken())
		s.confirm()
		s.keepalive(400, false)
		p, _ := s.source.Progress()
		s.source.Idle(p)
		s.stop()
		<-s.read
		s.source.forgetRewound(Identity{Timeline: 1, end: 400}) // all of it is there
		if s.source.passed(1) != 400 {
			t.Error("forgotten without a reason")
		}
		s.source.forgetRewound(Identity{Timeline: 1, Start: scriptStart, end: 150})
		s.connect()
		s.insertTxn(180, 188, "new")
		rows := s.taken()
		if fmt.Sprint(len(rows)) != "1" || s.last().position != scriptStart {
			t.Errorf("%d rows, status %+v", len(rows), s.last())
		}
		resolve(rows)
		if s.position() != 188 {
			t.Errorf("position %s", s.position())
		}
	})
}
