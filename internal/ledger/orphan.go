package ledger

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// A server that is busy with a statement doesn't look whether its client is still there. What a walpost was doing when it was
// killed would go on for up to the statement_timeout, with its locks, which the one that takes over waits for.
const endWithClientSQL = "set client_connection_check_interval = '1s'"

// endWithClient has the server look once a second, where it can: from Postgres 14 on, on most platforms.
func endWithClient(ctx context.Context, conn *pgconn.PgConn) error {
	version, _, _ := strings.Cut(conn.ParameterStatus("server_version"), ".")
	if major, err := strconv.Atoi(version); err == nil && major < 14 { // others don't begin with a number: of betas, and of forks
		return nil
	}
	_, err := conn.Exec(ctx, endWithClientSQL).ReadAll()
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return nil // the platform can't, or the setting isn't known
	}
	return err
}
