package cdc

// Position is a point of the stream that may be confirmed to the server: everything at or below it is
// resolved. Only the tracker makes positions, from the end of a transaction or from a keepalive, so that no
// position can be computed.
type Position struct {
	lsn      LSN
	commit   LSN
	timeline int32
	snapshot string
	walk     *Walk
}

// LSN is the position to confirm.
func (p Position) LSN() LSN { return p.lsn }

// on is the LSN if it is one of the timeline's, else 0.
func (p Position) on(timeline int32) LSN {
	if p.timeline != timeline {
		return 0
	}
	return p.lsn
}

// Commit is the end of the newest resolved transaction at or below LSN, 0 when there was none in this
// process. A checkpoint at or above it must be durable before the position is confirmed.
func (p Position) Commit() LSN { return p.commit }

// Snapshot is the pg_snapshot in text form of which all is resolved that it sees: a Poller's position, for which LSN only
// says when it was taken. It is empty where a Source streams, whose position is LSN.
func (p Position) Snapshot() string { return p.snapshot }

// Walk is how far the rows are resolved that are read from the table in place of the stream, the latest time that they
// are. Nil: none were.
func (p Position) Walk() *Walk { return p.walk }

// Idle WAL is confirmed without a checkpoint, so that an idle host sees no write and keeps no WAL. A slot that is found
// ahead of the checkpoint was then moved by us, or by somebody else, who has taken rows with it. To be told apart, we
// confirm idle WAL up to an odd byte. Records begin and end at multiples of eight, so a slot that is made, advanced or
// read by anybody else never stands there, and nothing lies between the odd byte and the position behind it.

// idleMark is the odd position at or just below lsn, 0 for 0. It is the only position that is computed: downwards, where
// all is resolved.
func idleMark(lsn LSN) LSN {
	if lsn == 0 {
		return 0
	}
	return (lsn - 1) | 1
}

func isIdleMark(lsn LSN) bool { return lsn%2 == 1 }
