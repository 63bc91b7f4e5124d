package demo

import (
	"errors"
	"io"
	"os"
)

// Options say what Run shows and when it ends.
type Options struct {
	// Once ends the demo by itself, with a table and an error if anything is missing. Without it
	// the traffic goes on until the context ends.
	Once bool
	// Out takes what the demo shows. Required.
	Out io.Writer
	// Color allows ANSI colours: set it if Out is a terminal. NO_COLOR in the environment wins.
	Color bool
	// Width is the terminal's width in columns; longer lines are cut. 0: lines are not cut.
	Width int
	// Version is walpost's, for the title and the User-Agent.
	Version string
	// LogFile is where walpost's own log goes, in JSON; it stays. Default: a file in the demo's
	// temporary folder, which goes when the demo ends.
	LogFile string
	// Verbose shows walpost's log on Out, too.
	Verbose bool
}

func (o *Options) validate() error {
	if o.Out == nil {
		return errors.New("demo options: Out is required")
	}
	if os.Getenv("NO_COLOR") != "" {
		o.Color = false
	}
	return nil
}
