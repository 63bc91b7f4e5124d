package cdc

import (
	"encoding/binary"
	"hash/maphash"
)

// maxOverlap bounds the rows that are remembered, at some 40 bytes each. Those beyond it come twice.
const maxOverlap = 250_000

// overlap remembers rows that were read from the table and that the slot sends too, so that they aren't handed over again.
// As long as it is known, so are they to the tracker.
type overlap struct {
	seeds [2]maphash.Seed
	rows  map[rowKey]struct{}
	until LSN // no row that is committed above it was read
}

func newOverlap() *overlap {
	return &overlap{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, rows: map[rowKey]struct{}{}}
}

// rowKey is 128 bits of a row's values that nobody can foresee.
type rowKey [2]uint64

// add remembers rows.
func (o *overlap) add(keys []rowKey) {
	for _, key := range keys {
		if len(o.rows) < maxOverlap {
			o.rows[key] = struct{}{}
		}
	}
}

// take reports whether a row is remembered, and forgets it.
func (o *overlap) take(values [][]byte) bool {
	key := o.key(values)
	_, known := o.rows[key]
	delete(o.rows, key)
	return known
}

// key tells rows apart.
func (o *overlap) key(values [][]byte) (key rowKey) {
	for i, seed := range o.seeds {
		var h maphash.Hash
		h.SetSeed(seed)
		for _, v := range values {
			var length [9]byte // and whether it is null
			if v != nil {
				length[8] = 1
				binary.LittleEndian.PutUint64(length[:], uint64(len(v)))
			}
			_, _ = h.Write(length[:]) // it never fails
			_, _ = h.Write(v)
		}
		key[i] = h.Sum64()
	}
	return key
}

// repeated reports whether a streamed row of a transaction was read from the table before. Behind the last one that can have
// been, all are forgotten.
func (s *Source) repeated(commit LSN, values [][]byte) bool {
	o := s.recoveries.overlap
	if o == nil {
		return false
	}
	if commit > o.until {
		s.recoveries.overlap = nil
		return false
	}
	return o.take(values)
}
