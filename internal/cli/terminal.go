package cli

import (
	"io"
	"os"

	"github.com/mattn/go-isatty"
)

// isTerminal reports whether w leads to a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// colors reports whether errors and the log may be colored: https://no-color.org.
func (a *app) colors() bool {
	no, _ := a.LookupEnv("NO_COLOR")
	return no == "" && isTerminal(a.Stderr)
}
