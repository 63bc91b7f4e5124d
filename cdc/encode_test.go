package cdc

import (
	"encoding/binary"
)

// What a server would send, encoded by hand.

// null marks a NULL column for encodeInsert.
const null = "\x00NULL"

func encodeBegin(lsn LSN, xid uint32) []byte {
	b := binary.BigEndian.AppendUint64([]byte{kindBegin}, uint64(lsn))
	b = binary.BigEndian.AppendUint64(b, 1_000_000)
	return binary.BigEndian.AppendUint32(b, xid)
}

func encodeCommit(lsn, end LSN) []byte {
	b := binary.BigEndian.AppendUint64([]byte{kindCommit, 0}, uint64(lsn))
	b = binary.BigEndian.AppendUint64(b, uint64(end))
	return binary.BigEndian.AppendUint64(b, 1_000_000)
}

func encodeRelation(oid uint32, schema, name string, columns ...string) []byte {
	b := binary.BigEndian.AppendUint32([]byte{kindRelation}, oid)
	b = append(b, schema+"\x00"+name+"\x00d"...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(columns)))
	for _, c := range columns {
		b = append(b, 1)
		b = append(b, c+"\x00"...)
		b = binary.BigEndian.AppendUint32(b, 25)
		b = binary.BigEndian.AppendUint32(b, 0xffffffff)
	}
	return b
}

func encodeTuple(values ...string) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(values)))
	for _, v := range values {
		if v == null {
			b = append(b, 'n')
			continue
		}
		b = append(b, 't')
		b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
		b = append(b, v...)
	}
	return b
}

func encodeInsert(oid uint32, values ...string) []byte {
	b := binary.BigEndian.AppendUint32([]byte{kindInsert}, oid)
	return append(append(b, 'N'), encodeTuple(values...)...)
}

func encodeKeepalive(walEnd LSN, reply bool) []byte {
	b := binary.BigEndian.AppendUint64([]byte{'k'}, uint64(walEnd))
	b = binary.BigEndian.AppendUint64(b, 0)
	if reply {
		return append(b, 1)
	}
	return append(b, 0)
}

func encodeXLogData(message []byte) []byte {
	b := append([]byte{'w'}, make([]byte, 24)...)
	return append(b, message...)
}

// samples has one message at least of every kind.
func samples() [][]byte {
	oid := "\x00\x00\x00\x07"
	lsn := "\x00\x00\x00\x00\x00\x00\x00\x09"
	tuple := string(encodeTuple("1", null, ""))
	return [][]byte{
		encodeBegin(100, 7),
		encodeCommit(100, 150),
		encodeRelation(7, "public", "outbox", "id", "payload"),
		encodeRelation(7, "", ""),
		encodeInsert(7, "1", null, ""),
		encodeInsert(7),
		[]byte("O" + lsn + "origin\x00"),
		[]byte("Y" + oid + "public\x00mood\x00"),
		[]byte("U" + oid + "N" + tuple),
		[]byte("U" + oid + "K" + tuple + "N\x00\x01u"),
		[]byte("U" + oid + "O" + tuple + "N" + tuple),
		[]byte("D" + oid + "K" + tuple),
		[]byte("D" + oid + "O" + tuple),
		[]byte("T\x00\x00\x00\x02\x01" + oid + oid),
		[]byte("M\x01" + lsn + "prefix\x00\x00\x00\x00\x03abc"),
	}
}
