package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/hashicorp/hcl/v2"
)

// diagnosticsFormat is the version of what DiagnosticsJSON writes. It rises when a
// field changes its meaning or goes away, not when one is added.
const diagnosticsFormat = 1

// report is every diagnostic as people and programs get to see it; text and JSON
// are both made from it. It has no values, only the source.
type report struct {
	Format      int       `json:"format"`
	Errors      int       `json:"errors"`
	Warnings    int       `json:"warnings"`
	Diagnostics []finding `json:"diagnostics"`
}

// finding is one diagnostic.
type finding struct {
	Severity string   `json:"severity"` // "error" or "warning"
	Summary  string   `json:"summary"`
	Detail   string   `json:"detail"`
	At       *excerpt `json:"at,omitempty"`
	Related  *excerpt `json:"related,omitempty"`
}

// excerpt is a place in the source, and the source there. Lines and columns count
// from 1, columns in characters; the end is exclusive.
type excerpt struct {
	Note    string   `json:"note,omitempty"` // of a related place: what it is
	File    string   `json:"file"`
	Line    int      `json:"line"`
	Column  int      `json:"column"`
	EndLine int      `json:"end_line"`
	EndCol  int      `json:"end_column"`
	Block   string   `json:"block,omitempty"` // e.g. webhook "crm"
	Lines   []string `json:"source,omitempty"`
}

// An excerpt shows at most so many lines, and so many characters of a line.
const (
	maxExcerpt = 5
	maxLine    = 300
)

// WriteDiagnostics writes problems for people, with the source that they are about.
// No value of an expression is shown, so that no secret can be. files is
// Config.Files. color adds ANSI colours, for terminals.
func WriteDiagnostics(w io.Writer, files map[string]*hcl.File, diags hcl.Diagnostics, color bool) error {
	var out bytes.Buffer
	for _, f := range newReport(files, diags).Diagnostics {
		f.write(&out, color)
	}
	if _, err := w.Write(out.Bytes()); err != nil {
		return fmt.Errorf("write diagnostics: %w", err)
	}
	return nil
}

// DiagnosticsJSON returns the same as JSON, for programs:
// {"format":1,"errors":…,"warnings":…,"diagnostics":[…]}.
func DiagnosticsJSON(files map[string]*hcl.File, diags hcl.Diagnostics) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(newReport(files, diags)); err != nil {
		return nil, fmt.Errorf("encode diagnostics: %w", err)
	}
	return out.Bytes(), nil
}

func newReport(files map[string]*hcl.File, diags hcl.Diagnostics) report {
	r := report{Format: diagnosticsFormat, Diagnostics: []finding{}}
	for _, d := range diags {
		f := finding{Severity: "error", Summary: d.Summary, Detail: d.Detail}
		if d.Severity == hcl.DiagWarning {
			f.Severity = "warning"
			r.Warnings++
		} else {
			r.Errors++
		}
		if d.Subject != nil {
			f.At = newExcerpt(files, *d.Subject)
			if _, isSecret := d.Extra.(secretSubject); isSecret {
				f.At.Lines = nil
			}
		}
		if other, ok := d.Extra.(related); ok {
			f.Related = newExcerpt(files, other.at)
			f.Related.Note = other.note
		}
		r.Diagnostics = append(r.Diagnostics, f)
	}
	return r
}

func newExcerpt(files map[string]*hcl.File, at hcl.Range) *excerpt {
	e := &excerpt{File: at.Filename, Line: at.Start.Line, Column: at.Start.Column, EndLine: at.End.Line, EndCol: at.End.Column}
	file := files[at.Filename]
	if file == nil {
		return e
	}
	if nav, ok := file.Nav.(interface{ ContextString(offset int) string }); ok {
		e.Block = nav.ContextString(at.Start.Byte)
	}
	lines := strings.Split(string(file.Bytes), "\n")
	for n := at.Start.Line; n <= at.End.Line && n <= len(lines) && len(e.Lines) < maxExcerpt; n++ {
		line := strings.TrimSuffix(lines[n-1], "\r")
		if runes := []rune(line); len(runes) > maxLine {
			line = string(runes[:maxLine]) + "…"
		}
		e.Lines = append(e.Lines, line)
	}
	return e
}

// paint wraps text in an ANSI sequence.
func paint(code, text string, color bool) string {
	if !color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (f finding) write(out *bytes.Buffer, color bool) {
	word := paint("1;31", "Error:", color)
	if f.Severity == "warning" {
		word = paint("1;33", "Warning:", color)
	}
	fmt.Fprintf(out, "%s %s\n\n", word, paint("1", printable(f.Summary), color))
	if f.At != nil {
		f.At.write(out, true, color)
	}
	if f.Detail != "" {
		fmt.Fprintf(out, "%s\n\n", printable(f.Detail))
	}
	if f.Related != nil {
		f.Related.write(out, false, color)
	}
}

// write shows the place; with mark, what is meant is underlined.
func (e *excerpt) write(out *bytes.Buffer, mark, color bool) {
	out.WriteString("  ")
	if e.Note != "" {
		out.WriteString(e.Note + ", ")
	}
	fmt.Fprintf(out, "on %s line %d", printable(e.File), e.Line)
	if e.Block != "" {
		fmt.Fprintf(out, ", in %s", printable(e.Block))
	}
	if len(e.Lines) > 0 {
		out.WriteByte(':')
	}
	out.WriteByte('\n')
	for i, line := range e.Lines {
		fmt.Fprintf(out, "%4d: %s\n", e.Line+i, printable(line))
		if mark && i == 0 {
			e.underline(out, line, color)
		}
	}
	out.WriteByte('\n')
}

// underline points at the place under its first line.
func (e *excerpt) underline(out *bytes.Buffer, line string, color bool) {
	runes := []rune(line)
	start := min(e.Column-1, len(runes))
	end := len(runes)
	if e.EndLine == e.Line {
		end = min(e.EndCol-1, end)
	}
	// Tabs stay tabs, so that the mark stands right under it however wide they are.
	indent := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, string(runes[:start]))
	fmt.Fprintf(out, "      %s%s\n", indent, paint("31", strings.Repeat("^", max(end-start, 1)), color))
}

// printable replaces control characters, which could move a terminal's cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
