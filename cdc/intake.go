package cdc

import (
	"fmt"
	"slices"

	"github.com/walpost/walpost/internal/failpoint"
)

// received is what this process has taken over from the stream. It outlives a connection, so that what is sent
// again after a reconnect isn't handed over again.
type received struct {
	commit LSN  // start of the commit record of the newest transaction received wholly
	open   *txn // the one whose commit hasn't arrived
	rows   int  // how many rows of open were taken
}

// intake turns the messages of one connection into rows, and tells the tracker of each transaction. The server
// describes a relation once per connection, so what is known of them ends with it.
type intake struct {
	source    *Source
	tracker   *tracker
	start     LSN
	tableOID  uint32
	relations map[uint32]knownRelation

	inside  bool    // between begin and commit
	begin   message // of the present transaction
	open    *txn    // nil also when the present transaction was received before
	ordinal int     // of the next row of the present transaction
}

type knownRelation struct {
	*Relation
	ours bool
}

// take handles one message; ok says that it was a row to hand over.
func (in *intake) take(m message) (row Row, ok bool, err error) {
	switch m.kind {
	case kindBegin:
		return row, false, in.takeBegin(m)
	case kindInsert:
		return in.takeInsert(m)
	case kindCommit:
		return row, false, in.takeCommit(m)
	case kindRelation:
		in.takeRelation(m.schema)
	case kindMessage:
		return in.takeMessage(m)
	}
	return row, false, nil
}

func (in *intake) takeBegin(m message) error {
	if in.inside {
		return fmt.Errorf("%w: transaction %d begins inside transaction %d", ErrUndecodable, m.xid, in.begin.xid)
	}
	in.inside, in.begin, in.open, in.ordinal = true, m, nil, 0
	before := &in.source.received
	switch {
	case m.lsn < in.start || m.lsn <= before.commit:
		// Sent again: at or below the checkpoint, or received over an earlier connection.
	case before.open != nil && before.open.begin == m.lsn:
		in.open = before.open
	default:
		if before.open != nil {
			in.source.opts.Logger.Warn().Stringer("commit_lsn", before.open.begin).Int("rows", before.rows).
				Msg("a transaction received in part was not sent again; its rows were handed over")
			in.tracker.abandon(before.open)
		}
		in.open = in.tracker.begin(m.lsn)
		before.open, before.rows = in.open, 0
	}
	return nil
}

func (in *intake) takeInsert(m message) (row Row, ok bool, err error) {
	if !in.inside {
		return row, false, fmt.Errorf("%w: a row outside of a transaction", ErrUndecodable)
	}
	relation, known := in.relations[m.relation]
	if !known {
		return row, false, fmt.Errorf("the server sent a row of relation %d without describing it", m.relation)
	}
	if !relation.ours {
		return row, false, nil
	}
	ordinal, fresh := in.next()
	if !fresh {
		return row, false, nil
	}
	values, wellFormed := m.tuple.values()
	if !wellFormed || len(values) != len(relation.Columns) {
		return row, false, fmt.Errorf("%w: row %d of transaction %d doesn't fit its relation", ErrUndecodable, ordinal, in.begin.xid)
	}
	if in.source.repeated(in.begin.lsn, values) {
		in.source.received.rows++
		return row, false, nil
	}
	return in.newRow(relation.Relation, values, ordinal), true, nil
}

// next counts a row of the present transaction. One that isn't fresh was received before.
func (in *intake) next() (ordinal int, fresh bool) {
	ordinal = in.ordinal
	in.ordinal++
	return ordinal, in.open != nil && ordinal >= in.source.received.rows
}

// newRow makes the row that was counted, to be resolved.
func (in *intake) newRow(relation *Relation, values [][]byte, ordinal int) Row {
	in.open.hold()
	in.source.received.rows++
	in.source.counters.rows.Add(1)
	return Row{
		Relation: relation, Values: values,
		CommitLSN: in.begin.lsn, CommitTime: in.begin.time, XID: in.begin.xid,
		Ordinal: ordinal, txn: in.open,
	}
}

func (in *intake) takeCommit(m message) error {
	if !in.inside || m.lsn != in.begin.lsn {
		return fmt.Errorf("%w: commit %s belongs to no transaction", ErrUndecodable, m.lsn)
	}
	in.inside = false
	raise(&in.source.counters.received, m.end)
	if in.open == nil {
		return nil
	}
	in.source.received = received{commit: m.lsn}
	in.source.counters.transactions.Add(1)
	in.source.counters.lastCommit.Store(m.time.UnixNano())
	in.tracker.commit(in.open, m.end)
	in.open = nil
	failpoint.Hit(failpoint.Received)
	return nil
}

// takeRelation keeps the known Relation when nothing has changed: the server repeats the description after a
// mere ANALYZE.
func (in *intake) takeRelation(r *Relation) {
	old, known := in.relations[r.ID]
	if known && old.Schema == r.Schema && old.Name == r.Name && slices.Equal(old.Columns, r.Columns) {
		return
	}
	o := &in.source.opts
	in.relations[r.ID] = knownRelation{
		Relation: r,
		ours:     r.ID == in.tableOID || (r.Schema == o.Schema && r.Name == o.Table),
	}
}
