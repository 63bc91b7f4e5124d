package cdc

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgproto3"
)

// realMessages reads from a real server what a slot has, over a publication of everything.
func realMessages(t testing.TB) [][]byte {
	t.Helper()
	db := newOutbox(t)
	db.Exec(t, `create table other (id int primary key, kind text, big text);
		alter table other replica identity full;
		create type mood as enum ('good', 'bad');
		alter table outbox add column mood mood;
		create publication walpost for all tables`)
	o := testOptions(db).withDefaults()
	if _, err := Setup(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	db.Exec(t, `insert into outbox (aggregate_type, aggregate_id, event_type, payload, headers, mood)
		values ('contact', '1', 'created', jsonb_build_object('ü', repeat('long ', 2000)), '{}', 'good'), ('contact', '', '', 'null', null, null)`)
	db.Exec(t, `update outbox set mood = 'bad'; delete from outbox`)
	db.Exec(t, `insert into other values (1, 'x', repeat('long ', 20000)); update other set kind = 'y'; update other set id = 2; delete from other`)
	db.Exec(t, `alter table other drop column kind; insert into other values (3, null); truncate other, outbox restart identity cascade`)
	db.Exec(t, `select pg_replication_origin_create($1)`, db.Name)
	db.Exec(t, `select pg_replication_origin_session_setup('`+db.Name+`'); begin;
		select pg_replication_origin_xact_setup('0/AA', now()); insert into other values (4, 'from elsewhere'); commit;
		select pg_replication_origin_session_reset(); select pg_replication_origin_drop('`+db.Name+`')`)
	end := scalar[uint64](t, db.Pool(t), `select (pg_current_wal_insert_lsn() - '0/0')::bigint`)

	conn, _, err := openReplication(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.close()
	if err := conn.start(t.Context(), o, 0); err != nil {
		t.Fatal(err)
	}
	if err := conn.net.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	var messages [][]byte
	for {
		m, err := conn.frontend.Receive()
		if err != nil {
			t.Fatal(err)
		}
		data, ok := m.(*pgproto3.CopyData)
		if !ok {
			t.Fatalf("%T", m)
		}
		if data.Data[0] == pglogrepl.PrimaryKeepaliveMessageByteID {
			k, err := pglogrepl.ParsePrimaryKeepaliveMessage(data.Data[1:])
			if err != nil {
				t.Fatal(err)
			}
			if uint64(k.ServerWALEnd) >= end {
				return messages
			}
			continue
		}
		x, err := pglogrepl.ParseXLogData(data.Data[1:])
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, bytes.Clone(x.WALData))
	}
}

func TestDecodeAgreesWithPglogrepl(t *testing.T) {
	t.Parallel()
	seen := map[byte]int{}
	for _, data := range realMessages(t) {
		seen[data[0]]++
		compareWithPglogrepl(t, data)
	}
	for _, kind := range []byte{kindBegin, kindCommit, kindRelation, kindInsert, kindOrigin, kindType, kindUpdate, kindDelete, kindTruncate} {
		if seen[kind] == 0 {
			t.Errorf("no message of type %q in the stream", kind)
		}
	}
}

func compareWithPglogrepl(t *testing.T, data []byte) {
	t.Helper()
	reference, err := pglogrepl.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	m, err := decode(data)
	if err != nil {
		t.Fatalf("%q: %v", data, err)
	}
	var got, want any
	switch r := reference.(type) {
	case *pglogrepl.BeginMessage:
		got = []any{m.lsn, m.time.UnixMicro(), m.xid}
		want = []any{r.FinalLSN, r.CommitTime.UnixMicro(), r.Xid}
	case *pglogrepl.CommitMessage:
		got = []any{m.lsn, m.end, m.time.UnixMicro()}
		want = []any{r.CommitLSN, r.TransactionEndLSN, r.CommitTime.UnixMicro()}
	case *pglogrepl.RelationMessage:
		relation := &Relation{Schema: r.Namespace, Name: r.RelationName, ID: r.RelationID}
		for _, c := range r.Columns {
			relation.Columns = append(relation.Columns, Column{Name: c.Name, TypeOID: c.DataType, Key: c.Flags&1 == 1})
		}
		got, want = m.schema, relation
	case *pglogrepl.InsertMessage:
		values, ok := m.tuple.values()
		var reference [][]byte
		for _, c := range r.Tuple.Columns {
			if c.DataType == pglogrepl.TupleDataTypeNull {
				reference = append(reference, nil)
				continue
			}
			reference = append(reference, c.Data)
		}
		got, want = []any{m.relation, ok, values}, []any{r.RelationID, true, reference}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v, want %#v", got, want)
	}
}

// Every message cut short anywhere, or with a byte too many, is refused.
func TestDecodeRefusesWhatIsCutOrTooLong(t *testing.T) {
	t.Parallel()
	for _, data := range samples() {
		if _, err := decode(data); err != nil {
			t.Errorf("%q: %v", data, err)
		}
		for n := range data {
			if _, err := decode(data[:n:n]); !errors.Is(err, ErrUndecodable) {
				t.Errorf("%q cut to %d bytes: %v", data, n, err)
			}
		}
		if _, err := decode(append(bytes.Clone(data), 0)); !errors.Is(err, ErrUndecodable) {
			t.Errorf("%q and a byte: %v", data, err)
		}
	}
	for _, data := range []string{"", "b", "S", "\x00", "I\x00\x00\x00\x01K\x00\x00", "I\x00\x00\x00\x01N\x00\x01x"} {
		if _, err := decode([]byte(data)); !errors.Is(err, ErrUndecodable) {
			t.Errorf("%q: %v", data, err)
		}
	}
}

func TestTupleValuesAreTheirReceiversOwn(t *testing.T) {
	t.Parallel()
	data := encodeInsert(7, "abc", "", null)
	m, err := decode(data)
	if err != nil {
		t.Fatal(err)
	}
	values, ok := m.tuple.values()
	clear(data)
	if !ok || string(values[0]) != "abc" || values[1] == nil || len(values[1]) != 0 || values[2] != nil {
		t.Errorf("%q %v", values, ok)
	}
	_ = append(values[0], "!!!!!!!!"...)
	if len(values[1]) != 0 || string(values[0]) != "abc" {
		t.Error("values share capacity")
	}
	for _, kind := range []string{"u", "b\x00\x00\x00\x01x"} {
		m, err := decode([]byte("I\x00\x00\x00\x01N\x00\x01" + kind))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := m.tuple.values(); ok {
			t.Errorf("a column of kind %q in an insert", kind[0])
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, data := range samples() {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		m, err := decode(data)
		if err != nil {
			if !errors.Is(err, ErrUndecodable) || Retryable(err) {
				t.Errorf("%v", err)
			}
			return
		}
		if values, ok := m.tuple.values(); ok && len(values) != m.tuple.columns {
			t.Errorf("%d values of %d columns", len(values), m.tuple.columns)
		}
		if !bytes.Equal(before, data) {
			t.Error("decoding changed its input")
		}
		if readableByPglogrepl(m) {
			compareWithPglogrepl(t, data)
		}
	})
}

// readableByPglogrepl reports whether pglogrepl reads such a message at all and right: it refuses a row without columns,
// knows no column that isn't text in another way than we do, and loses times that are far away.
func readableByPglogrepl(m message) bool {
	switch m.kind {
	case kindBegin, kindCommit:
		return m.time.Year() > 1700 && m.time.Year() < 2200
	case kindInsert:
		_, ok := m.tuple.values()
		return ok && m.tuple.columns > 0
	case kindRelation:
		return len(m.schema.Columns) > 0
	}
	return false
}

func BenchmarkDecodeInsert(b *testing.B) {
	data := encodeInsert(7, "0191f0a0-0000-7000-8000-000000000000", "contact", "7", "contact.created",
		`{"contact": {"id": 7, "filler": "`+string(bytes.Repeat([]byte("x"), 450))+`"}}`, null, "2025-01-01 00:00:00+00")
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		m, err := decode(data)
		if err != nil {
			b.Fatal(err)
		}
		if _, ok := m.tuple.values(); !ok {
			b.Fatal("no values")
		}
	}
}
