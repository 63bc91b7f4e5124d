package cli_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/walpost/walpost/internal/cli"
)

// pseudoterminal opens both ends of one: what the program sees, and what the person does.
func pseudoterminal(t *testing.T) (program, person *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	// Not by Fd, which would take the deadlines of reading away.
	conn, err := person.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	var setErr error
	err = conn.Control(func(fd uintptr) {
		setErr = errors.Join(
			unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0),
			unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 120}),
		)
		if setErr == nil {
			n, setErr = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err := errors.Join(err, setErr); err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = person.Close() })
	return program, person
}

// A person at a terminal: completion, history, an expression of two lines, a mistake, the end.
func TestReplOnATerminal(t *testing.T) {
	t.Parallel()
	program, person := pseudoterminal(t)
	done := make(chan int, 1)
	go func() {
		code := cli.Main(cli.Process{
			Args: []string{"repl", "-c", "testdata/repl.hcl"}, Stdin: program, Stdout: program, Stderr: program,
			LookupEnv: func(name string) (string, bool) { return "1", name == "NO_COLOR" },
		})
		_ = program.Close() // which ends the reading below
		done <- code
	}()
	if err := person.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	seen, read := "", 0
	// until reads until the person sees the text, after what was waited for before.
	until := func(text string) {
		t.Helper()
		buffer := make([]byte, 4096)
		for !strings.Contains(seen[read:], text) {
			n, err := person.Read(buffer)
			seen += string(buffer[:n])
			if err != nil {
				t.Fatalf("%v before %q was seen:\n%q", err, text, seen)
			}
		}
		read += strings.Index(seen[read:], text) + len(text)
	}
	typed := func(keys string) {
		t.Helper()
		if _, err := io.WriteString(person, keys); err != nil {
			t.Fatal(err)
		}
	}
	until("Type an expression, or :help.")
	until("> ")
	for _, exchange := range []struct{ keys, answer string }{
		{"upp\t\"x\")\r", `"X"`},
		{"event.payload.contact.em\t\r", `"ada@example.com"`},
		{"\x1b[A\r", `"ada@example.com"`},
		{"local.wh\t\r", `"ada lovelace"`},
		{"[1,\r2]\r", "  2\r\n]"},
		{"event.nope\r", "There is no such attribute."},
	} {
		typed(exchange.keys)
		until(exchange.answer)
		until("> ")
	}
	typed("\x04")
	if code := <-done; code != 0 {
		t.Errorf("exit code %d:\n%q", code, seen)
	}
}
