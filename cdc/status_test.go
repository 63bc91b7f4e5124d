package cdc

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

func TestStatusInTime(t *testing.T) {
	play(t, nil, func(s *script) {
		if s.last() != (status{0, scriptStart, false}) {
			t.Errorf("first status %+v", s.last())
		}
		// Every 10 s without a change. A busy server isn't asked to reply.
		for i := range 4 {
			time.Sleep(10 * time.Second)
			if s.last() != (status{time.Duration(i+1) * 10 * time.Second, scriptStart, false}) {
				t.Errorf("status %+v", s.last())
			}
			s.keepalive(scriptStart, false)
		}
		// A change goes out with the next second, many changes in one.
		s.insertTxn(200, 210, "a", "b")
		for _, row := range s.taken() {
			row.Resolve()
			s.confirm()
		}
		s.insertTxn(220, 230, "c")
		resolve(s.taken())
		s.confirm()
		time.Sleep(time.Second)
		before := len(s.statuses())
		if s.last().position != 230 {
			t.Errorf("status %+v", s.last())
		}
		s.confirm()
		time.Sleep(5 * time.Second)
		if len(s.statuses()) != before {
			t.Errorf("%d more without a change", len(s.statuses())-before)
		}
		// At once when asked.
		s.keepalive(230, true)
		if len(s.statuses()) != before+1 || s.last().position != 230 {
			t.Errorf("answer %+v", s.statuses()[before:])
		}
		s.stop()
		if err := s.failure(); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestFinalStatus(t *testing.T) {
	play(t, nil, func(s *script) {
		s.insertTxn(200, 210, "a")
		resolve(s.taken())
		s.confirm()
		s.stop()
		_ = s.failure()
		if s.last().position != 210 {
			t.Errorf("last status %+v", s.last())
		}
	})
}

// While nobody takes the rows, nothing is read, and the server, which may be asking, is answered all the time (F27).
func TestStatusWhileStalled(t *testing.T) {
	play(t, func(o *Options) {
		o.WALSenderTimeout, o.Buffer, o.MaxBatchRows, o.StallTimeout = 3*time.Second, 1, 1, 10*time.Second
	}, func(s *script) {
		s.wal(encodeBegin(200, 1), encodeRelation(7, "public", "outbox", "aggregate_id"), encodeInsert(7, "a"))
		go func() { // the pipe blocks when nothing is read
			b, _ := (&pgproto3.CopyData{Data: encodeXLogData(encodeInsert(7, "b"))}).Encode(nil)
			_, _ = s.server.Write(b)
		}()
		synctest.Wait()
		before := len(s.statuses())
		time.Sleep(5500 * time.Millisecond)
		if got := len(s.statuses()) - before; got != int(5500*time.Millisecond/replySpacing) {
			t.Errorf("%d statuses in 5.5 s", got)
		}
		if block := s.source.Stats().LongestBlock; block != replySpacing {
			t.Errorf("blocked for %s", block)
		}
		time.Sleep(5 * time.Second)
		if err := s.failure(); !errors.Is(err, errStalled) || !Retryable(err) {
			t.Errorf("after the stall: %v", err)
		}
		if len(s.source.pending) != 1 {
			t.Errorf("pending %v", s.source.pending)
		}
	})
}

func TestSilentServerIsProbedThenLeft(t *testing.T) {
	play(t, nil, func(s *script) {
		time.Sleep(39 * time.Second)
		if s.last().reply {
			t.Error("probed before 30 s")
		}
		time.Sleep(2 * time.Second)
		if !s.last().reply {
			t.Error("not probed")
		}
		s.keepalive(scriptStart, false)
		time.Sleep(119 * time.Second)
		select {
		case err := <-s.result:
			t.Fatalf("left early: %v", err)
		default:
		}
		time.Sleep(4 * time.Second)
		if err := s.failure(); !errors.Is(err, errSilent) || !Retryable(err) {
			t.Error(err)
		}
	})
}

// F36: a walsender that is busy with a huge transaction, without a word, would begin it anew at each connect. It gets twice
// as long each time, until something has come.
func TestSilentServerGetsMoreTime(t *testing.T) {
	play(t, nil, func(s *script) {
		leaves := func(within, after time.Duration) {
			t.Helper()
			time.Sleep(within - time.Second)
			select {
			case err := <-s.result:
				t.Fatalf("left within %s: %v", within, err)
			default:
			}
			time.Sleep(after - within)
			if err := s.failure(); !errors.Is(err, errSilent) {
				t.Error(err)
			}
			s.connect()
		}
		leaves(120*time.Second, 135*time.Second)
		leaves(240*time.Second, 255*time.Second)
		leaves(480*time.Second, 495*time.Second)
		s.keepalive(scriptStart+8, false)
		leaves(960*time.Second, 975*time.Second)
		leaves(240*time.Second, 255*time.Second)
	})
}
