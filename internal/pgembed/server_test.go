//go:build unix

package pgembed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func start(t *testing.T, o Options) *Server {
	t.Helper()
	server, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return server
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // the server may be gone
	return conn
}

// ask gives the one text that a query answers with.
func ask(t *testing.T, conn *pgx.Conn, query string) (answer string) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), query).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return answer
}

// gone checks that a process and a folder are no more.
func gone(t *testing.T, pid int, dir string) {
	t.Helper()
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is still there: %v", pid, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	server := start(t, Options{})
	conn := connect(t, server.URL("postgres"))
	for query, want := range map[string]string{
		"show wal_level":             "logical",
		"show fsync":                 "off",
		"show max_replication_slots": "64",
		"show max_wal_senders":       "64",
		"show max_connections":       "200",
		"show server_encoding":       "UTF8",
		"show listen_addresses":      "127.0.0.1",
		"show server_version":        server.Version(),
		"select current_user::text":  "postgres",
		"select datcollate from pg_database where datname = 'postgres'":          "C",
		"select rolreplication::text from pg_roles where rolname = current_user": "true",
	} {
		if got := ask(t, conn, query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	if info, err := os.Stat(server.Log()); err != nil || info.Size() == 0 {
		t.Errorf("no log: %v", err)
	}
	socket := fmt.Sprintf("postgres://postgres@/postgres?host=%s&port=%d", server.cluster.socket(), server.port)
	if got := ask(t, connect(t, socket), "select 'by socket'"); got != "by socket" {
		t.Errorf("got %s", got)
	}
	_, err := pgx.Connect(t.Context(), strings.Replace(server.URL("postgres"), server.cluster.password, "wrong", 1))
	if err == nil || !strings.Contains(err.Error(), "password authentication failed") {
		t.Errorf("a wrong password gives %v", err)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	server := start(t, Options{})
	connect(t, server.URL("postgres")) // an open connection delays nothing
	pid, dir := server.process.pid, server.cluster.dir
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone(t, pid, dir)
	if err := server.Stop(t.Context()); err != nil {
		t.Errorf("the second stop: %v", err)
	}
	if err := server.Restart(t.Context(), Fast); err == nil {
		t.Error("a stopped server was restarted")
	}
}

// TestStopFrozen: a server that does not heed signals is killed after the context's end.
func TestStopFrozen(t *testing.T) {
	t.Parallel()
	server := start(t, Options{})
	pid, dir := server.process.pid, server.cluster.dir
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	gone(t, pid, dir)
}

func TestSettings(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("/tmp", fmt.Sprintf("walpost-test-%d", os.Getpid()))
	server := start(t, Options{Dir: dir, Settings: map[string]string{"wal_level": "replica", "application_name": `it's a \ test`}})
	conn := connect(t, server.URL("postgres"))
	if got := ask(t, conn, "show wal_level"); got != "replica" {
		t.Errorf("wal_level %s", got)
	}
	if got := ask(t, conn, "select reset_val from pg_settings where name = 'application_name'"); got != `it's a \ test` {
		t.Errorf("application_name %s", got)
	}
	if got := ask(t, conn, "show data_directory"); got != filepath.Join(dir, "data") {
		t.Errorf("the data are in %s", got)
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	server := start(t, Options{})
	url := server.URL("postgres")
	conn := connect(t, url)
	for _, statement := range []string{"create table kept (id int)", "alter system set work_mem = '7MB'"} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	for _, mode := range []Mode{Fast, Immediate} {
		pid, logged := server.process.pid, server.cluster.logSize()
		if err := server.Restart(t.Context(), mode); err != nil {
			t.Fatal(err)
		}
		if server.process.pid == pid || server.URL("postgres") != url {
			t.Errorf("%s: pid %d, URL %s", mode, server.process.pid, server.URL("postgres"))
		}
		conn := connect(t, url)
		ask(t, conn, "select count(*)::text from kept")
		if got := ask(t, conn, "show work_mem"); got != "7MB" {
			t.Errorf("%s: work_mem %s", mode, got)
		}
		text, err := os.ReadFile(server.Log())
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(text[logged:]), "automatic recovery in progress"); got != (mode == Immediate) {
			t.Errorf("%s: recovery %v", mode, got)
		}
	}
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options Options
		problem string // of a SetupError, or ""
		want    string
	}{
		"bad setting": {Options{Settings: map[string]string{"wal_level": "nonsense"}}, "", `invalid value for parameter "wal_level": "nonsense"`},
		"bad version": {Options{Version: "9.6"}, `"9.6" is not a Postgres version that walpost can use`, ""},
		"bad bin":     {Options{Bin: "/nowhere"}, "/nowhere (the folder asked for) has no usable Postgres server", "look for initdb"},
		"full dir":    {Options{Dir: "/etc"}, "/etc cannot be made for Postgres", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, err := Start(t.Context(), test.options)
			if err == nil {
				t.Error(server.Stop(t.Context()))
				t.Fatal("it started")
			}
			var setup *SetupError
			if errors.As(err, &setup) != (test.problem != "") || setup != nil && (setup.Problem != test.problem || setup.Fix == "") {
				t.Errorf("got %#v", err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
		})
	}
}

// TestStartCancelled: whenever the context ends, nothing is left.
func TestStartCancelled(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond} {
		t.Run(after.String(), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join("/tmp", fmt.Sprintf("walpost-test-%d-%s", os.Getpid(), after))
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			server, err := Start(ctx, Options{Dir: dir})
			if err == nil { // a fast machine
				err = server.Stop(context.Background())
			} else if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			} else {
				err = nil
			}
			if err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is left: %v", dir, err)
			}
		})
	}
}

// TestPortTaken: the port may be taken between its choice and its use.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	server := start(t, Options{})
	server.end(t.Context(), Fast)
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", server.port))
	if err != nil {
		t.Fatal(err)
	}
	err = server.run(t.Context())
	if !errors.Is(err, errPortTaken) {
		t.Errorf("got %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := server.run(t.Context()); err != nil { // the old line in the log is no news
		t.Error(err)
	}
}

// TestOwnerKilled: after a kill -9 of the owner neither Postgres nor its folder remain.
func TestOwnerKilled(t *testing.T) {
	t.Parallel()
	owner := exec.Command(os.Args[0], "-test.run=^$")
	owner.Env = append(os.Environ(), ownerEnv+"=1")
	// The owner, the watchdog and Postgres with all its processes hold the other end of
	// this pipe: it ends when the last of them has.
	alive, held, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = alive.Close() }()
	owner.ExtraFiles = []*os.File{held}
	stdout, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	lines.Scan()
	dir := lines.Text()
	lines.Scan()
	conn := connect(t, lines.Text())
	if got := ask(t, conn, "show data_directory"); got != filepath.Join(dir, "data") {
		t.Fatalf("the folder is %s, the data are in %s", dir, got)
	}
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait() // "signal: killed"
	if _, err := io.ReadAll(alive); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", dir, err)
	}
}
