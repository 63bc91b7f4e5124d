package cdc

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgproto3"
)

// loginTimeout bounds a login when the connection string has no connect_timeout.
const loginTimeout = 15 * time.Second

// connectionConfig turns the connection string into the configuration of a replication connection, or of the
// ordinary one that sets things up. Both go to a primary: a standby can't serve the slot.
func connectionConfig(o Options, replication bool) (*pgconn.Config, error) {
	config, err := pgconn.ParseConfig(o.ConnString)
	if err != nil {
		// The parser's error quotes the string, in which a password may be anywhere.
		return nil, &SetupError{
			Problem: "the connection string cannot be parsed",
			Fix:     "write it as postgres://user:password@host:5432/database, with special characters percent-encoded",
		}
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = loginTimeout
	}
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 15 * time.Second, Interval: 10 * time.Second, Count: 3,
	}}
	config.DialFunc = dialer.DialContext
	if config.ValidateConnect == nil {
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}

	// The role's or database's own settings may change how values are written, or hide a warning we wait for.
	params := config.RuntimeParams
	if params["application_name"] == "" {
		params["application_name"] = o.Application
	}
	params["client_encoding"] = "UTF8"
	params["client_min_messages"] = "warning"
	params["DateStyle"] = "ISO, YMD"
	params["IntervalStyle"] = "postgres"
	params["TimeZone"] = "UTC"
	params["bytea_output"] = "hex"
	params["extra_float_digits"] = "1"
	if replication {
		params["replication"] = "database"
		params["wal_sender_timeout"] = milliseconds(o.WALSenderTimeout)
		return config, nil
	}
	params["lock_timeout"] = milliseconds(o.LockTimeout)
	params["statement_timeout"] = "0"
	return config, nil
}

// cancelThenWait makes the end of a context cancel the running statement, and waits for the server's answer.
func cancelThenWait(conn *pgconn.PgConn) ctxwatch.Handler {
	return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: 5 * time.Second}
}

func milliseconds(d time.Duration) string {
	return strconv.FormatInt(max(d.Milliseconds(), 1), 10)
}

// openOrdinary opens a connection for SQL.
func openOrdinary(ctx context.Context, o Options) (*pgconn.PgConn, error) {
	return openForSQL(ctx, o, nil)
}

// openCreator opens a connection for a statement that must not go on without us when ctx ends.
func openCreator(ctx context.Context, o Options) (*pgconn.PgConn, error) {
	return openForSQL(ctx, o, cancelThenWait)
}

func openForSQL(ctx context.Context, o Options, onCancel func(*pgconn.PgConn) ctxwatch.Handler) (*pgconn.PgConn, error) {
	config, err := connectionConfig(o, false)
	if err != nil {
		return nil, err
	}
	if onCancel != nil {
		config.BuildContextWatcherHandler = onCancel
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return conn, nil
}

// closeOrdinary says goodbye even when ctx has ended.
func closeOrdinary(ctx context.Context, conn *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // nothing was left to be done on it
}

// replicationConn is a replication connection. Until start it is a pgconn; from then on its owner reads and
// writes the protocol itself, with deadlines instead of a context per message.
type replicationConn struct {
	pg       *pgconn.PgConn
	net      net.Conn
	frontend *pgproto3.Frontend
}

// openReplication opens a replication connection and asks whom it is connected to. The position in the answer
// is not a place to start from.
func openReplication(ctx context.Context, o Options) (*replicationConn, Identity, error) {
	config, err := connectionConfig(o, true)
	if err != nil {
		return nil, Identity{}, err
	}
	pg, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, Identity{}, fmt.Errorf("connect for replication: %w", err)
	}
	conn := &replicationConn{pg: pg, net: pg.Conn()}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	system, err := pglogrepl.IdentifySystem(ctx, pg)
	if err != nil {
		conn.close()
		return nil, Identity{}, fmt.Errorf("identify the system: %w", err)
	}
	return conn, Identity{SystemID: system.SystemID, Timeline: system.Timeline, end: system.XLogPos}, nil
}

// start begins streaming and takes the connection over from pgconn. Only the first version of the protocol
// sends nothing but committed transactions.
func (c *replicationConn) start(ctx context.Context, o Options, from LSN) error {
	arguments := []string{"proto_version '1'", "publication_names " + quoteLiteral(quoteIdentifier(o.Publication))}
	if o.Messages != "" {
		arguments = append(arguments, "messages 'true'")
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	err := pglogrepl.StartReplication(ctx, c.pg, o.Slot, from, pglogrepl.StartReplicationOptions{
		Mode: pglogrepl.LogicalReplication, PluginArgs: arguments,
	})
	if err != nil {
		return fmt.Errorf("start replication: %w", err)
	}
	hijacked, err := c.pg.Hijack()
	if err != nil {
		return fmt.Errorf("take over the replication connection: %w", err)
	}
	c.net, c.frontend = hijacked.Conn, hijacked.Frontend
	return nil
}

// close drops the connection at once. An orderly end of the stream comes before it.
func (c *replicationConn) close() { _ = c.net.Close() }
