package daemon

import (
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"
)

// trouble logs a repeated error once when it begins, once for each further cause, and once when it ends, however often it is
// noted between.
type trouble struct {
	log    zerolog.Logger
	what   string // constant, e.g. "claim due deliveries"
	since  time.Time
	count  int
	causes map[string]bool // SQLSTATEs that were logged
}

// note takes the result of the latest try.
func (t *trouble) note(err error) {
	switch {
	case err != nil && t.count == 0:
		t.since, t.count, t.causes = time.Now(), 1, map[string]bool{stateOf(err): true}
		t.log.Error().Err(err).Str(keyProblem, t.what).Msg("trouble begins")
	case err != nil:
		t.count++
		if cause := stateOf(err); !t.causes[cause] { // a terminated session is only how the true cause begins
			t.causes[cause] = true
			t.log.Error().Err(err).Str(keyProblem, t.what).Msg("trouble goes on")
		}
	case t.count > 0:
		t.log.Info().Str(keyProblem, t.what).Int(keyCount, t.count).Dur(keyDuration, time.Since(t.since)).Msg("recovered")
		t.count = 0
	}
}

// stateOf is the SQLSTATE of an error of the server, "" of any other.
func stateOf(err error) string {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return ""
	}
	return pg.Code
}
