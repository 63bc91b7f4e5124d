package cdc

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/walpost/walpost/internal/pgtest"
)

// A pooler in transaction mode gives the same backend to whoever asks, as one connection does that is taken for two.
func TestSharedSessionsAreFound(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	connect := func() *pgconn.PgConn {
		conn, err := pgconn.Connect(t.Context(), db.URL)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeOrdinary(t.Context(), conn) })
		return conn
	}
	first, second := connect(), connect()
	if err := ownSession(t.Context(), first, second); err != nil {
		t.Errorf("two sessions: %v", err)
	}
	wantSetupError(t, ownSession(t.Context(), first, first), nil, "transaction mode", "session mode")
}

// The backend that serves us is asked for at every look: another one means that the lock and LISTEN are gone.
func TestAChangedBackendEndsPolling(t *testing.T) {
	t.Parallel()
	db := newOutbox(t)
	db.Exec(t, pollDDL)
	s := &polling{Poller: &Poller{feed: newFeed(1), opts: pollOptions(testOptions(db).withDefaults())}}
	if err := s.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer closeOrdinary(t.Context(), s.conn)
	if _, err := s.identify(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.mark(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.backend++
	_, err := s.mark(t.Context())
	wantSetupError(t, err, nil, "transaction mode", "session mode")
}
