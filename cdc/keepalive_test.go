package cdc

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// F4: a keepalive counts only when all that came before it is resolved.
func TestKeepaliveOrder(t *testing.T) {
	play(t, nil, func(s *script) {
		s.keepalive(150, false)
		if s.position() != 150 {
			t.Errorf("idle: %s", s.position())
		}
		s.wal(encodeBegin(200, 1))
		s.keepalive(300, false) // inside a transaction without rows
		s.wal(encodeRelation(7, "public", "outbox", "aggregate_id"), encodeInsert(7, "a"))
		s.keepalive(300, false)
		s.wal(encodeCommit(200, 210))
		s.keepalive(400, false)
		if s.position() != 150 {
			t.Errorf("with an unresolved row: %s", s.position())
		}
		resolve(s.taken())
		if s.position() != 210 {
			t.Errorf("resolved: %s", s.position())
		}
		s.keepalive(400, false)
		s.keepalive(90, false) // never back
		if p, ok := s.source.Progress(); !ok || p.LSN() != 400 || p.Commit() != 210 {
			t.Errorf("idle again: %+v", p)
		}
		// The position inside an XLogData counts for nothing (F5).
		x := encodeXLogData(encodeBegin(500, 2))
		binary.BigEndian.PutUint64(x[9:], 10_000)
		s.write(&pgproto3.CopyData{Data: x})
		s.wal(encodeCommit(500, 510))
		if s.position() != 510 {
			t.Errorf("an empty transaction: %s", s.position())
		}
	})
}

// A server that shuts down asks again and again, until it hears what it waits for. It is answered, not too often,
// and let go after a while (F31).
func TestServerThatShutsDownIsLetGo(t *testing.T) {
	play(t, nil, func(s *script) {
		s.insertTxn(200, 210, "a")
		began := time.Now()
		for {
			answered := len(s.statuses())
			s.keepalive(300, true)
			for len(s.statuses()) == answered {
				select {
				case err := <-s.result:
					if !errors.Is(err, errStopping) || !Retryable(err) {
						t.Error(err)
					}
					if took := time.Since(began); took > 2*time.Second || took < time.Second {
						t.Errorf("let go after %s", took)
					}
					if answered < 10 || answered > 40 {
						t.Errorf("%d answers", answered)
					}
					return
				case <-time.After(time.Millisecond):
				}
				if time.Since(began) > 10*time.Second {
					t.Fatal("the server would still wait")
				}
			}
		}
	})
}

// The same, but the row is resolved meanwhile: what the server waits for is sent at once.
func TestServerThatShutsDownHearsTheLastPosition(t *testing.T) {
	play(t, nil, func(s *script) {
		s.insertTxn(200, 210, "a")
		s.keepalive(210, true)
		if s.last().position != scriptStart {
			t.Errorf("answer %+v", s.last())
		}
		resolve(s.taken())
		s.confirm()
		s.keepalive(210, true)
		time.Sleep(2 * replySpacing)
		if s.last().position != 210 {
			t.Errorf("answer %+v", s.last())
		}
	})
}

// Idle WAL is confirmed up to an odd byte, and to the last one while the server shuts down, which waits for it.
func TestIdlePositionTellsItselfApart(t *testing.T) {
	play(t, nil, func(s *script) {
		s.keepalive(304, false)
		p, _ := s.source.Progress()
		s.source.Idle(p)
		time.Sleep(time.Second)
		if s.last().position != 303 || !isIdleMark(s.last().position) {
			t.Errorf("idle %+v", s.last())
		}
		s.keepalive(304, true) // as a server does that hasn't heard of us for a while
		time.Sleep(replySpacing)
		if s.last().position != 303 {
			t.Errorf("answer %+v", s.last())
		}
		s.keepalive(304, true)
		time.Sleep(replySpacing)
		if s.last().position != 304 {
			t.Errorf("answer to the second %+v", s.last())
		}
		s.insertTxn(400, 408, "a")
		resolve(s.taken())
		s.confirm()
		time.Sleep(time.Second)
		if s.last().position != 408 {
			t.Errorf("with a checkpoint %+v", s.last())
		}
	})
}
