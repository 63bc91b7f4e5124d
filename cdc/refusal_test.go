package cdc

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// What can't be understood ends the stream, and nothing at or after it is ever confirmed (F13).
func TestUndecodable(t *testing.T) {
	for name, m := range map[string]pgproto3.BackendMessage{
		"unknown pgoutput message":     &pgproto3.CopyData{Data: encodeXLogData([]byte("S\x00\x00\x00\x01\x00"))},
		"truncated pgoutput message":   &pgproto3.CopyData{Data: encodeXLogData(encodeInsert(7, "abc")[:9])},
		"empty pgoutput message":       &pgproto3.CopyData{Data: encodeXLogData(nil)},
		"row of the wrong width":       &pgproto3.CopyData{Data: encodeXLogData(encodeInsert(7, "a", "b"))},
		"unchanged TOAST in an insert": &pgproto3.CopyData{Data: encodeXLogData(append(binary.BigEndian.AppendUint32([]byte{kindInsert}, 7), "N\x00\x01u"...))}, // F40
		"begin in a transaction":       &pgproto3.CopyData{Data: encodeXLogData(encodeBegin(300, 2))},
		"commit of another":            &pgproto3.CopyData{Data: encodeXLogData(encodeCommit(201, 210))},
		"truncated XLogData":           &pgproto3.CopyData{Data: []byte("w\x00\x00")},
		"truncated keepalive":          &pgproto3.CopyData{Data: []byte("k\x00\x00")},
		"unknown replication message":  &pgproto3.CopyData{Data: []byte("z")},
		"empty CopyData":               &pgproto3.CopyData{},
		"message of another protocol":  &pgproto3.RowDescription{},
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

// What a server with lc_messages = 'es_ES.UTF-8' says of a publication that its slot can't see (F21, F22).
func TestPublicationIsMissedInAnyLanguage(t *testing.T) {
	t.Parallel()
	for problem, said := range map[string]pgproto3.BackendMessage{
		"leaves changes out": &pgproto3.NoticeResponse{
			Severity: "ADVERTENCIA", SeverityUnlocalized: "WARNING", Code: "55000", Message: `se omitió cargar la publicación «walpost»`,
		},
		"does not exist at the slot's position": &pgproto3.ErrorResponse{
			Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "42704", Message: `no existe la publicación «walpost»`,
			Routine: "get_publication_oid",
		},
	} {
		t.Run(problem, func(t *testing.T) {
			play(t, nil, func(s *script) {
				s.write(said)
				wantSetupError(t, s.failure(), ErrPublicationLost, problem, "create publication")
			})
		})
	}
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
