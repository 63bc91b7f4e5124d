package cli

import (
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
)

// The formats of the log.
const (
	logJSON    = "json"
	logConsole = "console"
)

// addLogFlags adds the flags of a command that logs.
func (a *app) addLogFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.logLevel, "log-level", "info", "`LEVEL`: debug (each attempt), info, warn or error")
	cmd.Flags().StringVar(&a.logFormat, "log-format", "", "`FORMAT`: json or console (default: console on a terminal)")
}

// logger writes to stderr as the flags say.
func (a *app) logger(cmd *cobra.Command) (zerolog.Logger, error) {
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	level, err := zerolog.ParseLevel(a.logLevel)
	if err != nil || level < zerolog.DebugLevel || level > zerolog.ErrorLevel {
		return zerolog.Nop(), usage(cmd.CommandPath()+" --log-level info",
			"--log-level is %q, not debug, info, warn or error", a.logLevel)
	}
	format := a.logFormat
	if format == "" {
		format = logJSON
		if isTerminal(a.Stderr) {
			format = logConsole
		}
	}
	switch format {
	case logJSON:
		return zerolog.New(a.stderr).Level(level).With().Timestamp().Logger(), nil
	case logConsole:
		console := zerolog.ConsoleWriter{Out: a.stderr, NoColor: !a.colors(), TimeFormat: time.TimeOnly}
		return zerolog.New(console).Level(level).With().Timestamp().Logger(), nil
	default:
		return zerolog.Nop(), usage(cmd.CommandPath()+" --log-format json",
			"--log-format is %q, not json or console", a.logFormat)
	}
}
