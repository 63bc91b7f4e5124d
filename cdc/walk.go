package cdc

// Walk is one walk through the table in place of the stream, and how far it has come. What it says of the past stays true,
// whoever goes on with it and whatever becomes of the slot: each row version before its place that Since doesn't surely see,
// and that was visible when the walk began and is so still, is dealt with.
//
// One with an End was the last: all that First sees is dealt with, and what it doesn't see is in the stream of Coverage.
//
// So a walk that was begun by another connection is followed by a second one, from the snapshot in which it was begun and
// up to where this connection took it over: a row that was updated in between may have moved from behind the place to before it.
type Walk struct {
	Gap   string `json:"gap"`             // the checkpoint's snapshot for which the table is read; empty: a backlog
	Since string `json:"since,omitempty"` // what it surely sees is left out; empty: nothing is
	First string `json:"first"`           // the snapshot of the connection that has begun the walk
	Place Place  `json:"place"`
	Late  int64  `json:"late,omitempty"` // rows of this transaction and of later ones may be in the stream as well
	Rows  uint64 `json:"rows"`           // handed over for this gap so far
	End   LSN    `json:"end,omitempty"`  // Recovery.End, once all has been read: First was taken just below it. 0: not yet
	// Coverage is Identity.Coverage from before First was taken, once all has been read.
	Coverage string `json:"coverage,omitempty"`
}

// Place is where a walk goes on. Leaves are walked through in the order of their OIDs, which no renaming changes.
type Place struct {
	Leaf   uint32 `json:"leaf"` // OID
	File   uint32 `json:"file"` // its file node: another one means that rows have moved, and that the leaf begins anew
	Block  int64  `json:"block"`
	Offset int64  `json:"offset"`
}

// in gives where to go on within a leaf; past says that all of it lies before the place.
func (p Place) in(l leaf) (from tid, past bool) {
	switch {
	case l.OID < p.Leaf:
		return from, true
	case l.OID > p.Leaf || l.File != p.File:
		return tid{}, false
	}
	return tid{block: p.Block, offset: p.Offset}, false
}

// place is where a walk is in a leaf.
func (l leaf) place(at tid) Place {
	return Place{Leaf: l.OID, File: l.File, Block: at.block, Offset: at.offset}
}

// fills reports whether what the walk says helps with the gap above a snapshot: the one for which it is, or where it goes on
// from, if a walk before it has ended that saw as much.
func (w *Walk) fills(gap string) bool { return w.Gap == gap || w.Since == gap }

// Over reports whether the walk has come to its end, and was for the gap above a checkpoint's snapshot, which First may
// replace now.
func (w *Walk) Over(gap string) bool { return w != nil && w.End != 0 && gap != "" && w.fills(gap) }

// gap is what a checkpoint asks to be read.
func (r *Resume) gap() string {
	if r == nil {
		return ""
	}
	return r.Snapshot
}

// walk gives the walk that is gone on with: how far this process has handed rows over, else how far any has dealt with
// them. Nil: one begins.
func (s *Source) walk(resume *Resume, timeline int32) *Walk {
	if w := s.recoveries.walk; w != nil && w.fills(resume.gap()) && s.tracker.Load().timeline == timeline {
		return w
	}
	if resume != nil && resume.Walk != nil && resume.Walk.fills(resume.Snapshot) {
		return resume.Walk
	}
	return nil
}
