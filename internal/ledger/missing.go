package ledger

import (
	"errors"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrMissing says that the schema is gone, or a part of it: somebody has dropped it under us. Waiting doesn't bring it back, and
// it isn't made anew behind anybody's back: who starts next does that.
var ErrMissing = errors.New("schema walpost is gone, or a part of it")

// absent are the SQLSTATEs of a schema, a table and a function that aren't there.
var absent = []string{"3F000", "42P01", "42883"}

// Missing reports whether a statement of the ledger has failed because what it is about isn't there.
func Missing(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && slices.Contains(absent, server.Code)
}
