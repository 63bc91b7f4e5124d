package retention

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/walpost/walpost/outbox"
)

// A server that lets us in and then says nothing ends the sweep, so that the next one can begin.
func TestSilentServerEndsTheSweep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{ConnString: "postgres://u@127.0.0.1/d?sslmode=disable", Table: outbox.Table{Schema: "public", Name: "outbox"}})
		ended := make(chan struct{})
		dialled := false
		s.dial = func(context.Context, string, string) (net.Conn, error) {
			if dialled {
				return nil, net.ErrClosed // a request to cancel what runs
			}
			dialled = true
			client, server := net.Pipe()
			go func() {
				defer close(ended)
				backend := pgproto3.NewBackend(server, server)
				if _, err := backend.ReceiveStartupMessage(); err != nil {
					t.Error(err)
				}
				backend.Send(&pgproto3.AuthenticationOk{})
				backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
				if err := backend.Flush(); err != nil {
					t.Error(err)
				}
				_, _ = io.Copy(io.Discard, server)
			}()
			return client, nil
		}
		began := time.Now()
		if _, err := s.Sweep(t.Context(), Sweep{Horizon: 1}); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if waited := time.Since(began); waited != answerTimeout {
			t.Errorf("ended after %s", waited)
		}
		<-ended
	})
}
