//go:build unix

package cli_test

import (
	"bufio"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// process is a walpost that a script has started in the background.
type process struct {
	cmd   *exec.Cmd
	lines chan string // of its log; closed at its end
	seen  strings.Builder
	done  chan struct{}
	err   error
}

// cmdWalpost works with a walpost in the background:
//
//	walpost start COMMAND [ARG]...
//	walpost log REGEXP        waits for the next line on its stderr that matches, and prints it
//	walpost signal INT|TERM|HUP
//	walpost end CODE          waits for its end and prints the rest of its stderr
func cmdWalpost(ts *testscript.TestScript, _ bool, args []string) {
	s := stageOf(ts)
	switch args[0] {
	case "start":
		s.process = startProcess(ts, args[1:])
	case "log":
		line := s.process.await(ts, regexp.MustCompile(args[1]))
		_, err := fmt.Fprintln(ts.Stdout(), line)
		ts.Check(err)
	case "signal":
		ts.Check(s.process.cmd.Process.Signal(map[string]syscall.Signal{
			"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP,
		}[args[1]]))
	case "end":
		s.process.end(ts, args[1])
		s.process = nil
	default:
		ts.Fatalf("walpost: what is %q?", args[0])
	}
}

func startProcess(ts *testscript.TestScript, args []string) *process {
	path, _, _ := strings.Cut(ts.Getenv("PATH"), string(filepath.ListSeparator))
	cmd := exec.Command(filepath.Join(path, "walpost"), args...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "DATABASE_URL", "RECEIVER", "OTHER", "SECRET"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	p := &process{cmd: cmd, lines: make(chan string, 10000), done: make(chan struct{})}
	go func() {
		for scanner := bufio.NewScanner(stderr); scanner.Scan(); {
			p.lines <- scanner.Text()
		}
		close(p.lines)
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p
}

func (p *process) await(ts *testscript.TestScript, pattern *regexp.Regexp) string {
	timeout := time.After(patience)
	for {
		select {
		case line, open := <-p.lines:
			if !open {
				ts.Fatalf("walpost log: it ended before a line matched %q:\n%s", pattern, p.seen.String())
			}
			p.seen.WriteString(line + "\n")
			if pattern.MatchString(line) {
				return line
			}
		case <-timeout:
			ts.Fatalf("walpost log: no line matches %q:\n%s", pattern, p.seen.String())
		}
	}
}

func (p *process) end(ts *testscript.TestScript, code string) {
	_ = ts.Stdout() // what it prints, be it nothing, replaces the output of the command before
	timeout := time.After(patience)
	for open := true; open; {
		var line string
		select {
		case line, open = <-p.lines:
			if open {
				_, err := fmt.Fprintln(ts.Stdout(), line)
				ts.Check(err)
			}
		case <-timeout:
			p.kill()
			ts.Fatalf("walpost end: it did not end:\n%s", p.seen.String())
		}
	}
	<-p.done
	got := 0
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		got = exit.ExitCode()
	}
	if strconv.Itoa(got) != code {
		ts.Fatalf("walpost end: exit code %d, not %s:\n%s", got, code, p.seen.String())
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	for range p.lines {
	}
	<-p.done
}
