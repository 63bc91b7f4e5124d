package ledger

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/walpost/walpost/internal/pgembed"
	"github.com/walpost/walpost/internal/pgtest"
)

// logLines is a log that tells when a message was written.
type logLines chan string

func (l logLines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func TestWriterSurvivesServerRestart(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, nil)
	log := make(logLines, 100)
	db := &pgtest.Database{URL: server.URL("postgres"), Name: "postgres"} // goes with the server
	f := start(t, db, Options{MaxPending: 1 << 20, Logger: zerolog.New(log)})
	var mu sync.Mutex
	ended := make(map[int]int)
	var waiting sync.WaitGroup
	submit := func(i int) {
		e := event(i, 200)
		waiting.Add(1)
		err := f.Submit(t.Context(), owed(e, delivery(e, "crm", Pending))(func(err error) {
			if err != nil {
				t.Errorf("entry %d: %v", i, err)
			}
			mu.Lock()
			ended[i]++
			mu.Unlock()
			waiting.Done()
		}))
		if err != nil {
			t.Fatalf("submit %d: %v", i, err)
		}
	}
	restarted := make(chan error, 1)
	go func() { restarted <- server.Restart(context.Background(), pgembed.Immediate) }()
	n := 0
	for running := true; running; n++ { // blocks while the server is down
		submit(n)
		select {
		case err := <-restarted:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		default:
		}
	}
	waiting.Wait()
	f.stop()
	if err := <-f.done; err != nil {
		t.Error(err)
	}
	for i := range n {
		if ended[i] != 1 {
			t.Errorf("entry %d ended %d times", i, ended[i])
		}
	}
	if got := f.count("delivery"); got != n {
		t.Errorf("%d deliveries after the restart, want %d", got, n)
	}
	close(log)
	var lines []string
	for line := range log {
		lines = append(lines, line)
	}
	ending := func(line string) bool { return strings.Contains(line, "recovered") }
	// A server that restarts refuses in more than one way.
	if len(lines) < 2 || slices.IndexFunc(lines, ending) != len(lines)-1 || !strings.Contains(lines[0], "trying again") {
		t.Errorf("the log says %q, want a line for each cause of the outage and one at its end", lines)
	}
}

// A lock that the host holds on the ledger delays the writer, for as long as it takes, and loses nothing.
func TestWriterOutlivesLock(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	owner := *db
	db.URL += "&lock_timeout=20"
	log := make(logLines, 100)
	f := start(t, db, Options{Logger: zerolog.New(log)})
	conn := owner.Conn(t)
	if _, err := conn.Exec(t.Context(), "begin; lock table walpost.event"); err != nil {
		t.Fatal(err)
	}
	e := event(1, 50)
	done := make(chan error, 2)
	if err := f.Submit(t.Context(), owed(e, delivery(e, "crm", Pending))(func(err error) { done <- err })); err != nil {
		t.Fatal(err)
	}
	if line := <-log; !strings.Contains(line, "lock timeout") {
		t.Errorf("log says %q", line)
	}
	if _, err := conn.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if d := f.view(deliveryID(e, "crm")); d.State != Pending {
		t.Errorf("delivery is %+v", d)
	}
}

func TestRunGivesUpAfterFlushTimeout(t *testing.T) {
	t.Parallel()
	log := make(logLines, 100)
	f := newFixture(t, Options{FlushTimeout: 50 * time.Millisecond, Logger: zerolog.New(log)})
	f.db.Exec(t, "alter table walpost.delivery rename to gone")
	e := event(1, 50)
	done := make(chan error, 1)
	if err := f.Submit(t.Context(), owed(e, delivery(e, "crm", Pending))(func(err error) { done <- err })); err != nil {
		t.Fatal(err)
	}
	if line := <-log; !strings.Contains(line, "does not exist") {
		t.Errorf("log says %q", line)
	}
	f.stop()
	if err := <-done; !errors.Is(err, ErrStopped) {
		t.Errorf("got %v, want ErrStopped", err)
	}
	if err := <-f.done; err != nil {
		t.Error(err)
	}
}
