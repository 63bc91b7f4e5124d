package cdc

import (
	"sync/atomic"
	"time"
)

// Stats is a snapshot of what a Source has done since it was made.
type Stats struct {
	Rows         uint64    // received, each once, and handed over as there is room
	Recovered    uint64    // those of Rows that were read from the table in place of a lost slot
	Refused      uint64    // logical messages that are not transactional, and so not among Rows
	Transactions uint64    // wholly received, empty ones included
	Connected    bool      // streaming now
	Connects     uint64    // successful ones; Connects-1 are reconnects
	Stalls       uint64    // connections closed because nobody took the batches
	Received     LSN       // newest position that the server has sent
	Confirmed    LSN       // newest position that was sent to the server
	LastCommit   time.Time // commit time of the newest transaction received
	LastMessage  time.Time // when the server was last heard of
	// LongestBlock is the longest that the reader was blocked, by a full Batches or a write, without saying a word to
	// the server. The issue is not the wait, which is backpressure, but a host that can't shut down meanwhile.
	LongestBlock time.Duration
	LastError    string // of the present or the last outage
	LastErrorAt  time.Time
}

// counters are the live form of Stats.
type counters struct {
	rows, recovered, refused, transactions, connects, stalls atomic.Uint64
	received, confirmed                                      atomic.Uint64
	connected                                                atomic.Bool
	lastCommit, lastMessage                                  atomic.Int64 // Unix nanoseconds, 0 = never
	longestBlock                                             atomic.Int64 // nanoseconds
	lastError                                                atomic.Pointer[outageError]
}

type outageError struct {
	text string
	at   time.Time
}

func (c *counters) snapshot() Stats {
	s := Stats{
		Rows:         c.rows.Load(),
		Recovered:    c.recovered.Load(),
		Refused:      c.refused.Load(),
		Transactions: c.transactions.Load(),
		Connected:    c.connected.Load(),
		Connects:     c.connects.Load(),
		Stalls:       c.stalls.Load(),
		Received:     LSN(c.received.Load()),
		Confirmed:    LSN(c.confirmed.Load()),
		LastCommit:   timeOf(c.lastCommit.Load()),
		LastMessage:  timeOf(c.lastMessage.Load()),
		LongestBlock: time.Duration(c.longestBlock.Load()),
	}
	if e := c.lastError.Load(); e != nil {
		s.LastError, s.LastErrorAt = e.text, e.at
	}
	return s
}

func timeOf(nanoseconds int64) time.Time {
	if nanoseconds == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanoseconds)
}

// blocked notes that the reader was blocked from then until now. The reader alone calls it.
func (c *counters) blocked(from, now time.Time) {
	if d := int64(now.Sub(from)); d > c.longestBlock.Load() {
		c.longestBlock.Store(d)
	}
}

// raise sets v to lsn unless it is higher already.
func raise(v *atomic.Uint64, lsn LSN) {
	for {
		old := v.Load()
		if uint64(lsn) <= old || v.CompareAndSwap(old, uint64(lsn)) {
			return
		}
	}
}
