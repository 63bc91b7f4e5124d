package cdc

import (
	"errors"
	"time"
)

// silence is how long a server may say nothing. One that decodes a huge transaction of others may say nothing until it is
// through (before Postgres 15 it never does), and begins anew at each connect. So where nothing has come since a silent one
// was left, it gets twice as long.
type silence struct {
	doubled  int
	received LSN
}

const (
	// silenceTimes is how many WALSenderTimeouts it is at first: a busy walsender answers late, and starting over would make
	// it later.
	silenceTimes = 4
	// silenceDoubled bounds the doubling: an hour with the default timeout.
	silenceDoubled = 5
)

func (s *silence) limit(timeout time.Duration) time.Duration {
	return timeout * silenceTimes << s.doubled
}

// note takes why a stream ended, and up to where it had received.
func (s *silence) note(err error, received LSN) {
	if received > s.received {
		s.doubled, s.received = 0, received
	}
	if errors.Is(err, errSilent) {
		s.doubled = min(s.doubled+1, silenceDoubled)
	}
}
