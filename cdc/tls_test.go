package cdc

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/walpost/walpost/internal/pgtest"
)

// Reads that end at a deadline, an end of the session and an orderly end, on a connection that is encrypted.
func TestStreamOverTLS(t *testing.T) {
	t.Parallel()
	db, pool := outboxDatabase(t)
	o := testOptions(db)
	o.ConnString = encrypted(t, db)
	o.StatusInterval = 5 * time.Millisecond
	r := start(t, o, nil)
	r.connected()
	if !scalar[bool](t, pool, `select client_addr is not null from pg_stat_replication r join pg_replication_slots s on s.active_pid = r.pid where s.slot_name = $1`, db.Name) {
		t.Error("the stream doesn't come through the proxy")
	}
	scalar[bool](t, pool, `select pg_sleep(0.1) is null`) // some twenty reads end without a byte
	insert(t, pool, "1")
	first := r.next(1)
	db.Exec(t, `select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1`, db.Name)
	insert(t, pool, "2")
	second := r.next(1)
	equal(t, "rows", append(ids(first), ids(second)...), []string{"1", "2"})
	resolve(append(first, second...))
	r.settle(second[0])
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	if scalar[bool](t, pool, `select active from pg_replication_slots where slot_name = $1`, db.Name) {
		t.Error("the slot is not free after the end")
	}
}

// encrypted is the connection string of a proxy that has TLS, in front of the tests' server, which has none.
func encrypted(t *testing.T, db *pgtest.Database) string {
	t.Helper()
	target, err := url.Parse(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	keys := httptest.NewTLSServer(http.NotFoundHandler())
	config := &tls.Config{Certificates: keys.TLS.Certificates, MinVersion: tls.VersionTLS12}
	keys.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() { serveTLS(conn, config, target.Host) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		sessions.Wait()
	})
	proxied := *target
	proxied.Host, proxied.RawQuery = listener.Addr().String(), "sslmode=require"
	return proxied.String()
}

// serveTLS answers the request for TLS that a session begins with, and passes on what follows until either side ends.
func serveTLS(conn net.Conn, config *tls.Config, target string) {
	defer func() { _ = conn.Close() }()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return // the client sees a server that is gone
	}
	defer func() { _ = server.Close() }()
	if _, err := io.ReadFull(conn, make([]byte, 8)); err != nil {
		return
	}
	if _, err := conn.Write([]byte("S")); err != nil {
		return
	}
	client := tls.Server(conn, config)
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	_, _ = io.Copy(client, server)
	_ = conn.Close()
	back.Wait()
}
