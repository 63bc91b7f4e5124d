//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/rs/zerolog"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/daemon"
	"github.com/walpost/walpost/internal/failpoint"
)

const (
	childConfig = "WALPOST_FAULTS_CHILD" // path of the configuration of a program that is to be a walpost
	childRun    = "WALPOST_FAULTS_RUN"   // its number
	exitConfig  = 3                      // of a walpost whose configuration is no good
	exitSetup   = 7                      // of a walpost that ended with a SetupError
	saysReady   = "ready"                // on its standard output
)

// child is walpost, if this program was started to be one. It works until SIGTERM, and then drains.
func child() bool {
	path := os.Getenv(childConfig)
	if path == "" {
		return false
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends when the suite does, however it does
		os.Exit(9)
	}()
	os.Exit(serve(path))
	return true
}

func serve(path string) int {
	if err := failpoint.Arm(os.Getenv(failpoint.Variable)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	log := zerolog.New(os.Stderr).Level(zerolog.InfoLevel).With().Timestamp().Logger()
	load := func() (*config.Config, hcl.Diagnostics) { return config.Load(path) }
	cfg, diagnostics := load()
	if diagnostics.HasErrors() {
		log.Error().Err(diagnostics).Msg("configuration")
		return exitConfig
	}
	d, err := daemon.New(daemon.Options{
		Config: cfg, Load: load, Version: "run-" + os.Getenv(childRun), Logger: log,
		// Short, so that the ledger has much to do and an interval is often cut in the middle.
		ParkAfter: 700 * time.Millisecond, CheckpointEvery: 20 * time.Millisecond, ClaimEvery: 100 * time.Millisecond,
	})
	if err != nil {
		log.Error().Err(err).Msg("daemon")
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		<-d.Ready()
		fmt.Println(saysReady)
	}()
	go reloadOnHangup(d, &log)
	err = d.Run(ctx)
	var setup *cdc.SetupError
	switch {
	case errors.As(err, &setup):
		log.Error().Err(err).Str("fix", setup.Fix).Msg("setup")
		return exitSetup
	case err != nil:
		log.Error().Err(err).Msg("run")
		return 1
	}
	return 0
}

// reloadOnHangup reads the configuration anew at each SIGHUP, as `walpost run` does.
func reloadOnHangup(d *daemon.Daemon, log *zerolog.Logger) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	for range hangups {
		if err := d.Reload(context.Background()); err != nil {
			log.Warn().Err(err).Msg("not reloaded")
		}
	}
}

// run is one walpost process.
type run struct {
	number  int
	cmd     *exec.Cmd
	hold    io.Closer // its standard input
	log     *tail
	whole   *os.File // all of the log
	started time.Time
	ready   chan struct{} // closed when it streams
	done    chan struct{} // closed when it has ended; then the fields below hold
	ended   time.Time
	code    int // exit status, -1 after a signal
	killed  bool
	// point is where it is to kill itself; 0: nowhere. reached says that it has.
	point   failpoint.Point
	sighted *sighting // of its saying so
	reached bool
	// asked says that the suite ended it; the runner's mutex guards it.
	asked bool
	// drain is when it was asked to end in order.
	drain time.Time
}

// runner keeps one walpost alive, as a supervisor does, and remembers all that there were.
type runner struct {
	config, url string
	logs        string // folder for what each process says
	problem     func(format string, args ...any)
	explained   func(*run) bool // why it ended by itself is clear

	mu    sync.Mutex
	runs  []*run
	armed ambush // of the next process
	// refusals counts those that ended with an explanation.
	refusals int
	closed   bool
	waiting  sync.WaitGroup
	respawns *time.Timer
}

// ambush is a failpoint that kills a process when it comes by for the nth time.
type ambush struct {
	point failpoint.Point
	nth   int
}

func (a ambush) String() string {
	if a.point == 0 {
		return ""
	}
	return fmt.Sprintf("%s:kill@%d", a.point, a.nth)
}

// arm makes the next process kill itself.
func (r *runner) arm(a ambush) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.armed = a
}

// start begins the next process, unless one runs.
func (r *runner) start() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.spawn()
}

