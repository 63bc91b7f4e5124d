package daemon

import (
	"time"

	"github.com/rs/zerolog"
)

// trouble logs a repeated error once when it begins and once when it ends, however often it is noted between.
type trouble struct {
	log   zerolog.Logger
	what  string // constant, e.g. "claim due deliveries"
	since time.Time
	count int
}

// note takes the result of the latest try.
func (t *trouble) note(err error) {
	switch {
	case err != nil && t.count == 0:
		t.since, t.count = time.Now(), 1
		t.log.Error().Err(err).Str(keyProblem, t.what).Msg("trouble begins")
	case err != nil:
		t.count++
	case t.count > 0:
		t.log.Info().Str(keyProblem, t.what).Int(keyCount, t.count).Dur(keyDuration, time.Since(t.since)).Msg("recovered")
		t.count = 0
	}
}
