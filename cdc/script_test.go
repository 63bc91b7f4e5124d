package cdc

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// script is a walsender that a test plays, over a pipe in a synctest bubble, for what a real one can't be made to
// do, and for time.
type script struct {
	t      *testing.T
	source *Source
	server net.Conn
	stop   context.CancelFunc
	result chan error
	read   chan struct{} // closed when the client has closed

	mu   sync.Mutex
	sent []status
}

// status is a status update as the server receives it.
type status struct {
	after    time.Duration // since the start
	position LSN
	reply    bool
}

const scriptStart LSN = 100

// play runs a test against a stream that starts at position 100.
func play(t *testing.T, change func(*Options), test func(*script)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := Options{ConnString: "postgres://h/d", Table: "outbox", Slot: "walpost", Publication: "walpost"}
		if change != nil {
			change(&o)
		}
		source, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		source.checkInterval = 1000 * time.Hour
		s := &script{t: t, source: source}
		s.connect()
		test(s)
		s.stop()
		<-s.read
	})
}

// connect begins a connection, the first or another one of the same source.
func (s *script) connect() {
	client, server := net.Pipe()
	s.server, s.sent = server, nil
	s.source.identity = Identity{SystemID: "1", Timeline: 1, Start: scriptStart}
	s.source.followTimeline(s.source.identity)
	ctx, stop := context.WithCancel(s.t.Context())
	s.stop, s.result, s.read = stop, make(chan error, 1), make(chan struct{})
	go func() {
		s.result <- s.source.stream(ctx, &replicationConn{net: client, frontend: pgproto3.NewFrontend(client, client)}, 7)
		_ = client.Close()
	}()
	began, read := time.Now(), s.read
	go func() {
		defer close(read)
		message := make([]byte, statusLength)
		for {
			if _, err := io.ReadFull(server, message[:5]); err != nil {
				return
			}
			switch message[0] {
			case 'd':
				if _, err := io.ReadFull(server, message[5:]); err != nil {
					return
				}
				s.receive(message, began)
			case 'c': // CopyDone: the server ends, too
				for _, m := range []pgproto3.BackendMessage{
					&pgproto3.CopyDone{}, &pgproto3.CommandComplete{CommandTag: []byte("COPY 0")}, &pgproto3.ReadyForQuery{TxStatus: 'I'},
				} {
					b, _ := m.Encode(nil)
					_, _ = server.Write(b) // the client may have gone
				}
			}
		}
	}()
}

func (s *script) receive(message []byte, began time.Time) {
	position := binary.BigEndian.Uint64(message[6:])
	if message[5] != 'r' || binary.BigEndian.Uint64(message[14:]) != position || binary.BigEndian.Uint64(message[22:]) != position {
		s.t.Errorf("status %x", message)
	}
	if sent := time.UnixMicro(int64(binary.BigEndian.Uint64(message[30:])) + postgresEpoch); time.Since(sent).Abs() > time.Millisecond {
		s.t.Errorf("status of %s", sent)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, status{time.Since(began), LSN(position), message[38] == 1})
}

// statuses are those received until now.
func (s *script) statuses() []status {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sent)
}

// write sends messages.
func (s *script) write(messages ...pgproto3.BackendMessage) {
	for _, m := range messages {
		b, err := m.Encode(nil)
		if err != nil {
			s.t.Fatal(err)
		}
		if _, err := s.server.Write(b); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			s.t.Fatal(err)
		}
	}
	synctest.Wait()
}

// wal sends pgoutput messages.
func (s *script) wal(messages ...[]byte) {
	for _, m := range messages {
		s.write(&pgproto3.CopyData{Data: encodeXLogData(m)})
	}
}

func (s *script) keepalive(walEnd LSN, reply bool) {
	s.write(&pgproto3.CopyData{Data: encodeKeepalive(walEnd, reply)})
}

// insertTxn sends a transaction of rows, described before.
func (s *script) insertTxn(lsn, end LSN, values ...string) {
	s.wal(encodeBegin(lsn, uint32(lsn)), encodeRelation(7, "public", "outbox", "aggregate_id"))
	for _, v := range values {
		s.wal(encodeInsert(7, v))
	}
	s.wal(encodeCommit(lsn, end))
}

// taken is what the batches hold now.
func (s *script) taken() []Row {
	synctest.Wait()
	var rows []Row
	for {
		select {
		case b := <-s.source.batches:
			rows = append(rows, b...)
			synctest.Wait()
		default:
			return rows
		}
	}
}

func (s *script) position() LSN {
	p, _ := s.source.Progress()
	return p.LSN()
}

// confirm confirms what is resolved.
func (s *script) confirm() {
	p, _ := s.source.Progress()
	s.source.Confirm(p)
}

// last is the last status received.
func (s *script) last() status {
	all := s.statuses()
	if len(all) == 0 {
		return status{}
	}
	return all[len(all)-1]
}

// failure is what the stream returned.
func (s *script) failure() error {
	s.t.Helper()
	synctest.Wait()
	select {
	case err := <-s.result:
		return err
	default:
		s.t.Fatal("the stream goes on")
		return nil
	}
}

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

