package demo

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// style is an ANSI colour or weight.
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	violet style = "35"
)

// screen writes whole lines, from any goroutine.
type screen struct {
	mu    sync.Mutex
	out   io.Writer
	color bool
	width int
}

// cell is a part of a line with its style.
type cell struct {
	text  string
	style style
}

// line writes the cells as one line, cut at the terminal's width.
func (s *screen) line(cells ...cell) {
	var b strings.Builder
	left := s.width
	for _, c := range cells {
		if s.width > 0 {
			c.text = cut(c.text, left)
			left -= utf8.RuneCountInString(c.text)
		}
		b.WriteString(s.styled(c))
	}
	s.write(strings.TrimRight(b.String(), " ") + "\n")
}

// cut shortens text to n columns.
func cut(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	if n < 1 {
		return ""
	}
	return string([]rune(text)[:n-1]) + "…"
}

// say writes text, which a narrow terminal may wrap.
func (s *screen) say(format string, args ...any) { s.write(fmt.Sprintf(format, args...) + "\n") }

// title writes a heading with an empty line before it.
func (s *screen) title(text string) { s.say("\n%s", s.styled(cell{text, bold})) }

// styled gives the cell's text with its style.
func (s *screen) styled(c cell) string {
	if !s.color || c.style == plain || c.text == "" {
		return c.text
	}
	return "\x1b[" + string(c.style) + "m" + c.text + "\x1b[0m"
}

// write sends text on. Nobody is left to be told if nobody reads: Out is where errors would be shown.
func (s *screen) write(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = io.WriteString(s.out, text)
}

// source shows a configuration, its comments dimmed.
func (s *screen) source(text string) {
	for line := range strings.Lines(text) {
		code, comment := "  "+strings.TrimRight(line, "\n"), ""
		if at := strings.IndexByte(code, '#'); at >= 0 {
			code, comment = code[:at], code[at:]
		}
		s.say("%s", strings.TrimRight(code+s.styled(cell{comment, dim}), " "))
	}
}

// The live lines fit into 80 columns: the time, the longest topic, the longest webhook, the attempt, the
// latency, and the answer with what follows from it.
const liveFormat = "%-32s %-10s %2s %7s  "

// liveHeader writes the names of the columns of the live lines.
func (s *screen) liveHeader() {
	s.line(cell{fmt.Sprintf("%-8s "+liveFormat, "time", "topic", "webhook", "#", "latency") + "answer", dim})
}

// arrival writes the live line of a request that is being answered. The latency is from the row's commit to the
// request; then is what follows.
func (s *screen) arrival(a *arrival, committed time.Time, then string) {
	latency := ""
	if !committed.IsZero() {
		latency = shortly(a.at.Sub(committed))
	}
	look := red
	switch a.status / 100 {
	case 2:
		look = green
	case 5:
		look = yellow
	}
	s.line(
		cell{a.at.Add(a.took).Format(time.TimeOnly) + " ", dim},
		cell{text: fmt.Sprintf(liveFormat, a.topic, a.webhook, strconv.Itoa(a.attempt), latency)},
		cell{strconv.Itoa(a.status), look},
		cell{strings.TrimRight(" "+then, " "), dim},
	)
}

// rolledBack writes the live lines of a row that was rolled back.
func (s *screen) rolledBack(topics []string) {
	for _, topic := range topics {
		s.line(
			cell{time.Now().Format(time.TimeOnly) + " ", dim},
			cell{text: fmt.Sprintf("%-32s ", topic)},
			cell{"rolled back, must never arrive", violet},
		)
	}
}

// shortly writes a duration in three digits or so.
func shortly(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1000)
	default:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
}
