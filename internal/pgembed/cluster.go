//go:build unix

package pgembed

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// maxSocketPath is how long the path of a Unix socket may be (sun_path, less the
// closing NUL; 103 on macOS, the smallest).
const maxSocketPath = 103

// cluster is a data directory with its settings, not yet or no more running.
type cluster struct {
	dir      string // data/, socket/, postgres.log
	bin      binaries
	as       *account
	password string
}

func (c *cluster) data() string   { return filepath.Join(c.dir, "data") }
func (c *cluster) log() string    { return filepath.Join(c.dir, "postgres.log") }
func (c *cluster) socket() string { return filepath.Join(c.dir, "socket") }

// init makes the data directory. Connections over TCP need the password, which is
// random: other users of the machine must not become superuser, and with it us.
func (c *cluster) init(ctx context.Context) error {
	if err := os.Mkdir(c.socket(), 0o700); err != nil {
		return fmt.Errorf("make the socket folder: %w", err)
	}
	if err := c.as.give(c.socket()); err != nil {
		return err
	}
	c.password = rand.Text()
	pwfile := filepath.Join(c.dir, "password")
	if err := os.WriteFile(pwfile, []byte(c.password+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the password file: %w", err)
	}
	if err := c.as.give(pwfile); err != nil {
		return err
	}
	p, err := c.spawn("initdb", "--pgdata="+c.data(), "--username=postgres", "--pwfile="+pwfile,
		"--auth-host=scram-sha-256", "--auth-local=trust", "--encoding=UTF8", "--locale=C",
		"--no-sync", "--no-instructions")
	if err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		_ = syscall.Kill(-p.pid, syscall.SIGKILL) // initdb and the postgres it runs
		<-p.done
		return fmt.Errorf("make the data directory: %w", ctx.Err())
	}
	if p.err != nil {
		return fmt.Errorf("make the data directory with %s: %s%s", c.bin.path("initdb"), p.how(), c.logTail(0))
	}
	if err := os.Remove(pwfile); err != nil {
		return fmt.Errorf("remove the password file: %w", err)
	}
	return nil
}

// configure appends settings to postgresql.conf, where later ones win and ALTER
// SYSTEM still overrides them all.
func (c *cluster) configure(settings map[string]string) error {
	var text strings.Builder
	names := make([]string, 0, len(settings))
	for name := range settings {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&text, "%s = '%s'\n", name, strings.NewReplacer(`'`, `''`, `\`, `\\`).Replace(settings[name]))
	}
	f, err := os.OpenFile(filepath.Join(c.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open the settings: %w", err)
	}
	if _, err := f.WriteString(text.String()); err != nil {
		_ = f.Close()
		return fmt.Errorf("write the settings: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write the settings: %w", err)
	}
	return nil
}

// defaults are the settings of a throw-away server that a walpost can follow.
func (c *cluster) defaults() map[string]string {
	sockets := c.socket()
	if len(sockets)+len("/.s.PGSQL.65535") > maxSocketPath {
		sockets = "" // TCP alone
	}
	return map[string]string{
		"listen_addresses":                "127.0.0.1",
		"unix_socket_directories":         sockets,
		"wal_level":                       "logical",
		"max_replication_slots":           "64",
		"max_wal_senders":                 "64",
		"max_connections":                 "200",
		"fsync":                           "off",
		"full_page_writes":                "off",
		"logging_collector":               "off",
		"log_destination":                 "stderr",
		"lc_messages":                     "C",
		"cluster_name":                    "walpost",
		"max_logical_replication_workers": "0",
	}
}

// spawn starts one of Postgres's programs as the server's user, with its output in
// the log and without the PG… variables that change what it does.
func (c *cluster) spawn(program string, args ...string) (*process, error) {
	log, err := os.OpenFile(c.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the server's log: %w", err)
	}
	defer func() { _ = log.Close() }() // the child has its own
	cmd := exec.Command(c.bin.path(program), args...)
	cmd.Dir = c.dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "PG") || strings.HasPrefix(v, "LC_") || strings.HasPrefix(v, "LANG")
	})
	cmd.Env = append(cmd.Env, "LC_ALL=C")
	return spawn(cmd, c.as)
}

// logSize says how much is in the log, in bytes.
func (c *cluster) logSize() int {
	info, err := os.Stat(c.log())
	if err != nil {
		return 0 // not there yet
	}
	return int(info.Size())
}

// logTail gives the last lines of what came to the log after its first bytes, on lines of
// their own, for an error.
func (c *cluster) logTail(after int) string {
	const lines = 15
	text, err := os.ReadFile(c.log())
	if err != nil || len(text) <= after {
		return ""
	}
	all := strings.Split(strings.TrimSpace(string(text[after:])), "\n")
	return "\n  " + strings.Join(all[max(0, len(all)-lines):], "\n  ")
}