// With wal_sender_timeout 3 s: every second, without being asked (F29), also while nobody takes the rows (F27).
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
		if got := len(s.statuses()) - before; got != 5 {
			t.Errorf("%d statuses in 5.5 s: %+v", got, s.statuses())
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

// What can't be understood ends the stream, and nothing at or after it is ever confirmed (F13).
func TestUndecodable(t *testing.T) {
	for name, m := range map[string]pgproto3.BackendMessage{
		"unknown pgoutput message":    &pgproto3.CopyData{Data: encodeXLogData([]byte("S\x00\x00\x00\x01\x00"))},
		"truncated pgoutput message":  &pgproto3.CopyData{Data: encodeXLogData(encodeInsert(7, "abc")[:9])},
		"empty pgoutput message":      &pgproto3.CopyData{Data: encodeXLogData(nil)},
		"row of the wrong width":      &pgproto3.CopyData{Data: encodeXLogData(encodeInsert(7, "a", "b"))},
		"begin in a transaction":      &pgproto3.CopyData{Data: encodeXLogData(encodeBegin(300, 2))},
		"commit of another":           &pgproto3.CopyData{Data: encodeXLogData(encodeCommit(201, 210))},
		"truncated XLogData":          &pgproto3.CopyData{Data: []byte("w\x00\x00")},
		"truncated keepalive":         &pgproto3.CopyData{Data: []byte("k\x00\x00")},
		"unknown replication message": &pgproto3.CopyData{Data: []byte("z")},
		"empty CopyData":              &pgproto3.CopyData{},
		"message of another protocol": &pgproto3.RowDescription{},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(s *script) {
				s.wal(encodeBegin(200, 1), encodeRelation(7, "public", "outbox", "aggregate_id"), encodeInsert(7, "a"))
				resolve(s.taken())
				s.write(m)
				if err := s.failure(); !errors.Is(err, ErrUndecodable) || Retryable(err) {
					t.Error(err)
				}
				if s.position() != scriptStart || s.last().position != scriptStart {
					t.Errorf("position %s, status %+v", s.position(), s.last())
				}
			})
		})
	}
	t.Run("row outside of a transaction", func(t *testing.T) {
		play(t, nil, func(s *script) {
			s.wal(encodeRelation(7, "public", "outbox", "aggregate_id"), encodeInsert(7, "a"))
			if err := s.failure(); !errors.Is(err, ErrUndecodable) {
				t.Error(err)
			}
		})
	})
}

// F33: relations are known per connection, and one that isn't means to connect anew.
func TestUndescribedRelation(t *testing.T) {
	play(t, nil, func(s *script) {
		s.wal(encodeBegin(200, 1), encodeInsert(8, "a"))
		if err := s.failure(); err == nil || !Retryable(err) || !strings.Contains(err.Error(), "relation 8") {
			t.Error(err)
		}
	})
}

// F22: Postgres 18 and later only warns, and goes on without the changes.
func TestWarningOfAMissingPublication(t *testing.T) {
	play(t, nil, func(s *script) {
		s.keepalive(150, false)
		s.confirm()
		s.write(&pgproto3.NoticeResponse{Severity: "WARNING", Code: "01000", Message: "something else"})
		s.write(&pgproto3.ParameterStatus{Name: "a", Value: "b"})
		s.write(&pgproto3.NoticeResponse{
			Severity: "WARNING", Code: "55000", Message: `skipped loading publication "walpost"`,
			Detail: "The publication does not exist at this point in the WAL.",
		})
		wantSetupError(t, s.failure(), ErrPublicationLost, "leaves changes out", "create publication")
		if s.last().position != scriptStart {
			t.Errorf("status %+v after the warning", s.last())
		}
	})
}

func TestServerEndsTheStream(t *testing.T) {
	play(t, nil, func(s *script) {
		s.write(&pgproto3.CopyDone{})
		if err := s.failure(); !errors.Is(err, errEnded) || !Retryable(err) {
			t.Error(err)
		}
	})
}

func TestServerClosesInAMessage(t *testing.T) {
	play(t, nil, func(s *script) {
		s.insertTxn(200, 210, "a")
		b, err := (&pgproto3.CopyData{Data: encodeXLogData(encodeBegin(220, 2))}).Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.server.Write(b[:10]); err != nil {
			t.Fatal(err)
		}
		_ = s.server.Close()
		if err := s.failure(); err == nil || !Retryable(err) {
			t.Error(err)
		}
		equal(t, "rows", ids(s.taken()), []string{"a"})
	})
}

// A message that comes in pieces, with pauses in which statuses are due, is read all the same, and rows before it
// aren't held back for it.
func TestMessageInPieces(t *testing.T) {
	play(t, nil, func(s *script) {
		s.wal(encodeBegin(200, 1), encodeRelation(7, "public", "outbox", "aggregate_id"))
		b, err := (&pgproto3.CopyData{Data: encodeXLogData(encodeInsert(7, "a"))}).Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		next, err := (&pgproto3.CopyData{Data: encodeXLogData(encodeInsert(7, strings.Repeat("b", 20_000)))}).Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.server.Write(append(b, next[:100]...)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Second)
		equal(t, "the row before", ids(s.taken()), []string{"a"})
		for i := 100; i < len(next); i += 1000 {
			if _, err := s.server.Write(next[i:min(i+1000, len(next))]); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
		}
		if rows := s.taken(); len(rows) != 1 || len(rows[0].Values[0]) != 20_000 || rows[0].Ordinal != 1 {
			t.Errorf("%d rows", len(rows))
		}
	})
}

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
		if got := s.source.startPosition(&Resume{LSN: 210, Timeline: before.Timeline}, 2); got != 0 {
			t.Errorf("start %s", got)
		}
		if got := s.source.startPosition(&Resume{LSN: 210, Timeline: before.Timeline}, 1); got != 210 {
			t.Errorf("start %s", got)
		}
		if s.source.received != (received{}) {
			t.Error("transactions of the old timeline would be skipped on the new one")
		}
	})
}
