//go:build unix

package bounds

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/walpost/walpost/daemon"
	"github.com/walpost/walpost/internal/cli"
	"github.com/walpost/walpost/internal/pgtest"
)

// childConfig is the path of the configuration of a program that is to be `walpost run`.
const childConfig = "WALPOST_BOUNDS_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childConfig); path != "" {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin) // ends when the tests do, however they do
			os.Exit(9)
		}()
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM)
		os.Exit(cli.Main(cli.Process{
			Args:   []string{"run", "-c", path, "--log-format", "json"},
			Stdout: os.Stdout, Stderr: os.Stderr, LookupEnv: os.LookupEnv, Signals: signals,
		}))
	}
	pgtest.Main(m)
}

// full says that the bounds are measured with the issue's numbers, which takes minutes.
func full() bool { return os.Getenv("BOUNDS") == "full" }

// scaled is the issue's number in the full form, and a smaller one else.
func scaled[T any](issue, short T) T {
	if full() {
		return issue
	}
	return short
}

// patience bounds every wait; reaching it is a failure.
func patience() time.Duration { return scaled(30*time.Minute, time.Minute) }

// process is a `walpost run`.
type process struct {
	t     testing.TB
	cmd   *exec.Cmd
	log   *journal
	ended chan struct{}
	admin string // URL of its admin server
}

// run starts walpost on the database and returns when it streams.
func run(t testing.TB, db *pgtest.Database, hcl string) *process {
	t.Helper()
	path := filepath.Join(t.TempDir(), "walpost.hcl")
	hcl = fmt.Sprintf("database { url = env(\"DATABASE_URL\") }\noutbox { slot = %q }\nadmin { listen = \"127.0.0.1:0\" }\n", db.Name) + hcl
	if err := os.WriteFile(path, []byte(hcl), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(os.Args[0]), log: newJournal(), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), childConfig+"="+path, "DATABASE_URL="+db.URL)
	p.cmd.Stderr = p.log
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // what it says is in the state
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // most tests don't care how it ends
		<-p.ended
		_ = stdin.Close()
		if t.Failed() {
			t.Logf("walpost says:\n%s", p.log)
		}
	})
	p.admin = p.await(regexp.MustCompile(`"url":"([^"]+)".*admin server listens`))
	p.await(regexp.MustCompile(`replication started`))
	return p
}

// await waits for a line of the log and gives its first group.
func (p *process) await(line *regexp.Regexp) string {
	p.t.Helper()
	deadline := time.After(patience())
	for seen := 0; ; {
		lines, more := p.log.since(seen)
		for _, text := range lines {
			if found := line.FindStringSubmatch(text); found != nil {
				return found[len(found)-1]
			}
		}
		seen += len(lines)
		select {
		case <-more:
		case <-p.ended:
			p.t.Fatalf("walpost has ended: %s", p.cmd.ProcessState)
		case <-deadline:
			p.t.Fatalf("walpost never says %s", line)
		}
	}
}

// peak is the most memory that was resident so far, in bytes.
func (p *process) peak() int64 {
	p.t.Helper()
	status, err := os.Open(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	defer status.Close()
	for lines := bufio.NewScanner(status); lines.Scan(); {
		if value, ok := bytes.CutPrefix(lines.Bytes(), []byte("VmHWM:")); ok {
			kib, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(value, []byte("kB")))), 10, 64)
			if err != nil {
				p.t.Fatal(err)
			}
			return kib << 10
		}
	}
	p.t.Fatal("no VmHWM in /proc")
	return 0
}

// status asks the admin server for what the daemon says of itself.
func (p *process) status() daemon.Status {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.admin+"/api/v1/status", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	var report struct{ Daemon daemon.Status }
	if err := json.NewDecoder(response.Body).Decode(&report); err != nil {
		p.t.Fatal(err)
	}
	return report.Daemon
}

// maxResident is what walpost promises to stay within, in bytes.
const maxResident = 128 << 20 * raceOverhead

// within checks the bounds of the process, and says the figures.
func (p *process) within(what string) {
	p.t.Helper()
	peak, stream := p.peak(), p.status().Stream
	p.t.Logf("%s: peak of resident memory %.1f MiB, reader blocked for %s at most, %d stalls",
		what, float64(peak)/(1<<20), stream.LongestBlock.Round(time.Millisecond), stream.Stalls)
	if peak > maxResident {
		p.t.Errorf("%s: resident memory reached %d MiB, which is above %d", what, peak>>20, maxResident>>20)
	}
	// Another process may have our core for a while, so the short form only looks for what is blocked for good.
	if limit := scaled(100*time.Millisecond, 5*time.Second); stream.LongestBlock > limit {
		p.t.Errorf("%s: the reader was blocked for %s", what, stream.LongestBlock)
	}
}

// journal keeps the lines of a log.
type journal struct {
	mu    sync.Mutex
	lines []string
	part  []byte
	more  chan struct{} // closed when there is another line
}

func newJournal() *journal { return &journal{more: make(chan struct{})} }

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.part = append(j.part, b...)
	for {
		line, rest, ok := bytes.Cut(j.part, []byte("\n"))
		if !ok {
			return len(b), nil
		}
		if len(j.lines) < 10_000 { // a dead endpoint has many
			j.lines = append(j.lines, string(line))
		}
		j.part = rest
		close(j.more)
		j.more = make(chan struct{})
	}
}

// since gives the lines from the nth on, and what is closed when there are more.
func (j *journal) since(n int) ([]string, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lines[n:], j.more
}

// String is the last lines.
func (j *journal) String() (text string) {
	lines, _ := j.since(0)
	for _, line := range lines[max(0, len(lines)-30):] {
		text += line + "\n"
	}
	return text
}

// stop is SIGTERM, and waits for the end.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(patience()):
		p.t.Fatal("walpost doesn't end")
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Fatalf("walpost has ended with %d", code)
	}
}
