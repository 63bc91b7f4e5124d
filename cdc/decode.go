package cdc

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"
)

// A message is one decoded pgoutput message, version 1. Only the fields of its kind are set, and tuple and
// content alias what it was decoded from.
type message struct {
	kind     byte      // as on the wire
	lsn      LSN       // begin: the commit record's start, called final LSN; commit: the same again
	end      LSN       // commit: the commit record's end
	time     time.Time // begin, commit: when it was committed
	xid      uint32    // begin
	relation uint32    // insert: OID
	schema   *Relation // relation
	tuple    tuple     // insert

	transactional bool   // logical message
	prefix        string // logical message
	content       []byte // logical message
}

// Kinds of messages. https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
const (
	kindBegin    = 'B'
	kindCommit   = 'C'
	kindRelation = 'R'
	kindInsert   = 'I'
	kindMessage  = 'M' // sent only where asked for
	// Those below are checked for their form and ignored.
	kindOrigin   = 'O'
	kindType     = 'Y'
	kindUpdate   = 'U'
	kindDelete   = 'D'
	kindTruncate = 'T'
)

// tuple is the encoded form of a row, known to be well-formed.
type tuple struct {
	columns int
	data    []byte // after the number of columns
}

// decode decodes one message. It checks every length, and that nothing is left over: a message longer than the
// protocol says means something we don't know.
func decode(src []byte) (message, error) {
	r := wireReader{rest: src}
	m := message{kind: r.uint8()}
	if len(src) == 0 {
		return m, fmt.Errorf("%w: it is empty", ErrUndecodable)
	}
	switch m.kind {
	case kindBegin:
		m.lsn, m.time, m.xid = r.lsn(), r.time(), r.uint32()
	case kindCommit:
		r.uint8() // flags, none defined
		m.lsn, m.end, m.time = r.lsn(), r.lsn(), r.time()
	case kindRelation:
		m.schema = r.relation()
	case kindInsert:
		m.relation = r.uint32()
		r.expect('N')
		m.tuple = r.tuple()
	case kindOrigin:
		r.lsn()
		r.string()
	case kindType:
		r.uint32()
		r.string()
		r.string()
	case kindUpdate:
		r.uint32()
		part := r.uint8()
		if part == 'K' || part == 'O' {
			r.tuple()
			part = r.uint8()
		}
		r.bad = r.bad || part != 'N'
		r.tuple()
	case kindDelete:
		r.uint32()
		part := r.uint8()
		r.bad = r.bad || (part != 'K' && part != 'O')
		r.tuple()
	case kindTruncate:
		n := r.uint32()
		r.uint8()
		r.bytes(4 * uint64(n))
	case kindMessage:
		m.transactional = r.uint8()&1 != 0
		m.lsn, m.prefix = r.lsn(), r.string()
		m.content = r.bytes(uint64(r.uint32()))
	default:
		return m, fmt.Errorf("%w: unknown type %q", ErrUndecodable, m.kind)
	}
	if r.bad || len(r.rest) > 0 {
		return m, fmt.Errorf("%w: malformed message of type %q, %d bytes", ErrUndecodable, m.kind, len(src))
	}
	return m, nil
}

// values copies the tuple once and returns its columns, nil for NULL. ok is false when a column isn't in text
// form, which an insert never is the way we ask for it.
func (t tuple) values() (values [][]byte, ok bool) {
	r := wireReader{rest: bytes.Clone(t.data)}
	values = make([][]byte, t.columns)
	for i := range values {
		switch r.uint8() {
		case 'n':
		case 't':
			values[i] = r.bytes(uint64(r.uint32()))
		default:
			return nil, false
		}
	}
	return values, !r.bad
}

// wireReader reads the protocol's primitives. Reading past the end sets bad and yields zero values from then on.
type wireReader struct {
	rest []byte
	bad  bool
}

// bytes returns the next n bytes without copying them; their capacity ends where they do.
func (r *wireReader) bytes(n uint64) []byte {
	if r.bad || n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *wireReader) uint8() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *wireReader) uint16() uint16 {
	if b := r.bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *wireReader) uint32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *wireReader) uint64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *wireReader) lsn() LSN { return LSN(r.uint64()) }

// postgresEpoch is 2000-01-01 00:00 UTC in microseconds of Unix time.
const postgresEpoch = 946684800 * 1_000_000

func (r *wireReader) time() time.Time {
	return time.UnixMicro(postgresEpoch + int64(r.uint64())).UTC()
}

func (r *wireReader) string() string {
	end := bytes.IndexByte(r.rest, 0)
	if end < 0 {
		r.bad = true
		return ""
	}
	s := string(r.bytes(uint64(end)))
	r.uint8()
	return s
}

func (r *wireReader) expect(b byte) { r.bad = r.uint8() != b || r.bad }

func (r *wireReader) relation() *Relation {
	relation := &Relation{ID: r.uint32(), Schema: r.string(), Name: r.string()}
	r.uint8() // replica identity
	n := int(r.uint16())
	for range n {
		if r.bad {
			break // n is foreign: it must not make us allocate
		}
		column := Column{Key: r.uint8()&1 != 0, Name: r.string(), TypeOID: r.uint32()}
		r.uint32() // type modifier
		relation.Columns = append(relation.Columns, column)
	}
	return relation
}

// tuple checks a tuple's form and skips it.
func (r *wireReader) tuple() tuple {
	t := tuple{columns: int(r.uint16())}
	start := r.rest
	for range t.columns {
		switch r.uint8() {
		case 'n', 'u':
		case 't', 'b':
			r.bytes(uint64(r.uint32()))
		default:
			r.bad = true
		}
		if r.bad {
			return tuple{}
		}
	}
	t.data = start[:len(start)-len(r.rest)]
	return t
}
