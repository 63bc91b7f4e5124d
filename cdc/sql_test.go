package cdc

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// A server that takes what it is asked, and says nothing, is left after a while, before the stream is there, too.
func TestSilentServerIsNotAskedForEver(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(context.Context, *pgconn.PgConn) error{
		"query": func(ctx context.Context, conn *pgconn.PgConn) error {
			_, _, err := query[struct{}](ctx, conn, "alive")
			return err
		},
		"run": func(ctx context.Context, conn *pgconn.PgConn) error { return run(ctx, conn, "begin") },
		"history": func(ctx context.Context, conn *pgconn.PgConn) error {
			_, err := (&replicationConn{pg: conn}).history(ctx, 2)
			return err
		},
		"start": func(ctx context.Context, conn *pgconn.PgConn) error {
			return (&replicationConn{pg: conn}).start(ctx, Options{Slot: "walpost", Publication: "walpost"}, 0)
		},
		"range": func(ctx context.Context, conn *pgconn.PgConn) error {
			_, err := newLeafReader(conn, leaf{Blocks: 1}, nil, span{}, 150000).query(ctx, tid{block: 1})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				read := make(chan struct{})
				go func() {
					defer close(read)
					_, _ = io.Copy(io.Discard, server)
				}()
				config, err := pgconn.ParseConfig("postgres://h/d")
				if err != nil {
					t.Fatal(err)
				}
				conn, err := pgconn.Construct(&pgconn.HijackedConn{
					Conn: client, Frontend: pgproto3.NewFrontend(client, client), Config: config, TxStatus: 'I',
				})
				if err != nil {
					t.Fatal(err)
				}
				asked := time.Now()
				if err := ask(t.Context(), conn); !errors.Is(err, context.DeadlineExceeded) || !Retryable(err) {
					t.Error(err)
				}
				if waited := time.Since(asked); waited != answerTimeout {
					t.Errorf("left after %s", waited)
				}
				closeOrdinary(t.Context(), conn)
				<-conn.CleanupDone()
				<-read
			})
		})
	}
}
