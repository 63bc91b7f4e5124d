package ledger

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/walpost/walpost/internal/pglogin"
)

// passing are the SQLSTATEs, or their first two characters, of what waiting may cure: lost connections, too few of
// something, a server that starts, stops or cancels, its files, conflicts, locks, and a server that isn't the primary.
// https://www.postgresql.org/docs/current/errcodes-appendix.html
var passing = []string{"08", "53", "57", "58", "40", "55P03", stateReadOnly}

// Passing reports whether an error may pass by itself, as a database does that is down. A refused login, a missing
// database, a missing right or a schema that is too new doesn't. A host that can't be found may be starting.
func Passing(err error) bool {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		for _, state := range passing {
			if strings.HasPrefix(server.Code, state) {
				return true
			}
		}
		return false
	}
	if pglogin.DisagreesOnTLS(err) {
		return false
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return pgconn.SafeToRetry(err) || errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
