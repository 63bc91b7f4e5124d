package cdc

// Position is a point of the stream that may be confirmed to the server: everything at or below it is
// resolved. Only the tracker makes positions, from the end of a transaction or from a keepalive, so that no
// position can be computed.
type Position struct {
	lsn      LSN
	commit   LSN
	timeline int32
	snapshot string
}

// LSN is the position to confirm.
func (p Position) LSN() LSN { return p.lsn }

// Commit is the end of the newest resolved transaction at or below LSN, 0 when there was none in this
// process. A checkpoint at or above it must be durable before the position is confirmed.
func (p Position) Commit() LSN { return p.commit }

// Snapshot is the pg_snapshot in text form of which all is resolved that it sees: a Poller's position, for which LSN only
// says when it was taken. It is empty where a Source streams, whose position is LSN.
func (p Position) Snapshot() string { return p.snapshot }
