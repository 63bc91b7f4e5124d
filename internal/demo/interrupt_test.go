//go:build unix

package demo

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Ctrl-C at whatever moment leaves neither process nor file behind.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		as, at string // interrupt when this is shown
		code   int
		shows  string
	}{
		"before Postgres":    {as: "live", at: "walpost demo", code: 130},
		"during initdb":      {as: "live", at: "Start", code: 130},
		"before walpost":     {as: "live", at: "postgres started", code: 130},
		"first arrival":      {as: "live", at: " 200", shows: "unaccounted: 0"},
		"while retries wait": {as: "live", at: "500 again in 2s", shows: "unaccounted: 0"},
		"after 410":          {as: "live", at: "410 disabled", shows: "walpost init"},
		"once":               {as: "once", at: "500 again in 2s", code: 130},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			temp := sharedTemp(t)
			text, code := interruptDemo(t, temp, c.as, c.at)
			if code != c.code || !strings.Contains(text, c.shows) {
				t.Errorf("exit code %d, want %d; output should have %q:\n%s", code, c.code, c.shows, text)
			}
			if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
			if left := processesIn(temp); len(left) > 0 {
				t.Errorf("still running: %q", left)
			}
		})
	}
}

// sharedTemp is a temporary folder that any user can enter, as Postgres's must.
func sharedTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "walpost-demo-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// interruptDemo runs the demo in a process of its own, sends it SIGINT once a line has the given text, and gives
// its whole output and exit code.
func interruptDemo(t *testing.T, temp, as, at string) (text string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), role+"="+as, "TMPDIR="+temp)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	told := false
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		out.WriteString(lines.Text() + "\n")
		if !told && strings.Contains(lines.Text(), at) {
			told = true
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Error(err)
			}
		}
	}
	_ = cmd.Wait() // the exit code tells
	return out.String() + stderr.String(), cmd.ProcessState.ExitCode()
}

// processesIn gives the command lines of the processes that name the folder. Only Linux has what it reads.
func processesIn(dir string) []string {
	var found []string
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is good
	for _, file := range files {
		line, err := os.ReadFile(file) // a process may have ended meanwhile
		if err == nil && bytes.Contains(line, []byte(dir)) {
			found = append(found, string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
		}
	}
	return found
}
