package cdc

import (
	"bytes"
	"fmt"
	"time"
)

// messagesVersion is the first Postgres whose pgoutput sends logical messages.
const messagesVersion = 140000

// messageRelation is what messages are rows of.
var messageRelation = &Relation{Name: "pg_logical_emit_message", Columns: []Column{{Name: "content"}}}

func checkMessages(o Options, version int) error {
	if o.Messages == "" || version >= messagesVersion {
		return nil
	}
	return &SetupError{
		Problem: fmt.Sprintf("the server is Postgres %d, which doesn't stream logical messages", version/10000),
		Fix:     "messages need Postgres 14 or later: insert into the table instead",
	}
}

// takeMessage makes a row of a logical message that is ours. It counts among the rows of its transaction, so that what is
// sent again after a reconnect is known.
func (in *intake) takeMessage(m message) (row Row, ok bool, err error) {
	s := in.source
	if s.opts.Messages == "" || m.prefix != s.opts.Messages {
		return row, false, nil
	}
	if !m.transactional {
		s.counters.refused.Add(1)
		if now := time.Now(); now.Sub(s.refusedAt) > outageLogInterval {
			s.refusedAt = now
			s.opts.Logger.Warn().Str("prefix", m.prefix).Stringer("lsn", m.lsn).Uint64("refused", s.counters.refused.Load()).
				Msg("logical message left out: it is not transactional, so it may tell of what is rolled back")
		}
		return row, false, nil
	}
	if !in.inside {
		return row, false, fmt.Errorf("%w: a transactional message outside of a transaction", ErrUndecodable)
	}
	ordinal, fresh := in.next()
	if !fresh {
		return row, false, nil
	}
	row = in.newRow(messageRelation, [][]byte{bytes.Clone(m.content)}, ordinal)
	row.Message = true
	return row, true, nil
}
