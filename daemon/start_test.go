package daemon

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// lateServer is an address at which nobody answers before the rig's database does.
type lateServer struct {
	t      *testing.T
	target string
	listen net.Listener
	asked  chan struct{} // receives at every connection that was refused
	mu     sync.Mutex
	up     bool
}

// newLateServer makes the rig's configuration lead to it.
func newLateServer(t *testing.T, r *rig) *lateServer {
	t.Helper()
	at, err := url.Parse(r.db.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := &lateServer{t: t, target: at.Host, asked: make(chan struct{}, 100)}
	if s.listen, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	at.Host = s.listen.Addr().String()
	r.db.URL = at.String()
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := s.listen.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() { _ = s.listen.Close(); serving.Wait() })
	return s
}

func (s *lateServer) serve(client net.Conn) {
	defer client.Close()
	s.mu.Lock()
	up := s.up
	s.mu.Unlock()
	if !up {
		s.asked <- struct{}{}
		return
	}
	server, err := net.Dial("tcp", s.target)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer server.Close()
	go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
	_, _ = io.Copy(client, server)
}

func (s *lateServer) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.up = true
}

func TestDatabaseThatIsDownAtTheStartIsWaitedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	database := r.db.URL
	late := newLateServer(t, r)
	d := r.make()
	for range 2 {
		select {
		case <-late.asked:
		case err := <-d.ended:
			t.Fatalf("daemon ended: %v", err)
		case <-time.After(testPatience):
			t.Fatal("it doesn't try again")
		}
	}
	late.start()
	select {
	case <-d.Ready():
	case err := <-d.ended:
		t.Fatalf("daemon ended: %v", err)
	case <-time.After(testPatience):
		t.Fatal("daemon isn't ready")
	}
	r.insert(tagged("1"))
	r.receiver.next()
	d.mustStop()
	r.db.URL = database
}

// The end of the wait is orderly, and what waiting doesn't cure is an error at once.
func TestStartEndsForGoodReasonsOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	database := r.db.URL
	late := newLateServer(t, r)
	d := r.make()
	<-late.asked
	if err := d.stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	stranger, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	stranger.User = url.UserPassword("postgres", "wrong")
	for state, wrong := range map[string]string{
		"28P01": stranger.String(), "3D000": strings.Replace(database, "/"+r.db.Name, "/nowhere", 1),
	} {
		r.db.URL = wrong
		wronged := r.make()
		err := <-wronged.ended
		wronged.ended <- err // for its cleanup
		var server *pgconn.PgError
		if !errors.As(err, &server) || server.Code != state {
			t.Errorf("%s: %v", state, err)
		}
	}
	r.db.URL = database
}
