package cdc

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
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
