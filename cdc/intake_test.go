package cdc

import (
	"testing"
)

// What was received is not handed over again, by transaction and place in it, never by the position of a change.
func TestReconnect(t *testing.T) {
	play(t, nil, func(s *script) {
		s.insertTxn(90, 100, "before the start") // the server wouldn't; at or below the checkpoint all the same
		s.insertTxn(100, 110, "a")               // begins just where the start ends (F1)
		s.wal(encodeBegin(120, 2), encodeInsert(7, "b"), encodeInsert(7, "c"))
		rows := s.taken()
		equal(t, "rows", ids(rows), []string{"a", "b", "c"})
		_ = s.server.Close()
		_ = s.failure()
		s.connect()
		s.insertTxn(100, 110, "a")
		s.insertTxn(120, 130, "b", "c", "d")
		s.insertTxn(140, 150, "e")
		again := s.taken()
		equal(t, "rows", ids(again), []string{"d", "e"})
		if again[0].Ordinal != 2 || again[0].txn != rows[1].txn {
			t.Errorf("row %+v", again[0])
		}
		resolve(rows)
		if s.position() != 110 {
			t.Errorf("position %s", s.position())
		}
		resolve(again)
		if s.position() != 150 {
			t.Errorf("position %s", s.position())
		}
	})
}

// F46: a transaction that the next primary never had must not hold the position for ever.
func TestVanishedTransaction(t *testing.T) {
	play(t, nil, func(s *script) {
		s.wal(encodeBegin(120, 2), encodeRelation(7, "public", "outbox", "aggregate_id"), encodeInsert(7, "a"))
		rows := s.taken()
		_ = s.server.Close()
		_ = s.failure()
		s.connect()
		s.insertTxn(140, 150, "b")
		rows = append(rows, s.taken()...)
		equal(t, "rows", ids(rows), []string{"a", "b"})
		rows[1].Resolve()
		if s.position() != scriptStart {
			t.Errorf("position %s with the vanished row unresolved", s.position())
		}
		rows[0].Resolve()
		if s.position() != 150 {
			t.Errorf("position %s", s.position())
		}
	})
}

// F46, F7: positions of another timeline mean nothing.
func TestNewTimeline(t *testing.T) {
	play(t, nil, func(s *script) {
		s.insertTxn(200, 210, "a")
		rows := s.taken()
		before := s.source.identity
		s.source.followTimeline(Identity{SystemID: "1", Timeline: 2, Start: 0})
		resolve(rows)
		if p, ok := s.source.Progress(); ok {
			t.Errorf("position %+v from the old timeline", p)
		}
		if got := s.source.startPosition(&Resume{LSN: 150, Timeline: before.Timeline}, 2); got != 150 {
			t.Errorf("start %s", got) // what was confirmed on the old timeline doesn't count
		}
		if s.source.received != (received{}) {
			t.Error("transactions of the old timeline would be skipped on the new one")
		}
	})
}
