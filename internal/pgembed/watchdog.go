//go:build unix

package pgembed

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// cleanup runs in a shell of its own. Its standard input is a pipe that only this
// process holds open: read returns when this process has ended, even by kill -9.
const cleanup = `read -r _
if read -r pid < "$1/data/postmaster.pid"; then
  kill -QUIT "$pid"
  tries=0
  while kill -0 "$pid"; do
    [ $tries -lt 50 ] || { kill -KILL "$pid"; break; }
    sleep 0.1
    tries=$((tries+1))
  done
fi
rm -rf "$1" || { sleep 1; rm -rf "$1"; } # initdb may be writing its last`

// watchdog ends Postgres and removes its folder if this process dies without
// having done so.
type watchdog struct {
	cmd  *exec.Cmd
	hold io.Closer // the pipe's end whose closing wakes the watchdog
}

func startWatchdog(dir string) (*watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", cleanup, "walpost-watchdog", dir)
	cmd.Dir = "/"
	// A session of its own: neither Ctrl-C nor the closing of the terminal reaches it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	hold, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe to the watchdog: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	return &watchdog{cmd: cmd, hold: hold}, nil
}

// dismiss ends the watchdog without its doing anything.
func (w *watchdog) dismiss() {
	_ = w.cmd.Process.Kill() // before the pipe is closed, which would wake it
	_ = w.cmd.Wait()         // "signal: killed", as meant; closes the pipe
}
