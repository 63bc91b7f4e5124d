// Package cli is walpost's command line: one file per command, each with a view for people and one in JSON.
package cli

import (
	"context"
	"io"
	"os"
	"strings"

	"github.com/walpost/walpost/config"
)

// Process is what a command sees of the process that it runs in. All fields are required but Stdin and Signals.
type Process struct {
	// Args are the arguments without the program's name.
	Args []string
	// Stdin is what a command reads where it is told to. Nil is empty.
	Stdin io.Reader
	// Stdout takes what was asked for; Stderr takes errors, hints and the log.
	Stdout, Stderr io.Writer
	// LookupEnv reads the environment.
	LookupEnv func(name string) (value string, ok bool)
	// Signals brings SIGINT, SIGTERM and SIGHUP.
	Signals <-chan os.Signal
}

// Main runs one command and gives its exit code: 0 ok, 1 failure, 2 usage, 3 invalid configuration, 4 a check
// failed, 130 interrupted. It returns early, with the command still running, only after more signals than the
// command knows what to do with.
func Main(p Process) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	if p.Stdin == nil {
		p.Stdin = strings.NewReader("")
	}
	a := &app{
		Process: p,
		stderr:  &redactor{to: p.Stderr},
		signals: newSignalHandler(cancel),
	}
	done := make(chan int, 1)
	go func() { done <- a.execute(ctx) }()
	for {
		select {
		case code := <-done:
			return code
		case s := <-p.Signals:
			if !a.signals.handle(s) {
				return exitInterrupted
			}
		}
	}
}

// app is what all commands share: the process and the flags of the root command.
type app struct {
	Process
	stderr  *redactor // Process.Stderr, without passwords
	signals *signalHandler

	configPath string
	logLevel   string
	logFormat  string
}

// execute runs the command that the arguments name and reports how it ended.
func (a *app) execute(ctx context.Context) int {
	root := a.root()
	root.SetArgs(doubleDashes(a.Args))
	root.SetOut(a.Stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if interrupted(ctx) {
		return exitInterrupted
	}
	return a.report(explain(err))
}

// env is where the configuration's env() looks.
func (a *app) env() config.Option { return config.WithEnv(a.LookupEnv) }