// spawn is start; the caller holds mu.
func (r *runner) spawn() error {
	if r.closed {
		return nil
	}
	if len(r.runs) > 0 {
		select {
		case <-r.runs[len(r.runs)-1].done:
		default:
			return nil // the supervisor was quicker than the fault, or the other way round
		}
	}
	n := &run{
		number: len(r.runs), cmd: exec.Command(os.Args[0]), log: &tail{}, started: time.Now(),
		ready: make(chan struct{}), done: make(chan struct{}), point: r.armed.point,
	}
	n.cmd.Env = append(os.Environ(), childConfig+"="+r.config, childRun+"="+strconv.Itoa(n.number), "DATABASE_URL="+r.url,
		failpoint.Variable+"="+r.armed.String())
	whole, err := os.Create(filepath.Join(r.logs, fmt.Sprintf("walpost-%04d.log", n.number)))
	if err != nil {
		return err
	}
	n.sighted = &sighting{text: []byte(failpoint.Reached(n.point))}
	n.cmd.Stderr = io.MultiWriter(n.log, whole, n.sighted)
	n.cmd.Stdout = &sighting{text: []byte(saysReady), then: func() { close(n.ready) }}
	if n.hold, err = n.cmd.StdinPipe(); err != nil {
		return errors.Join(err, whole.Close())
	}
	if err := n.cmd.Start(); err != nil {
		return errors.Join(err, whole.Close())
	}
	n.whole = whole
	r.armed = ambush{}
	r.runs = append(r.runs, n)
	r.waiting.Go(func() { r.wait(n) })
	return nil
}

// wait waits for a process to end, and starts the next if nobody has asked for the end.
func (r *runner) wait(n *run) {
	_ = n.cmd.Wait() // what it says is in the state
	n.ended, n.code = time.Now(), n.cmd.ProcessState.ExitCode()
	n.reached = n.point != 0 && n.code == -1 && n.sighted.seen // all that it said has been read
	_ = n.whole.Close()                                        // a log that is cut short is told by what isn't in it
	close(n.done)
	r.mu.Lock()
	defer r.mu.Unlock()
	if n.asked || r.closed {
		return
	}
	switch {
	case n.reached:
	case r.explained(n):
		r.refusals++ // it has said what is wrong with slot, publication or configuration; a supervisor starts it again
	default:
		r.problem("walpost %d ended by itself with status %d:\n%s", n.number, n.code, n.log)
	}
	r.respawns = time.AfterFunc(200*time.Millisecond, func() {
		if err := r.start(); err != nil {
			r.problem("start walpost again: %v", err)
		}
	})
}

// current is the newest process, marked as one whose end is the suite's doing; nil if it has ended already.
func (r *runner) current(ending bool) *run {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.runs[len(r.runs)-1]
	select {
	case <-n.done:
		return nil
	default:
	}
	n.asked = n.asked || ending
	return n
}

// unmind takes back that the end of a process is the suite's doing, and starts the next one if it has ended.
func (r *runner) unmind(n *run) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	n.asked = false
	return r.spawn()
}

// hangUp has the process read its configuration.
func (r *runner) hangUp() {
	if n := r.current(false); n != nil {
		select {
		case <-n.ready: // before, SIGHUP would end it
			n.signal(syscall.SIGHUP)
		default:
		}
	}
}

// kill ends the process with SIGKILL.
func (r *runner) kill() {
	if n := r.current(true); n != nil {
		r.mu.Lock()
		n.killed = true
		r.mu.Unlock()
		_ = n.cmd.Process.Kill() // it may just have ended
		<-n.done
	}
}

// drain ends the process with SIGTERM and gives it, or nil if it had ended.
func (r *runner) drain(ctx context.Context) (*run, error) {
	n := r.current(true)
	if n == nil {
		return nil, nil
	}
	n.drain = time.Now()
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return nil, fmt.Errorf("send SIGTERM to walpost %d: %w", n.number, err)
	}
	select {
	case <-n.done:
		return n, nil
	case <-ctx.Done():
		_ = n.cmd.Process.Signal(syscall.SIGQUIT) // it writes its stacks
		<-n.done
		return n, fmt.Errorf("walpost %d doesn't end after SIGTERM:\n%s", n.number, n.log)
	}
}

// died reports whether the process was ended without a chance to do anything about it. It must have ended.
func (n *run) died() bool { return n.killed || n.reached }

// wasKilled reports whether the suite has killed the process. It must have ended.
func (r *runner) wasKilled(n *run) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return n.killed
}

// signal sends a signal to the process, which may just have ended.
func (n *run) signal(s syscall.Signal) { _ = n.cmd.Process.Signal(s) }

// awaitReady waits until the newest process streams.
func (r *runner) awaitReady(ctx context.Context) error {
	n := r.current(false)
	if n == nil {
		return errors.New("walpost doesn't run")
	}
	select {
	case <-n.ready:
		return nil
	case <-n.done:
		return fmt.Errorf("walpost %d has ended with status %d:\n%s", n.number, n.code, n.log)
	case <-ctx.Done():
		return fmt.Errorf("walpost %d isn't ready:\n%s", n.number, n.log)
	}
}

// close kills what runs and starts no more.
func (r *runner) close() {
	r.kill()
	r.mu.Lock()
	r.closed = true
	if r.respawns != nil {
		r.respawns.Stop()
	}
	for _, n := range r.runs {
		_ = n.cmd.Process.Kill() // most have ended
	}
	r.mu.Unlock()
	r.waiting.Wait()
}
