package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"

	"github.com/walpost/walpost/internal/cli"
)

// profiledCommand is the argument with which this program runs as walpost under the CPU profiler. The next argument is
// the file to write, the others are walpost's.
const profiledCommand = "profiled-walpost"

func runProfiled(args []string) (err error) {
	file, err := os.Create(args[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := pprof.StartCPUProfile(file); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := cli.Main(cli.Process{
		Args: args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, LookupEnv: os.LookupEnv, Signals: signals,
	})
	if code != 0 {
		return fmt.Errorf("walpost ended with %d", code)
	}
	return nil
}
