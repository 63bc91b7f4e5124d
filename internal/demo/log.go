package demo

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rs/zerolog"
)

// tailLines is how much of walpost's log is shown when the demo fails.
const tailLines = 15

// journal is where walpost's log goes.
type journal struct {
	path string
	file *os.File
	log  zerolog.Logger
}

// openJournal opens the log file that the options name, or one in dir.
func openJournal(o *Options, dir string, out *screen) (*journal, error) {
	j := &journal{path: o.LogFile}
	if j.path == "" {
		j.path = filepath.Join(dir, "walpost.log")
	}
	file, err := os.OpenFile(j.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open walpost's log: %w", err)
	}
	j.file = file
	j.log = zerolog.New(file).With().Timestamp().Logger()
	if o.Verbose {
		j.log = zerolog.New(zerolog.MultiLevelWriter(file, out.logWriter())).With().Timestamp().Logger()
	}
	return j, nil
}

// tail shows the last lines of the log that are warnings or errors.
func (j *journal) tail(out *screen) {
	text, err := os.ReadFile(j.path)
	if err != nil {
		return // the file was removed by somebody: there is nothing to show
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, `"level":"warn"`) || strings.Contains(line, `"level":"error"`) {
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	if len(lines) == 0 {
		return
	}
	out.title("The last of walpost's log")
	for _, line := range lines[max(0, len(lines)-tailLines):] {
		out.say("  %s", line)
	}
}

// logWriter shows log lines from level info up, without what nobody needs on a screen.
func (s *screen) logWriter() zerolog.LevelWriter {
	console := zerolog.ConsoleWriter{
		Out:           writerFunc(func(p []byte) { s.say("%s", s.styled(cell{strings.TrimSpace(string(p)), dim})) }),
		NoColor:       true, // the line has a style of its own
		PartsOrder:    []string{zerolog.LevelFieldName, zerolog.MessageFieldName},
		FieldsExclude: []string{"dir"},
	}
	return &zerolog.FilteredLevelWriter{Writer: zerolog.LevelWriterAdapter{Writer: console}, Level: zerolog.InfoLevel}
}

// writerFunc is a writer that can't fail.
type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}
