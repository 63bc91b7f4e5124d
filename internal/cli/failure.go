package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/walpost/walpost/cdc"
)

// The exit codes of all commands.
const (
	exitOK            = 0
	exitFailure       = 1
	exitUsage         = 2
	exitConfiguration = 3
	exitCheck         = 4
	exitInterrupted   = 130 // 128 + SIGINT, as shells have it
)

// failure is how a command ends when it doesn't end well.
type failure struct {
	code    int
	problem string // after "Error:"; empty: everything was said already
	fix     string // after "Try:"; empty: nothing to suggest
}

// Error gives the problem.
func (f *failure) Error() string { return f.problem }

// usage is the failure of a command that was called in a wrong way.
func usage(fix, problem string, args ...any) error {
	return &failure{code: exitUsage, problem: fmt.Sprintf(problem, args...), fix: fix}
}

// failed is the failure of a command whose work could not be done.
func failed(fix, problem string, args ...any) error {
	return &failure{code: exitFailure, problem: fmt.Sprintf(problem, args...), fix: fix}
}

// explain turns any error into what to say of it and the code to exit with.
func explain(err error) *failure {
	var said *failure
	if errors.As(err, &said) {
		return said
	}
	var setup *cdc.SetupError
	if errors.As(err, &setup) {
		return &failure{code: exitFailure, problem: setupProblem(setup), fix: setup.Fix}
	}
	if f := explainPostgres(err); f != nil {
		return f
	}
	return &failure{code: exitFailure, problem: err.Error()}
}

// setupProblem is the problem with its cause, where the cause says more than the problem does.
func setupProblem(e *cdc.SetupError) string {
	for _, sentinel := range []error{cdc.ErrSlotLost, cdc.ErrPublicationLost, cdc.ErrOtherSystem} {
		if errors.Is(e.Err, sentinel) {
			return e.Problem
		}
	}
	if cause := serverMessage(e.Err); cause != "" {
		return e.Problem + ": " + cause
	}
	return e.Error()
}

// report writes what went wrong and gives the exit code.
func (a *app) report(f *failure) int {
	if f.problem != "" {
		a.stderr.print("Error: " + indent(f.problem, 7) + "\n")
	}
	if f.fix != "" {
		a.stderr.print("Try: " + indent(f.fix, 5) + "\n")
	}
	return f.code
}

// indent moves all lines but the first to the right.
func indent(s string, by int) string {
	return strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n"+strings.Repeat(" ", by))
}
