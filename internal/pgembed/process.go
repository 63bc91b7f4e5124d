//go:build unix

package pgembed

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// process is a running postgres.
type process struct {
	pid  int
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and is reaped
	err  error         // nil: it ended well; read after done
}

// spawn starts a command that dies with this process where the kernel offers that.
func spawn(cmd *exec.Cmd, as *account) (*process, error) {
	cmd.SysProcAttr = attributes(as)
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Linux sends the parent-death signal when the thread that forked ends, not
		// the process. This thread waits for the child and ends with the goroutine.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	p.pid = cmd.Process.Pid
	return p, nil
}

// attributes runs a child as the account, away from the terminal's process group:
// Ctrl-C is for walpost, which then stops Postgres when it needs it no more.
func attributes(as *account) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if as != nil {
		attr.Credential = &syscall.Credential{Uid: as.uid, Gid: as.gid}
	}
	dieWithParent(attr)
	return attr
}

// signal is harmless when the process has ended: os.Process knows that it was reaped.
func (p *process) signal(s os.Signal) { _ = p.cmd.Process.Signal(s) }

// how tells how the process ended, e.g. "exit status 1".
func (p *process) how() string { return p.cmd.ProcessState.String() }
